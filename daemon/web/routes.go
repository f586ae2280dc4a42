package web

import (
	"net/http"
	"sync"
	"time"

	"gtiv/daemon/web/api"
	"gtiv/daemon/web/pages"
	"gtiv/protocol"
)

// Groups of calls in the documentation.
const (
	tagAccount  = "Account"
	tagSecurity = "Sessions and second factor"
	tagContacts = "Contacts"
	tagChat     = "Chat"
	tagRoom     = "Groups"
	tagVideo    = "Short video"
	tagLive     = "Live"
	tagApp      = "App and server"
)

var tags = []api.TagInfo{
	{Name: tagAccount, Description: "Signing up, logging in, profiles."},
	{Name: tagSecurity, Description: "Where an account is logged in, its password and its second factor."},
	{Name: tagContacts, Description: "Friends, requests and blocked people."},
	{Name: tagChat, Description: "What goes beside the long connection: sending, and fetching what was missed."},
	{Name: tagRoom, Description: "Group chats."},
	{Name: tagVideo, Description: "The feed, and the pages of those who make it."},
	{Name: tagLive, Description: "Live rooms."},
	{Name: tagApp, Description: "What a client asks about the server itself."},
}

// Codes, short for the table.
const (
	bad       = protocol.CodeBadValue
	often     = protocol.CodeTooOften
	unknown   = protocol.CodeUnknown
	conflict  = protocol.CodeConflict
	forbidden = protocol.CodeForbidden
	password  = protocol.CodePassword
	noRoom    = protocol.CodeNoRoom
)

// keepOrder is who may keep order in a live room.
const keepOrder = "The owner, moderators and system administrators may; nobody acts on somebody of their own rank or above."

