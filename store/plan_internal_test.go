package store

import (
	"context"
	"errors"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// scansAllowed are rare queries of operators and housekeeping that may read a
// whole table, by how they begin.
var scansAllowed = []string{
	`SELECT count(*) FROM account WHERE deleted_at`,                                      // CountAccounts
	`SELECT code, note`,                                                                  // Invites
	`SELECT c.id, (SELECT max(seq)`,                                                      // ConversationsOver: conversations, not messages
	`DELETE FROM application WHERE created_at`,                                           // ExpireApplications
	`DELETE FROM login_session WHERE revoked_at`,                                         // ForgetRevoked
	`DELETE FROM reserved_name`,                                                          // FreeNames
	`SELECT id, conversation_id, seq, time FROM message ORDER`,                           // ExpireMessages: in order of id, with a limit
	`SELECT prefix, reason`,                                                              // AddressBans
	`DELETE FROM address_ban WHERE expires_at`,                                           // ForgetAddressBans
	`SELECT ` + announcementColumns + ` FROM announcement`,                               // Announcements: in order of id, with a limit; unfinished ones: the whole of a partial index
	`SELECT r.id, r.owner_id, r.title, r.cover, r.state, r.slow`,                         // Lives: in order of their index, with a limit
	`SELECT time, actor`,                                                                 // AuditEntries: in order of id, with a limit
	`DELETE FROM audit WHERE id IN`,                                                      // ForgetAudit: in order of id, with a limit
	`WITH counted AS`,                                                                    // RepairCounters
	`SELECT ` + recordingColumns + ` FROM recording o WHERE o.deleted_at = 0 AND o.id <`, // Recordings of all rooms: in order of id, with a limit
	`PRAGMA quick_check`,                                                                 // QuickCheck
	`SELECT max(coalesce((SELECT time FROM message`,                                      // NewestTime: the last row of each table
}

// Every query that the store ran is asked for its plan; none may read a whole
// table but those above.
func TestQueriesDoNotScanTables(t *testing.T) {
	s := openTest(t)
	runEverything(t, s)
	for _, cache := range []*stmtCache{s.stmts, s.w.stmts} {
		cache.mu.RLock()
		defer cache.mu.RUnlock()
		if len(cache.m) < 20 {
			t.Errorf("only %d queries were run", len(cache.m))
		}
		for query := range cache.m {
			if !allowed(query) {
				checkPlan(t, s, query)
			}
		}
	}
}

func allowed(query string) bool {
	for _, p := range scansAllowed {
		if strings.HasPrefix(query, p) {
			return true
		}
	}
	return query == "COMMIT" || query == "ROLLBACK" || query == "BEGIN IMMEDIATE"
}

// A scan of a table is named; one of a constant or of the rows made by the query
// itself is not.
var tableScan = regexp.MustCompile(`^SCAN (account|a|address_ban|announcement|application|p|audit|block|k|contact|c|conversation|follow|f|invite|login_session|live_room|live_message|live_mute|live_moderator|live_word|message|m|recovery_code|report|reserved_name|room|r|room_member|room_former|room_link|l|room_request|q|setting|video|v|video_support|video_collect|s|tag|t|video_tag|g|comment|o|recording|comment_like|notice|n|video_seen|not_interested|media_gone|video_import|i)( |$)`)

// One of two kinds narrows nothing down: that is half of the table.
var kindScan = regexp.MustCompile(` \(kind=\?\)`)

func checkPlan(t *testing.T, s *Store, query string) {
	t.Helper()
	rows, err := s.read.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+query, make([]any, placeholders(query))...)
	if err != nil {
		t.Errorf("%s: %v", query, err)
		return
	}
	lines, err := collect(rows, nil, func(r scanner) (string, error) {
		var a, b, c int
		var detail string
		err := r.Scan(&a, &b, &c, &detail)
		return detail, err
	})
	if err != nil {
		t.Errorf("%s: %v", query, err)
	}
	for _, l := range lines {
		// An index that covers no condition is walked from end to end, too.
		if kindScan.MatchString(l) || tableScan.MatchString(l) && !keysetPage(query) {
			t.Errorf("%s\n\tscans: %s", query, l)
		}
	}
}

// keysetPage is the list of accounts: by id from a place on, with a limit.
func keysetPage(query string) bool {
	return strings.Contains(query, "ORDER BY a.id LIMIT")
}

func placeholders(query string) int {
	n, most := 0, 0
	for _, p := range regexp.MustCompile(`\?\d*`).FindAllString(query, -1) {
		if k, err := strconv.Atoi(p[1:]); err == nil {
			most = max(most, k)
		} else {
			n++
			most = max(most, n)
		}
	}
	return most
}

