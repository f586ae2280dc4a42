package control

import (
	"context"
	"time"

	"gtiv/protocol"
)

// route is one endpoint.
type route struct {
	method, path string
	role         protocol.Role // the least that is needed
	action       string        // what the audit log calls the change; "" changes nothing
	handle       handler
}

// handler answers one request with a value to encode.
type handler func(s *Server, ctx context.Context, c *call) (any, error)

// routes is the whole API, sorted by path, then method.
//
// Moderators deal with people, but not with administrators (see target), and
// not with what would let them in as somebody else: passwords and codes.
var routes = []route{
	{"GET", "/v1/announcements", protocol.RoleAdmin, "", (*Server).listAnnouncements},
	{"POST", "/v1/announcements", protocol.RoleAdmin, "announcement.create", (*Server).announce},
	{"GET", "/v1/audit", protocol.RoleModerator, "", (*Server).listAudit},
	{"GET", "/v1/bans", protocol.RoleModerator, "", (*Server).listBans},
	{"POST", "/v1/bans", protocol.RoleModerator, "ban.add", (*Server).banAddress},
	{"POST", "/v1/bans/remove", protocol.RoleModerator, "ban.remove", (*Server).unbanAddress},
	{"GET", "/v1/codes", protocol.RoleAdmin, "", (*Server).listCodes},
	{"GET", "/v1/config", protocol.RoleViewer, "", (*Server).showConfig},
	{"GET", "/v1/doctor", protocol.RoleAdmin, "", (*Server).examine},
	{"POST", "/v1/doctor/fix", protocol.RoleAdmin, "doctor.fix", (*Server).repair},
	{"GET", "/v1/invites", protocol.RoleModerator, "", (*Server).listInvites},
	{"POST", "/v1/invites", protocol.RoleModerator, "invite.create", (*Server).createInvite},
	{"POST", "/v1/invites/revoke", protocol.RoleModerator, "invite.revoke", (*Server).revokeInvite},
	{"GET", "/v1/live", protocol.RoleModerator, "", (*Server).listLives},
	{"POST", "/v1/live/allow", protocol.RoleModerator, "live.allow", (*Server).allowLive},
	{"POST", "/v1/live/key", protocol.RoleAdmin, "live.key", (*Server).liveKey},
	{"POST", "/v1/live/kick", protocol.RoleModerator, "live.kick", (*Server).kickLive},
	{"POST", "/v1/live/push", protocol.RoleAdmin, "live.push", (*Server).pushLive},
	{"GET", "/v1/live/record", protocol.RoleModerator, "", (*Server).showLiveRecord},
	{"POST", "/v1/live/record", protocol.RoleModerator, "live.record", (*Server).setLiveRecord},
	{"GET", "/v1/live/recordings", protocol.RoleModerator, "", (*Server).listRecordings},
	{"POST", "/v1/live/recordings/delete", protocol.RoleModerator, "recording.delete", (*Server).deleteRecording},
	{"GET", "/v1/live/show", protocol.RoleModerator, "", (*Server).showLive},
	{"GET", "/v1/live/streamers", protocol.RoleModerator, "", (*Server).listStreamers},
	{"GET", "/v1/queues", protocol.RoleViewer, "", (*Server).listQueues},
	{"POST", "/v1/queues/drop", protocol.RoleAdmin, "queue.drop", (*Server).dropJobs},
	{"GET", "/v1/queues/jobs", protocol.RoleModerator, "", (*Server).listJobs},
	{"POST", "/v1/queues/retry", protocol.RoleAdmin, "queue.retry", (*Server).retryJobs},
	{"POST", "/v1/reload", protocol.RoleAdmin, "config.reload", (*Server).reload},
	{"GET", "/v1/reports", protocol.RoleModerator, "", (*Server).listReports},
	{"POST", "/v1/reports/resolve", protocol.RoleModerator, "report.resolve", (*Server).resolveReport},
	{"GET", "/v1/rooms", protocol.RoleModerator, "", (*Server).listRooms},
	{"POST", "/v1/rooms/dissolve", protocol.RoleModerator, "room.dissolve", (*Server).dissolveRoom},
	{"GET", "/v1/rooms/members", protocol.RoleModerator, "", (*Server).listRoomMembers},
	{"GET", "/v1/rooms/show", protocol.RoleModerator, "", (*Server).showRoom},
	{"GET", "/v1/status", protocol.RoleViewer, "", (*Server).status},
	{"GET", "/v1/users", protocol.RoleModerator, "", (*Server).listUsers},
	{"POST", "/v1/users", protocol.RoleAdmin, "user.add", (*Server).addUser},
	{"POST", "/v1/users/ban", protocol.RoleModerator, "user.ban", (*Server).banUser},
	{"POST", "/v1/users/password", protocol.RoleAdmin, "user.password", (*Server).setPassword},
	{"POST", "/v1/users/revoke", protocol.RoleModerator, "user.revoke", (*Server).revokeSessions},
	{"GET", "/v1/users/sessions", protocol.RoleModerator, "", (*Server).listSessions},
	{"POST", "/v1/users/unban", protocol.RoleModerator, "user.unban", (*Server).unbanUser},
	{"GET", "/v1/videos", protocol.RoleModerator, "", (*Server).listVideos},
	{"POST", "/v1/videos/approve", protocol.RoleModerator, "video.approve", (*Server).approveVideo},
	{"POST", "/v1/videos/delete", protocol.RoleModerator, "video.delete", (*Server).deleteVideo},
	{"POST", "/v1/videos/hide", protocol.RoleModerator, "video.hide", (*Server).hideVideo},
	{"GET", "/v1/videos/import", protocol.RoleAdmin, "", (*Server).checkImport},
	{"POST", "/v1/videos/import", protocol.RoleAdmin, "video.import", (*Server).importVideo},
	{"POST", "/v1/videos/reprocess", protocol.RoleAdmin, "video.reprocess", (*Server).reprocessVideos},
	{"GET", "/v1/videos/show", protocol.RoleModerator, "", (*Server).showVideo},
}

// patience is how long the routes may take that read whole tables, or whose body
// is a file; all others have changeTimeout.
var patience = map[string]time.Duration{
	"/v1/doctor":        time.Hour,
	"/v1/doctor/fix":    time.Hour,
	"/v1/videos/import": time.Hour,
}

// files are the routes with a file as their body, which is bounded by whoever
// takes it. It may stop coming for no longer than fileIdle.
var files = map[string]bool{"POST /v1/videos/import": true}