// routes is every call, sorted by path and method.
func (s *Server) routes() []api.Route {
	get, post, del := http.MethodGet, http.MethodPost, http.MethodDelete
	codes, tag, full := api.Errors, api.Tag, api.Always200
	return []api.Route{
		api.Handle(get, "/app/country", api.User, "Countries with their phone codes", s.handleCountries, tag(tagApp)),
		api.Handle(get, "/app/version", api.User, "Newest version of the app", s.handleVersion, tag(tagApp)),
		api.Handle(get, "/chat/addme-list", api.User, "Pending friend requests", s.handleApplications, tag(tagContacts)),
		api.Handle(get, "/chat/room-msg", api.User, "Missed messages of a group, newest first", s.handleRoomMessages, tag(tagRoom)),
		api.Handle(get, "/chat/sync-private-message", api.User, "Missed private messages, oldest first", s.handleSyncPrivate, tag(tagChat)),
		api.Handle(del, "/contacts", api.User, "Remove a contact", s.handleDeleteContact, tag(tagContacts),
			api.Alias(del, "/contacts/delete"), codes(unknown)),
		api.Handle(post, "/contacts/add", api.User, "Answer a friend request", s.handleAnswerApplication, tag(tagContacts), codes(unknown)),
		api.Handle(post, "/contacts/block", api.User, "Block a user", s.handleBlock, tag(tagContacts), codes(unknown, bad)),
		api.Handle(get, "/contacts/blocked", api.User, "Whom the caller blocked", s.handleBlocked, tag(tagContacts)),
		api.Handle(get, "/contacts/list", api.User, "Contacts", s.handleContacts, tag(tagContacts), full()),
		api.Handle(post, "/contacts/unblock", api.User, "Unblock a user", s.handleUnblock, tag(tagContacts), codes(unknown)),
		api.Handle(get, "/get-comet", api.Anyone, "Where the chat long connections are", s.handleComet, tag(tagApp)),
		api.Handle(post, "/imlogic/check-online", api.User, "Is a user, or this login session, connected?", s.handleCheckOnline, tag(tagChat),
			api.Light()), // an error makes the app reconnect (wire.md 2.4), which an overloaded server needs least
		api.Handle(post, "/imlogic/push-mid", api.User, "Send a private message", s.handlePushMid, tag(tagChat),
			codes(forbidden, unknown, often, bad, noRoom)),
		api.Handle(post, "/imlogic/push-room", api.User, "Send a message to a group", s.handlePushRoom, tag(tagRoom),
			codes(forbidden, unknown, often, bad, noRoom)),
		api.Handle(post, "/live/access", api.User, "Say who may watch a live room", s.handleLiveAccess, tag(tagLive),
			codes(forbidden, unknown, bad, often), api.About("Its owner may, and system administrators. Who watches is asked again.")),
		api.Handle(post, "/live/chat", api.User, "Write in a live room", s.handleLiveChat, tag(tagLive),
			codes(forbidden, unknown, often, bad, conflict, noRoom)),
		api.Handle(post, "/live/close", api.User, "Close a live room", s.handleLiveClose, tag(tagLive), codes(forbidden, unknown, often),
			api.About("Its owner may, and system administrators. Its readers are told and put out; /live/create opens it again.")),
		api.Handle(post, "/live/create", api.User, "Make the caller's live room", s.handleLiveCreate, tag(tagLive), codes(forbidden, bad, often, noRoom),
			api.About("Everybody has one: a second call answers the same room.")),
		api.Handle(post, "/live/delete-message", api.User, "Delete a message of a live room", s.handleLiveDeleteMessage, tag(tagLive),
			codes(forbidden, unknown, often), api.About("Its author may; the owner, moderators and system administrators may for those below them.")),
		api.Handle(post, "/live/edit", api.User, "Change title and cover of a live room", s.handleLiveEdit, tag(tagLive),
			codes(forbidden, unknown, bad, often), api.About("Its owner may, and system administrators.")),
		api.Handle(post, "/live/heart", api.User, "Give a live room hearts", s.handleLiveHeart, tag(tagLive),
			codes(forbidden, unknown, bad, often), api.About("Its chat shows those of a second as one message of type 22, whose Content is how many.")),
		api.Handle(get, "/live/history", api.Guest, "The last messages of a live room", s.handleLiveHistory, tag(tagLive), codes(unknown, forbidden),
			api.About("The long connection brings the same after op 12 with live_ and the RoomId, and for a room that is not open behind a slash the token of /live/info's Path.")),
		api.Handle(get, "/live/info", api.Guest, "A live room, its stream and how to watch it", s.handleLiveInfo, tag(tagLive), codes(unknown)),
		api.Handle(get, "/live/key", api.User, "What the caller's live room is published with", s.handleLiveKey, tag(tagLive), codes(forbidden, unknown),
			api.About("rtmp://HOST:2011/live/ and this key.")),
		api.Handle(post, "/live/key", api.User, "Another key for the caller's live room", s.handleResetLiveKey, tag(tagLive),
			codes(forbidden, unknown, often), api.About("The old one is good for nothing from now on; who publishes with it goes off air.")),
		api.Handle(post, "/live/kick", api.User, "Send a viewer or the publisher of a live room away", s.handleLiveKick, tag(tagLive),
			codes(forbidden, unknown, bad, often), api.About(keepOrder)),
		api.Handle(post, "/live/link", api.User, "A link by which everybody may watch a live room", s.handleLiveLink, tag(tagLive),
			codes(forbidden, unknown, bad), api.About("Its owner may, and system administrators.")),
		api.Handle(get, "/live/list", api.Guest, "Live rooms", s.handleLiveList, tag(tagLive), full(), api.Fallback(s.fallbackLiveList)),
		api.Handle(get, "/live/mine", api.User, "The caller's live room, open or closed", s.handleLiveMine, tag(tagLive), codes(unknown)),
		api.Handle(get, "/live/moderators", api.User, "Moderators of a live room", s.handleLiveModerators, tag(tagLive), codes(unknown, forbidden)),
		api.Handle(post, "/live/moderators", api.User, "Name the moderators of a live room", s.handleSetLiveModerators, tag(tagLive),
			codes(forbidden, unknown, bad, often), api.About("Only its owner may.")),
		api.Handle(post, "/live/mute", api.User, "Keep a user from writing in a live room", s.handleLiveMute, tag(tagLive),
			codes(forbidden, unknown, bad, often), api.About(keepOrder)),
		api.Handle(get, "/live/on-air", api.Guest, "All rooms on air", s.handleLiveOnAir, tag(tagLive)),
		api.Handle(get, "/live/record", api.User, "Whether a live room is recorded", s.handleLiveRecord, tag(tagLive), codes(forbidden, unknown)),
		api.Handle(post, "/live/record", api.User, "Set whether a live room is recorded", s.handleSetLiveRecord, tag(tagLive),
			codes(forbidden, unknown, bad, often, noRoom), api.About("Only its owner may. It holds at once, and for the streams to come.")),
		api.Handle(post, "/live/record/delete", api.User, "Delete a recording", s.handleLiveRecordDelete, tag(tagLive), codes(unknown, often, noRoom),
			api.About("One that runs ends. A video that was made of it stays. System administrators may, too.")),
		api.Handle(get, "/live/record/list", api.User, "Recordings of a live room, newest first", s.handleLiveRecordList, tag(tagLive),
			codes(forbidden, unknown), api.About("Its owner may, and system administrators.")),
		api.Handle(post, "/live/record/publish", api.User, "Make a short video of a recording", s.handleLiveRecordPublish, tag(tagLive),
			codes(unknown, conflict, bad, often, noRoom), api.Deadline(publishDeadline),
			api.About("The recording stays. A second call answers the same video as long as that is there.")),
		api.Handle(get, "/live/sessions", api.User, "Who publishes and who watches a live room", s.handleLiveSessions, tag(tagLive),
			codes(forbidden, unknown), api.About(keepOrder)),
		api.Handle(post, "/live/slow", api.User, "Set the slow mode of a live room", s.handleLiveSlow, tag(tagLive),
			codes(forbidden, unknown, bad, often), api.About(keepOrder)),
		api.Handle(post, "/live/unmute", api.User, "Let a user write in a live room again", s.handleLiveUnmute, tag(tagLive),
			codes(forbidden, unknown, often), api.About(keepOrder)),
		api.Handle(get, "/live/words", api.User, "What nobody may write in a live room", s.handleLiveWords, tag(tagLive),
			codes(forbidden, unknown), api.About(keepOrder)),
		api.Handle(post, "/live/words", api.User, "Set what nobody may write in a live room", s.handleSetLiveWords, tag(tagLive),
			codes(forbidden, unknown, bad, often), api.About(keepOrder)),
		api.Handle(get, "/notice/list", api.User, "What the caller is told: likes, comments, follows, mentions", s.handleNotices, tag(tagVideo)),
		api.Handle(post, "/notice/read", api.User, "Mark notices as read", s.handleReadNotices, tag(tagVideo), codes(often, noRoom)),
		api.Handle(get, "/obstore/client_token", api.User, "Token for uploading files", s.handleClientToken, tag(tagApp), full(),
			api.Fallback(s.fallbackClientToken)),
		api.Handle(post, "/report", api.User, "Tell the moderators about something", s.handleReport, tag(tagApp), codes(unknown, often, bad, noRoom),
			api.About("While a report of the same thing by the same user is open, another one changes nothing.")),
		api.Handle(post, "/room/admin_list", api.User, "Owner and administrators of a group", s.handleRoomAdmins, tag(tagRoom), codes(forbidden, unknown)),
		api.Handle(post, "/room/answer", api.User, "Let somebody in who waits, or turn them away", s.handleRoomAnswer, tag(tagRoom),
			codes(forbidden, unknown, noRoom)),
		api.Handle(post, "/room/banned_list", api.User, "Muted members of a group", s.handleRoomBanned, tag(tagRoom), codes(forbidden, unknown)),
		api.Handle(post, "/room/banned_to_post", api.User, "Mute a member, or everybody", s.handleRoomBan, tag(tagRoom), codes(forbidden, unknown, bad)),
		api.Handle(post, "/room/dissolve", api.User, "End a group", s.handleDissolve, tag(tagRoom), codes(forbidden, unknown)),
		api.Handle(get, "/room/faq", api.User, "Questions about groups", s.handleFAQ, tag(tagRoom)),
		api.Handle(get, "/room/get_notice", api.User, "A group's notice", s.handleNotice, tag(tagRoom), codes(forbidden, unknown)),
		api.Handle(get, "/room/info", api.User, "A group", s.handleRoomInfo, tag(tagRoom)),
		api.Handle(post, "/room/invite", api.User, "Make a group, or invite into one", s.handleInvite, tag(tagRoom), full(),
			api.Fallback(fallbackInvite)),
		api.Handle(post, "/room/join", api.User, "Join a group by a link", s.handleJoin, tag(tagRoom), codes(unknown, conflict, often, noRoom)),
		api.Handle(get, "/room/link", api.User, "Links into a group", s.handleLinks, tag(tagRoom), codes(forbidden, unknown)),
		api.Handle(post, "/room/link", api.User, "Make a link into a group", s.handleCreateLink, tag(tagRoom), codes(forbidden, unknown, bad, noRoom)),
		api.Handle(post, "/room/link-revoke", api.User, "Make a link worthless", s.handleRevokeLink, tag(tagRoom), codes(forbidden, unknown),
			api.Alias(del, "/room/link")),
		api.Handle(get, "/room/list", api.User, "The caller's groups", s.handleRooms, tag(tagRoom), full()),
		api.Handle(get, "/room/member_info", api.User, "A member of a group", s.handleMemberInfo, tag(tagRoom), full(), codes(unknown),
			api.Fallback(fallbackMember)),
		api.Handle(get, "/room/member_list", api.User, "Members of a group", s.handleMembers, tag(tagRoom), full()),
		api.Handle(get, "/room/memberids", api.User, "Ids of a group's members", s.handleMemberIDs, tag(tagRoom), codes(forbidden, unknown)),
		api.Handle(post, "/room/modify_avatar", api.User, "Change a group's picture", s.handleRoomAvatar, tag(tagRoom), full(), codes(forbidden, unknown)),
		api.Handle(post, "/room/modify_name", api.User, "Rename a group", s.handleRoomName, tag(tagRoom), codes(forbidden, unknown, bad)),
		api.Handle(post, "/room/modify_notice", api.User, "Change a group's notice", s.handleSetNotice, tag(tagRoom), codes(forbidden, unknown, bad)),
		api.Handle(post, "/room/options", api.User, "Who may come into a group", s.handleRoomOptions, tag(tagRoom), codes(forbidden, unknown, bad)),
		api.Handle(post, "/room/quit", api.User, "Leave a group", s.handleQuit, tag(tagRoom), codes(forbidden, unknown),
			api.About("An owner is followed by the oldest administrator, else by the oldest member.")),
		api.Handle(post, "/room/relieve_banned_to_post", api.User, "Let a member, or everybody, write again", s.handleRoomUnban, tag(tagRoom),
			codes(forbidden, unknown)),
		api.Handle(del, "/room/remove_member", api.User, "Take a member out of a group", s.handleRemoveMember, tag(tagRoom), codes(forbidden, unknown)),
		api.Handle(get, "/room/requests", api.User, "Who waits for a group's administrators", s.handleRoomRequests, tag(tagRoom), codes(forbidden, unknown)),
		api.Handle(post, "/room/set_admin", api.User, "Name all administrators of a group", s.handleSetAdmins, tag(tagRoom), codes(forbidden, unknown, bad)),
		api.Handle(post, "/room/transfer", api.User, "Hand a group over", s.handleTransfer, tag(tagRoom), codes(forbidden, unknown, conflict, noRoom)),
		api.Handle(get, "/search", api.User, "Find users, videos or tags", s.handleFind, tag(tagVideo), codes(bad, often)),
		api.Handle(get, "/tag/trending", api.Guest, "Tags that were used most in the last week", s.handleTrending, tag(tagVideo)),
		api.Handle(get, "/tag/videos", api.Guest, "Videos with a tag, newest first", s.handleTagged, tag(tagVideo), codes(bad)),
		api.Handle(get, "/user/collect-videos", api.User, "Videos the caller collected", s.handleCollectVideos, tag(tagVideo), full(),
			codes(forbidden), api.Fallback(s.fallbackUserVideos)),
		api.Handle(get, "/user/creation-videos", api.Guest, "Videos somebody made", s.handleCreationVideos, tag(tagVideo), full(),
			api.Fallback(s.fallbackUserVideos)),
		api.Handle(post, "/user/delete", api.User, "Delete the account", s.handleDelete, tag(tagSecurity), codes(password, often, forbidden),
			api.About("All login sessions end. The user name stays reserved for a while.")),
		api.HandleRaw(get, "/user/export", api.User, "Everything the server has about the caller", "application/zip", s.handleExport,
			tag(tagSecurity), api.Deadline(10*time.Minute), codes(often)),
		api.Handle(get, "/user/fans-list", api.User, "Who follows the caller", s.handleFans, tag(tagVideo), full()),
		api.Handle(get, "/user/follow", api.User, "Follow a user, or end it", s.handleFollow, tag(tagVideo), codes(bad, unknown, forbidden, often, noRoom),
			api.About("Every call toggles; a second one within a second changes nothing.")),
		api.Handle(get, "/user/follow-list", api.User, "Whom the caller follows", s.handleFollows, tag(tagVideo), full()),
		api.Handle(get, "/user/info", api.User, "A profile", s.handleUserInfo, tag(tagAccount), codes(unknown)),
		api.Handle(post, "/user/info", api.User, "Change the caller's profile", s.handleSetField, tag(tagAccount), codes(noRoom)),
		api.Handle(post, "/user/login", api.Anyone, "Log in", s.handleLogin, tag(tagAccount), full(), codes(password, often)),
		api.Handle(post, "/user/password", api.User, "Change the password", s.handleChangePassword, tag(tagSecurity), codes(password, often),
			api.About("All other login sessions end.")),
		api.Handle(post, "/user/phone-code", api.Anyone, "Ask for a verification code", s.handlePhoneCode, tag(tagAccount),
			codes(often, protocol.CodePhoneExists, protocol.CodeVerifyOften, protocol.CodeVerifySend)),
		api.Handle(post, "/user/register", api.Anyone, "Sign up with a phone number", s.handleRegister, tag(tagAccount),
			codes(often, conflict, protocol.CodePhoneExists, protocol.CodeVerifyCode, protocol.CodeInviteCode, noRoom)),
		api.Handle(post, "/user/register-by-username", api.Anyone, "Sign up with a user name", s.handleRegisterByUsername, tag(tagAccount),
			full(), api.FailCode(protocol.CodeFailed)),
		api.Handle(post, "/user/search", api.User, "Find a user by name", s.handleSearch, tag(tagContacts), full(), codes(unknown, often)),
		api.Handle(post, "/user/session-revoke", api.User, "Log a session out", s.handleRevokeSession, tag(tagSecurity), codes(unknown),
			api.Alias(del, "/user/sessions")),
		api.Handle(get, "/user/sessions", api.User, "Where the account is logged in", s.handleSessions, tag(tagSecurity)),
		api.Handle(post, "/user/single-device", api.User, "Allow one login session only, or several", s.handleSingleDevice, tag(tagSecurity)),
		api.Handle(get, "/user/subscribe_list", api.User, "Whom the caller follows", s.handleSubscriptions, tag(tagAccount)),
		api.Handle(get, "/user/support-list", api.User, "Who liked the caller's videos", s.handleSupporters, tag(tagVideo), full()),
		api.Handle(get, "/user/support-videos", api.Guest, "Videos somebody liked", s.handleSupportVideos, tag(tagVideo), full(),
			api.Fallback(s.fallbackUserVideos)),
		api.Handle(get, "/user/totp", api.User, "State of the second factor", s.handleTOTP, tag(tagSecurity)),
		api.Handle(post, "/user/totp-confirm", api.User, "Switch the second factor on", s.handleTOTPConfirm, tag(tagSecurity),
			codes(password, often, conflict), api.About("The recovery codes are shown this one time.")),
		api.Handle(post, "/user/totp-disable", api.User, "Switch the second factor off", s.handleTOTPDisable, tag(tagSecurity),
			codes(password, often, conflict)),
		api.Handle(post, "/user/totp-recovery", api.User, "New recovery codes", s.handleTOTPRecovery, tag(tagSecurity),
			codes(password, often, conflict), api.About("The old ones stop working.")),
		api.Handle(post, "/user/totp-setup", api.User, "Prepare the second factor", s.handleTOTPSetup, tag(tagSecurity),
			codes(password, often, conflict), api.About("Nothing changes before /user/totp-confirm.")),
		api.Handle(get, "/user/video-master-info", api.Guest, "The page of somebody who makes videos", s.handleVideoMaster, tag(tagVideo),
			full(), codes(unknown)),
		api.HandleUpload(post, "/video-reupload", api.User, "Give a video of the caller another file", s.uploaded(), s.handleReupload, tag(tagVideo),
			codes(bad, unknown, forbidden, often, noRoom), api.Deadline(uploadDeadline),
			api.About("It is shown as it was until the new file is processed; likes and comments stay.")),
		api.HandleUpload(post, "/video-upload", api.User, "Upload a video", s.uploaded(), s.handleUpload, tag(tagVideo),
			codes(bad, often, noRoom), api.Deadline(uploadDeadline),
			api.About("Answers at once; /video/status and op 21 say how far its processing is.")),
		api.Handle(post, "/video/collect", api.User, "Put a video into the caller's collection, or take it out", s.handleCollect, tag(tagVideo),
			codes(unknown, often, noRoom)),
		api.Handle(post, "/video/comment", api.User, "Comment on a video", s.handleComment, tag(tagVideo), codes(bad, unknown, forbidden, often, noRoom)),
		api.Handle(post, "/video/comment-delete", api.User, "Delete a comment", s.handleDeleteComment, tag(tagVideo), codes(unknown, forbidden, often, noRoom),
			api.About("Its author may, the owner of the video, and system administrators.")),
		api.Handle(post, "/video/comment-like", api.User, "Like a comment, or not any more", s.handleLikeComment, tag(tagVideo), codes(unknown, often, noRoom)),
		api.Handle(get, "/video/comments", api.Guest, "Comments on a video, newest first", s.handleComments, tag(tagVideo), codes(unknown)),
		api.Handle(post, "/video/delete", api.User, "Delete a video", s.handleDeleteVideo, tag(tagVideo), codes(unknown, forbidden, often, noRoom),
			api.About("Its owner may, and system administrators.")),
		api.Handle(post, "/video/edit", api.User, "Change a video of the caller", s.handleEditVideo, tag(tagVideo), codes(bad, unknown, forbidden, often, noRoom)),
		api.Handle(get, "/video/home", api.Guest, "The feed", s.handleHome, tag(tagVideo), full(), api.Fallback(s.fallbackHome),
			api.About("Always has at least one video, whatever is wrong.")),
		api.Handle(post, "/video/incr-share-count", api.User, "Count that the caller shared a video", s.handleShare, tag(tagVideo), codes(unknown, often)),
		api.Handle(get, "/video/info", api.Guest, "A video", s.handleVideoInfo, tag(tagVideo), full(), codes(unknown)),
		api.Handle(get, "/video/mine", api.User, "The caller's videos in any state, newest first", s.handleOwnVideos, tag(tagVideo)),
		api.Handle(post, "/video/not-interested", api.User, "Keep a video out of the caller's feed", s.handleNotInterested, tag(tagVideo),
			codes(unknown, often, noRoom)),
		api.Handle(post, "/video/played", api.Guest, "Count how long a video was watched", s.handlePlayed, tag(tagVideo), codes(bad, unknown, often)),
		api.Handle(get, "/video/status", api.User, "How far the processing of a video of the caller is", s.handleVideoStatus, tag(tagVideo),
			codes(unknown)),
		api.Handle(post, "/video/support", api.User, "Like a video, or not any more", s.handleSupport, tag(tagVideo), codes(unknown, often, noRoom)),
	}
}

