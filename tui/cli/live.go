package cli

// LiveCmd is "gtiv live".
type LiveCmd struct {
	Record LiveRecordCmd `cmd:"" help:"Look after recordings of live streams."`
}
