package protocol

import "time"

// LiveRecord is whether the streams of a live room are recorded: the answer of GET
// /v1/live/record with Room, the body of POST, and its answer.
type LiveRecord struct {
	Room   int64
	Record string // "off", "mp4" or "flv"
}

// Recording is a recording of a live stream as administrators see it.
type Recording struct {
	ID         int64
	Room       int64
	Owner      int64
	Title      string
	State      string // "recording", "done" or "failed"
	Reason     string `json:",omitempty"` // why it ended early, or failed
	Format     string
	Began      time.Time
	DurationMS int64
	Bytes      int64
	File       string // in the folder "record" of the data folder
	Video      int64  `json:",omitempty"` // it was published as
}

// RecordingFilter chooses recordings: GET /v1/live/recordings with these as query
// parameters.
type RecordingFilter struct {
	Room  int64 // 0: all
	After int64 // Next of the page before
	Limit int   // 1 to MaxControlPage; 0 is DefaultControlPage
}

// RecordingList is a page of recordings, newest first.
type RecordingList struct {
	List []Recording
	Next int64 // RecordingFilter.After of the next page; 0 at the end
}

// RecordingRef names a recording; POST /v1/live/recordings/delete, whose answer is the
// Recording as it was.
type RecordingRef struct{ ID int64 }