// mount adds everything that is no call: files, pages, the long connection and
// what the daemon hands in.
func (s *Server) mount(version string) error {
	files, err := clipFiles(s.deps.Clips)
	if err != nil {
		return err
	}
	info := api.Info{
		Title: s.site.Load().Name, Version: version, Tags: tags,
		Description: "Parameters are accepted from the query, from a form and from a JSON body alike, names in any case, " +
			"numbers as strings and strings as numbers. Every answer has ApiCode and ApiMessage.",
	}
	if s.tus != nil {
		info.Description += "\n\n" + aboutTus
	}
	s.mux.Handle("GET /docs", s.once(func() (http.Handler, error) { return pages.Docs(info, s.Calls()) }))
	s.mux.Handle("GET /openapi.json", s.once(func() (http.Handler, error) {
		doc, err := s.table.OpenAPI(info)
		return pages.Static("application/json", doc), err
	}))
	s.mountPages()
	s.mux.HandleFunc("GET /favicon.ico", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	s.mux.Handle(ClipPath, s.clipHandler(files))
	s.mux.HandleFunc(recordPath, s.serveRecord)
	s.mux.HandleFunc("GET /{$}", s.home)
	s.mux.HandleFunc("/", s.notFound)
	if s.deps.WebSocket != nil {
		s.mux.Handle("/sub", s.deps.WebSocket)
	}
	for pattern, h := range s.deps.Mount {
		if pattern != livePage { // mountPages has it
			s.mux.Handle(pattern, h)
		}
	}
	return nil
}

// aboutTus describes what is no call: another's protocol.
const aboutTus = "Large videos are uploaded in parts by tus 1.0 (https://tus.io; core, creation, creation-with-upload, termination) at /files/, " +
	"with the same Authorization header: POST with Upload-Length and Upload-Metadata makes an upload, PATCH sends a part of it, HEAD says how far it is, " +
	"DELETE gives it up. The metadata are the fields of POST /video-upload (title, tags, visibility) and filename; with videoId it is a POST /video-reupload. " +
	"The answer to the last PATCH has the body of those calls. Eight uploads of a user may be unfinished, each for 24 hours. Refusals have ApiCode and ApiMessage."

// once makes a page when it is first asked for: most daemons never are.
func (s *Server) once(page func() (http.Handler, error)) http.Handler {
	page = sync.OnceValues(page)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h, err := page()
		if err != nil {
			s.log.Error("page not made", "path", r.URL.Path, "err", err)
			api.WriteError(w, http.StatusInternalServerError, protocol.CodeFailed, protocol.Text(s.table.Language(r), "internal"))
			return
		}
		h.ServeHTTP(w, r)
	})
}

