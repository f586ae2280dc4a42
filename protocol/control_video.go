package protocol

import "time"

// This file holds the bodies of the control socket that are about videos, queues
// and the daemon's health.

// Video is a short video as moderators see it.
type Video struct {
	ID          int64
	Owner       int64
	Username    string // of the owner
	Title       string
	State       string // "queued", "processing", "ready", "failed", "review" or "hidden"
	Reason      string `json:",omitempty"` // why it failed, was hidden or waits
	Visibility  string // "public", "followers" or "private"
	Width       int
	Height      int
	DurationMS  int64
	SizeBytes   int64 // of its first rendition; before that, of the uploaded file
	Likes       int64
	Collections int64
	Comments    int64
	Shares      int64
	Plays       int64
	CreatedAt   time.Time    `json:",omitzero"`
	PublishedAt time.Time    `json:",omitzero"`
	Detail      *VideoDetail `json:",omitempty"` // of one video, not in lists
}

// VideoDetail is what is told of one video beyond what lists have.
type VideoDetail struct {
	Tags       []string
	UploadName string `json:",omitempty"` // as the uploader called the file
	Attempts   int    // how often its processing was begun
	Percent    int    // how far its processing is
	Replacing  bool   // another file takes the place of its own once it is processed
	Source     bool   // the uploaded file is still there
	Key        string `json:",omitempty"` // folder of its files
	Files      int
	FileBytes  int64
	// Link is the path of its playlist, for everybody who has it and for some hours,
	// whatever the state of the video is; URL is the whole address, if the site has
	// one.
	Link string `json:",omitempty"`
	URL  string `json:",omitempty"`
}

// VideoFilter chooses videos: GET /v1/videos with these as query parameters.
type VideoFilter struct {
	State  string // "" is any
	User   string // id or user name of the owner; "" is everybody
	Oldest bool   // the oldest first, else the newest
	After  int64  // Next of the page before
	Limit  int    // 1 to MaxControlPage; 0 is DefaultControlPage
}

// VideoList is a page of videos.
type VideoList struct {
	List []Video
	Next int64 // VideoFilter.After of the next page; 0 at the end
}

// VideoRef names a video; POST /v1/videos/approve and /v1/videos/delete.
type VideoRef struct{ ID int64 }

// HideVideo is POST /v1/videos/hide; the answer is the Video.
type HideVideo struct {
	ID     int64
	Reason string `json:",omitempty"` // the owner reads it
}

// ReprocessVideos is POST /v1/videos/reprocess: one video, or a page of all that
// failed, behind the id After.
type ReprocessVideos struct {
	ID     int64 `json:",omitempty"`
	Failed bool  `json:",omitempty"`
	After  int64 `json:",omitempty"`
}

// Reprocessed is what was queued.
type Reprocessed struct {
	Queued int
	Gone   int   // failed ones whose uploaded files are gone
	Next   int64 // ReprocessVideos.After of the next page; 0 at the end
}

// ImportVideo is a file that is uploaded for somebody: the query parameters of
// POST /v1/videos/import, whose body is the file, and of GET, which only checks.
type ImportVideo struct {
	User       string // id or user name of the owner
	Title      string
	Visibility string // "" is public
	Name       string // of the file
	Hash       string // SHA-256 of the file in hexadecimal
	Size       int64
	NoQuota    bool // the owner's quota does not matter
}

// Imported is the answer of both.
type Imported struct {
	Video *Video `json:",omitempty"` // none: it could be imported
	There bool   // it was imported before
}

// QueueList is GET /v1/queues.
type QueueList struct{ List []Queue }

// QueueJob is a piece of work that waits, or that was given up.
type QueueJob struct {
	ID         string
	State      string // "waiting", "leased" or "dead"
	Attempts   int
	Reason     string    `json:",omitempty"` // why the last attempt of a dead one failed
	EnqueuedAt time.Time `json:",omitzero"`
	DueAt      time.Time `json:",omitzero"` // not of dead ones
	DiedAt     time.Time `json:",omitzero"`
}

// QueueJobFilter chooses jobs of a topic: GET /v1/queues/jobs with these as query
// parameters.
type QueueJobFilter struct {
	Topic string
	Dead  bool   // those that were given up, else those that wait
	After string // Next of the page before
	Limit int    // 1 to MaxControlPage; 0 is DefaultControlPage
}

// QueueJobs is a page of jobs.
type QueueJobs struct {
	List []QueueJob
	Next string // QueueJobFilter.After of the next page; "" at the end
}

// QueueRef is POST /v1/queues/retry and /v1/queues/drop: a dead job, or all of a
// topic.
type QueueRef struct {
	Topic string
	ID    string `json:",omitempty"`
	All   bool   `json:",omitempty"`
}

// QueueChanged is how many jobs were put in line again, or forgotten.
type QueueChanged struct{ Jobs int }

// The outcomes of a check.
const (
	CheckOK   = "ok"
	CheckWarn = "warn" // works, but somebody should look at it
	CheckFail = "fail"
)

// Check is one thing that a checkup looked at.
type Check struct {
	Name  string
	State string   // one of the outcomes
	Text  string   // what was found
	Items []string `json:",omitempty"` // some of what is wrong
	Hint  string   `json:",omitempty"` // what the administrator can do
	Fixed bool     `json:",omitempty"` // something was wrong and is not any more
}

// Checkup is the answer of GET /v1/doctor, and of POST /v1/doctor/fix, which also
// repairs.
type Checkup struct{ Checks []Check }

// Healthy is whether nothing failed.
func (c *Checkup) Healthy() bool {
	for _, k := range c.Checks {
		if k.State == CheckFail {
			return false
		}
	}
	return true
}