// runEverything calls each method once, so that its queries are in the caches.
func runEverything(t *testing.T, s *Store) {
	t.Helper()
	ctx := t.Context()
	a, b := makeFriends(t, s)
	m, err := s.SendPrivate(ctx, NewMessage{From: a, To: b, Content: "x", ClientMsgID: "c"})
	_, _ = s.RecallPrivate(ctx, NewMessage{From: a, To: b, Type: 6}, m.ServerMsgID, 0)
	_, _ = s.MessageByID(ctx, m.ServerMsgID)
	_, _ = s.Sent(ctx, a, "c")
	_, _ = s.PrivatePositions(ctx, a)
	_, _ = s.Incoming(ctx, m.Conversation, b, 0, 10)
	_, _ = s.History(ctx, m.Conversation, 0, 10)
	_, _ = s.SeqAt(ctx, m.Conversation, m.Time)
	_, _ = s.CountMessages(ctx)
	_, _ = s.ConversationsOver(ctx, 10, 10)
	_, _ = s.CutConversation(ctx, m.Conversation, 1, 10)
	_, _ = s.ExpireMessages(ctx, 1<<60, 10)
	_, _ = s.Applications(ctx, a, 0, 10)
	_, _ = s.Contacts(ctx, a)
	_, _ = s.AreContacts(ctx, a, b)
	_, _ = s.IsBlocked(ctx, a, b)
	_, _ = s.Blocked(ctx, a)
	_, _ = s.Following(ctx, a, 0, 10)
	_, _ = s.IsFollowing(ctx, a, b)
	_ = s.Block(ctx, a, b)
	_ = s.Unblock(ctx, a, b)
	_, _ = s.DeleteContact(ctx, a, b)
	_ = s.RefuseApplication(ctx, a, b)
	_ = s.ExpireApplications(ctx, 1)
	_, _ = s.ForgetAudit(ctx, time.Hour, 10, 10)
	session, _, err2 := s.Login(ctx, NewLogin{Account: a, TokenHash: make([]byte, 32), Alone: true})
	_, _, _ = s.SessionByToken(ctx, make([]byte, 32))
	_, _ = s.Sessions(ctx, a)
	_ = s.Seen(ctx, map[int64]int64{session: 1})
	_ = s.SetTOTPSecret(ctx, a, []byte("x"))
	_ = s.ConfirmTOTP(ctx, a, 1, [][]byte{{1}})
	_, _ = s.TOTP(ctx, a)
	_ = s.UseTOTPStep(ctx, a, 2)
	_ = s.UseRecoveryCode(ctx, a, []byte{1})
	_ = s.DisableTOTP(ctx, a)
	_, _ = s.Revoke(ctx, a, session)
	_ = s.ForgetRevoked(ctx, time.Hour)
	_, _ = s.Account(ctx, a)
	_, _ = s.AccountByName(ctx, "user0")
	_, _ = s.Accounts(ctx, Filter{Limit: 10})
	_, _ = s.CountAccounts(ctx)
	_ = s.SetProfile(ctx, a, "avatar", "x")
	_ = s.SetProfile(ctx, a, "nickname", "x")
	_ = s.SetLanguage(ctx, a, "en")
	_ = s.SetSingleDevice(ctx, a, true)
	_, _ = s.SetPassword(ctx, a, "x", 0)
	_ = s.UpgradeHash(ctx, a, "x", "y")
	_, _ = s.Ban(ctx, a, 1, "x")
	runLive(ctx, s, a, b)
	runRecord(t, s, a)
	runRooms(t, s, a, b)
	runVideo(t, s, a, b)
	_, err3 := s.CreateInvite(ctx, Invite{Code: "x", MaxUses: 1})
	_, _ = s.Invites(ctx)
	_, _ = s.InviteUsable(ctx, "x")
	_, _ = s.CreateAccount(ctx, NewAccount{Username: "joined", Nickname: "x", Role: RoleUser, Invite: "x"})
	_ = s.RevokeInvite(ctx, "x")
	_, _, _ = s.DeleteAccount(ctx, a, 0, QuitTexts{})
	_ = s.FreeNames(ctx)
	_, _ = s.Setting(ctx, "x")
	_ = s.SetSetting(ctx, "x", "y")
	_ = s.Audit(ctx, AuditEntry{})
	_, _ = s.AuditEntries(ctx, AuditFilter{Limit: 10})
	report, err4 := s.CreateReport(ctx, Report{Reporter: b, Kind: "user", Target: "1", Reason: "x"})
	_, _ = s.Reports(ctx, true, 0, 10)
	_, _ = s.ReportsBy(ctx, b)
	_, _ = s.ResolveReport(ctx, report.ID, "", "", "")
	_, _ = s.Reports(ctx, false, 0, 10)
	_, err7 := s.ForgetReports(ctx, time.Hour, 10)
	_, _ = s.SetAddressBan(ctx, AddressBan{Prefix: "192.0.2.1/32"})
	_, _ = s.AddressBans(ctx)
	_ = s.DeleteAddressBan(ctx, "192.0.2.1/32")
	_ = s.ForgetAddressBans(ctx)
	announcement, err5 := s.CreateAnnouncement(ctx, "x", "")
	_, _ = s.UnfinishedAnnouncements(ctx)
	_, err6 := s.Announce(ctx, announcement.ID, 0, 10, NewMessage{})
	_, _ = s.Announcements(ctx, 10)
	for _, err := range []error{err, err2, err3, err4, err5, err6, err7, s.Healthy(ctx)} {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// runRooms calls what reads rooms without being a member.
func runRooms(t *testing.T, s *Store, owner, member int64) {
	t.Helper()
	ctx := t.Context()
	m, err := s.CreateRoom(ctx, NewRoom{
		Owner: owner, Invitees: []int64{member}, Strangers: true, Name: func(string) string { return "r" }, MemberLimit: 9, First: NewRoomMessage{From: owner},
	})
	_, err2 := s.Rooms(ctx, RoomFilter{Query: "r", Limit: 10})
	_, err3 := s.Room(ctx, m.Room)
	_, err4 := s.RoomCounts(ctx, m.Room)
	_, err5 := s.Memberships(ctx, member)
	_, err6 := s.RoomsEver(ctx, member)
	_, err7 := s.RoomMessagesBy(ctx, m.Room, owner, 0, 10)
	_, err9 := s.RoomPositions(ctx, member)
	_, err10 := s.RoomPosition(ctx, m.Room, member)
	_, err11 := s.RoomMembers(ctx, m.Room, MemberFilter{Limit: 10})
	_, err12 := s.RoomMemberIDs(ctx, m.Room)
	_, err13 := s.Languages(ctx, []int64{member})
	_, err14 := s.RoomsOf(ctx, member)
	err8 := s.Dissolve(ctx, By{Admin: true}, m.Room, NewRoomMessage{})
	if err := errors.Join(err, err2, err3, err4, err5, err6, err7, err8, err9, err10, err11, err12, err13, err14); err != nil {
		t.Fatal(err)
	}
}

func runLive(ctx context.Context, s *Store, owner, reader int64) {
	r, _ := s.CreateLive(ctx, owner, "x", "", nil)
	act := LiveAction{Actor: owner, Room: r.ID, Rank: LiveOwner, Action: "x", Notice: "{}"}
	on := act
	on.Target = reader
	m, _ := s.SendLive(ctx, NewLiveMessage{Room: r.ID, From: reader, Content: "x", ClientMsgID: "c"})
	_, _ = s.LiveMessageByID(ctx, m.ServerMsgID)
	_ = s.EditLive(ctx, act, "y", "")
	_ = s.SetLiveSlow(ctx, act, 1)
	_ = s.SetLiveWords(ctx, act, []string{"x"})
	_ = s.SetLiveModerators(ctx, act, []int64{reader})
	_ = s.MuteLive(ctx, on, 1<<60)
	_ = s.UnmuteLive(ctx, on)
	_ = s.DeleteLiveMessage(ctx, act, m.ServerMsgID)
	_, _ = s.LiveMuted(ctx, r.ID, reader)
	_, _ = s.LiveRank(ctx, r, reader)
	_, _ = s.LiveWords(ctx, r.ID)
	_, _ = s.LiveModerators(ctx, r.ID)
	_, _ = s.LiveMessages(ctx, r.ID, 10)
	_, _ = s.LiveMessagesBy(ctx, reader)
	_, _ = s.LiveOf(ctx, owner)
	_, _ = s.LiveSent(ctx, reader, "c")
	_, _ = s.Lives(ctx, 7, 10)
	_, _ = s.Live(ctx, r.ID)
	_, _, _ = s.ExpireLive(ctx, 1<<60, 10)
	_ = s.CloseLive(ctx, act)
}

func runRecord(t *testing.T, s *Store, owner int64) {
	t.Helper()
	ctx := t.Context()
	live, err := s.LiveOf(ctx, owner)
	err2 := s.SetLiveRecord(ctx, owner, live.ID, "mp4")
	_, err3 := s.LiveRecord(ctx, live.ID)
	r, err4 := s.CreateRecording(ctx, live.ID, "mp4", "", 10)
	_, err5 := s.Recording(ctx, r.ID)
	err6 := s.RecordingGrew(ctx, r.ID, 1, 1)
	_, err7 := s.RunningRecordings(ctx, 0, 10)
	err8 := s.EndRecording(ctx, r.ID, 1, 1, "")
	err9 := s.PublishRecording(ctx, r.ID, 1)
	_, err10 := s.Recordings(ctx, live.ID, 0, 10)
	_, err11 := s.Recordings(ctx, 0, 0, 10)
	_, err12 := s.RecordingBytes(ctx, owner)
	_, err13 := s.ExpireRecordings(ctx, 1, 10)
	err14 := s.LoseRecording(ctx, r.ID, "x")
	err15 := s.DeleteRecording(ctx, r.ID)
	_, err16 := s.GoneRecordings(ctx, 0, 10)
	err17 := s.ForgetRecording(ctx, r.ID)
	if err := errors.Join(err, err2, err3, err4, err5, err6, err7, err8, err9, err10, err11, err12, err13, err14, err15, err16, err17); err != nil {
		t.Fatal(err)
	}
}

func runVideo(t *testing.T, s *Store, owner, viewer int64) {
	t.Helper()
	ctx := t.Context()
	v, err := s.CreateVideo(ctx, NewVideo{Owner: owner, Title: "x", Tags: []string{"x"}, SourceHash: "h"})
	_, err2 := s.StartVideo(ctx, v.ID)
	_, err3 := s.FinishVideo(ctx, v.ID, VideoResult{Hash: "h", Key: "k"})
	title := "y"
	_, err4 := s.EditVideo(ctx, owner, v.ID, VideoEdit{Title: &title})
	_, _, err5 := s.ToggleFollow(ctx, viewer, owner)
	for range 2 {
		for _, on := range []bool{true, false} {
			_, _, _ = s.Support(ctx, viewer, v.ID, on)
			_, _ = s.Collect(ctx, viewer, v.ID, on)
		}
	}
	c, _, err6 := s.AddComment(ctx, NewComment{Video: v.ID, User: viewer, Content: "x", Mentions: []int64{owner, viewer}})
	r, _, err7 := s.AddComment(ctx, NewComment{Video: v.ID, User: owner, Content: "x", ReplyTo: c.ID, Mentions: []int64{viewer}})
	_, _ = s.LikeComment(ctx, viewer, c.ID, true)
	_, _ = s.LikeComment(ctx, viewer, c.ID, false)
	_, _ = s.Video(ctx, v.ID)
	_, _ = s.VideoBySource(ctx, owner, "h", "x")
	_, _ = s.VideoUploadedSince(ctx, owner, "h", "x", 0, 1)
	_, _ = s.CreateVideo(ctx, NewVideo{Owner: owner, UploadID: "u", Quota: 1 << 40})
	_, _ = s.ServedVideo(ctx, viewer, false, "gone")
	_, _ = s.FailVideo(ctx, v.ID, "other", "x", true)
	_, _ = s.VideosInState(ctx, VideoQueued, 0, 10)
	_, _ = s.ShownVideo(ctx, viewer, v.ID)
	shown, err8 := s.ShownVideos(ctx, viewer, []int64{v.ID})
	if len(shown) != 1 {
		t.Errorf("%d videos are shown", len(shown))
	}
	for _, list := range []func() (int, error){
		func() (int, error) { l, err := s.VideosBy(ctx, viewer, owner, 0, 10); return len(l), err },
		func() (int, error) { l, err := s.OwnVideos(ctx, owner, 0, 10); return len(l), err },
		func() (int, error) { _, err := s.VideoBytes(ctx, owner); return 1, err },
		func() (int, error) { _, err := s.SourceUsed(ctx, "s"); return 1, err },
		func() (int, error) { _, err := s.Replacements(ctx, 0, 10); return 1, err },
		func() (int, error) { _, err := s.VideosWithSource(ctx, 0, 10); return 1, err },
		func() (int, error) { _, err := s.GoneMedia(ctx, 10); return 1, err },
		func() (int, error) { _, err := s.ServedVideo(ctx, viewer, false, "k"); return 1, err },
		func() (int, error) { l, err := s.VideoTags(ctx, v.ID); return len(l), err },
		func() (int, error) { l, err := s.Follows(ctx, viewer, 10); return len(l), err },
		func() (int, error) { l, err := s.Fans(ctx, owner, 10); return len(l), err },
		func() (int, error) { l, err := s.FreshVideos(ctx, 10); return len(l), err },
		func() (int, error) { l, err := s.TopVideos(ctx, 10); return len(l), err },
		func() (int, error) { l, err := s.VideosFrom(ctx, 1, 10); return len(l), err },
		func() (int, error) { l, err := s.FollowedFrom(ctx, viewer, 1, 10); return len(l), err },
		func() (int, error) { l, err := s.NewestBy(ctx, owner, 10); return len(l), err },
		func() (int, error) { l, err := s.TrendingTags(ctx, 1, 10); return len(l), err },
		func() (int, error) { l, err := s.Comments(ctx, viewer, v.ID, 0, 10); return len(l), err },
		func() (int, error) { l, err := s.Replies(ctx, viewer, v.ID, c.ID, 0, 10); return len(l), err },
		func() (int, error) { l, err := s.Notices(ctx, owner, 0, 10); return len(l), err },
		func() (int, error) { l, _, err := s.SearchAccounts(ctx, "use", 0, 10); return len(l), err },
		func() (int, error) { l, _, err := s.SearchVideos(ctx, viewer, "y", 0, 10); return len(l), err },
		func() (int, error) { l, _, err := s.SearchTags(ctx, "x", 0, 10); return len(l), err },
		func() (int, error) { l, _, err := s.TaggedVideos(ctx, viewer, "x", 0, 10); return len(l), err },
	} {
		if n, err := list(); err != nil || n == 0 {
			t.Errorf("an empty list: %v", err)
		}
	}
	_, _, _ = s.ToggleFollow(ctx, viewer, owner)
	s.w.toggles = map[relKey]int64{}
	_, _, _ = s.ToggleFollow(ctx, viewer, owner)
	_, _ = s.PrivateVideos(ctx, owner)
	for _, state := range []int{AnyState, VideoReady, VideoFailed} {
		for _, by := range []int64{0, owner} {
			for _, oldest := range []bool{false, true} {
				if _, err := s.AllVideos(ctx, VideoFilter{State: state, Owner: by, Oldest: oldest, Limit: 10}); err != nil {
					t.Error(err)
				}
			}
		}
	}
	_, _ = s.VideoKeys(ctx, "", 10)
	_, _ = s.KeyUsed(ctx, "k")
	_ = s.NoteImport(ctx, owner, "h", "x", v.ID)
	_, _ = s.ImportedVideo(ctx, owner, "h", "x")
	_, _ = s.SupportedBy(ctx, viewer, viewer, 0, 10)
	_, _ = s.CollectedBy(ctx, viewer, 0, 10)
	_, _ = s.Supporters(ctx, owner, 10)
	_, _ = s.Liked(ctx, viewer)
	_, _ = s.Collected(ctx, viewer)
	_, _ = s.CommentsBy(ctx, viewer)
	_ = s.AddVideoCounts(ctx, map[int64]VideoCounts{v.ID: {Plays: 1}})
	_, _ = s.Notify(ctx, []Notice{{User: owner, Kind: NoticeSystem}})
	_, _ = s.NotifyVideo(ctx, v.ID, []int64{viewer})
	_, _ = s.UnreadNotices(ctx, owner)
	_ = s.ReadNotices(ctx, owner, 0)
	_, _, _ = s.LastIDs(ctx)
	_, _ = s.BlockedIDs(ctx, viewer, 10)
	_ = s.SaveSeen(ctx, map[int64][]SeenVideo{viewer: {{v.ID, 1}}})
	_, _ = s.SeenVideos(ctx, viewer)
	_ = s.SetNotInterested(ctx, viewer, v.ID)
	_, _ = s.NotInterested(ctx, viewer)
	_, _ = s.RepairCounters(ctx, false)
	_, err9 := s.RepairCounters(ctx, true)
	_, _ = s.SetVideoState(ctx, v.ID, VideoHidden, "x")
	_, _ = s.DeleteComment(ctx, viewer, false, r.ID)
	_, _ = s.DeleteVideo(ctx, owner, false, v.ID)
	_, _ = s.VideosToClean(ctx, 10)
	_ = s.VideoCleaned(ctx, v.ID)
	if err := errors.Join(err, err2, err3, err4, err5, err6, err7, err8, err9); err != nil {
		t.Fatal(err)
	}
}
