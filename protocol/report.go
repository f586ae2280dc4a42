package protocol

// What a report can be about.
const (
	ReportUser    = "user"
	ReportMessage = "message"
	ReportRoom    = "room"
	ReportVideo   = "video"
	ReportLive    = "live"
)

// ReportRequest is the body of POST /report.
type ReportRequest struct {
	Kind   string `required:"true" doc:"user, message, room, video or live" example:"message"`
	Target string `required:"true" doc:"the id of what it is about: a user's, a room's, a video's, or a message's ServerMsgId" example:"0190a2b4-0000-7000-8000-000000000000"`
	Reason string `required:"true" doc:"1 to 500 characters" example:"insults"`
}