// home answers GET /: a page for people, the original's one JSON string for
// programs that look whether the server lives.
func (s *Server) home(w http.ResponseWriter, r *http.Request) {
	if !wantsHTML(r) {
		pages.Text(w, "application/json", http.StatusOK, `"gtiv is running"`)
		return
	}
	b := s.base(r)
	pages.Home(w, pages.HomeView{Name: s.site.Load().Name, Host: b.name(), URL: b.URL(), Language: s.table.Language(r)})
}

// NotFound answers what is not there, for handlers that are mounted.
func (s *Server) NotFound(w http.ResponseWriter, r *http.Request) { s.notFound(w, r) }

// maxShownPath bounds how much of an unknown path is repeated.
const maxShownPath = 80

// notFound answers what nothing else is for: a page for people, the head for
// programs.
func (s *Server) notFound(w http.ResponseWriter, r *http.Request) {
	if toPage(w, r) {
		return
	}
	if wantsHTML(r) {
		pages.NotFound(w, s.site.Load().Name)
		return
	}
	shown := r.URL.EscapedPath() // ASCII only
	api.WriteError(w, http.StatusNotFound, unknown,
		protocol.Text(s.table.Language(r), "noSuchEndpoint", r.Method, shown[:min(len(shown), maxShownPath)]))
}
