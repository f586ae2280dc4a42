package protocol

import "time"

// This file holds the bodies of the control socket that are about moderation.

// Bounds of what moderators write.
const (
	MaxControlNoteRunes = 500 // of a note or an action
	ReportsOpen         = "open"
	ReportsResolved     = "resolved"
)

// ReportFilter chooses reports: GET /v1/reports with these as query parameters.
type ReportFilter struct {
	State string // ReportsOpen, the default, or ReportsResolved
	After int64  // Next of the page before
	Limit int    // 1 to MaxControlPage; 0 is DefaultControlPage
}

// Report is what a user told the moderators.
type Report struct {
	ID         int64
	Reporter   int64     // user
	Kind       string    // "user", "message", "room", "video" or "live"
	Target     string    // id of what it is about
	Reason     string    // in the reporter's words
	CreatedAt  time.Time `json:",omitzero"`
	Sender     int64     `json:",omitempty"` // of the message; the next two, too
	Content    string    `json:",omitempty"`
	SentAt     time.Time `json:",omitzero"`
	ResolvedAt time.Time `json:",omitzero"` // zero: open
	ResolvedBy string    `json:",omitempty"`
	Action     string    `json:",omitempty"` // what was done
	Note       string    `json:",omitempty"`
}

// ReportList is a page of reports, oldest first.
type ReportList struct {
	List []Report
	Next int64 // ReportFilter.After of the next page; 0 at the end
}

// ResolveReport is POST /v1/reports/resolve; the answer is the Report.
type ResolveReport struct {
	ID     int64
	Note   string `json:",omitempty"`
	Action string `json:",omitempty"` // what was done
}

// BanAddress is POST /v1/bans; the answer is the AddressBan.
type BanAddress struct {
	Address string    // "192.0.2.7", an IPv6 one for its /64, or a network: "192.0.2.0/24"
	Until   time.Time `json:",omitzero"` // zero: for ever
	Reason  string    `json:",omitempty"`
}

// AddressBan keeps an address, or a network, away.
type AddressBan struct {
	Address   string // always a network: "192.0.2.7/32"
	Reason    string `json:",omitempty"`
	CreatedBy string
	CreatedAt time.Time `json:",omitzero"`
	Until     time.Time `json:",omitzero"` // zero: for ever
}

// AddressBanList is GET /v1/bans, newest first.
type AddressBanList struct{ List []AddressBan }

// AddressRef is POST /v1/bans/remove.
type AddressRef struct{ Address string }

// Announce is POST /v1/announcements; the answer is the Announcement.
type Announce struct{ Text string }

// Announcement is a message to all accounts, and how far it is.
type Announcement struct {
	ID         int64
	Text       string
	CreatedBy  string
	CreatedAt  time.Time `json:",omitzero"`
	Accounts   int64     // that there were then, more or less
	Sent       int64     // messages so far; deleted and banned accounts get none
	FinishedAt time.Time `json:",omitzero"` // zero: on its way
}

// AnnouncementList is GET /v1/announcements, newest first.
type AnnouncementList struct{ List []Announcement }

// AuditFilter chooses entries: GET /v1/audit with these as query parameters.
type AuditFilter struct {
	Action string // what their action begins with
	Before int64  // Next of the page before
	Limit  int    // 1 to MaxControlPage; 0 is DefaultControlPage
}

// AuditEntry is one change, and who made it.
type AuditEntry struct {
	ID     int64
	Time   time.Time
	Actor  string
	Action string // "user.ban", "report.resolve", …
	Target string `json:",omitempty"`
	Detail string `json:",omitempty"`
}

// AuditList is a page of entries, newest first.
type AuditList struct {
	List []AuditEntry
	Next int64 // AuditFilter.Before of the next page; 0 at the end
}
