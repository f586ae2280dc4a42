package web

import (
	"strconv"
	"time"

	"gtiv/daemon/chat"
	"gtiv/daemon/web/api"
	"gtiv/protocol"
)

// roleMember is the role of an ordinary member.
const roleMember = 10

// handleRooms serves GET /room/list.
func (s *Server) handleRooms(c *api.Call, _ *protocol.NoRequest) (*protocol.RoomsReply, error) {
	list, err := s.deps.Chat.Rooms(c.Context(), caller(c))
	if err != nil {
		return nil, err
	}
	rep := &protocol.RoomsReply{}
	for _, r := range list {
		rep.List = append(rep.List, protocol.RoomItem{
			RoomID: text(r.ID), RoomName: r.Name, Avatar: r.Avatar, MemberNum: r.MemberNum, MemberLimit: r.MemberLimit,
		})
	}
	return rep, nil
}

// handleRoomInfo serves GET /room/info. The app also asks with the id of a user
// and must then not hear that everybody is muted (wire.md 17 K7).
func (s *Server) handleRoomInfo(c *api.Call, req *protocol.RoomRequest) (*protocol.RoomInfoReply, error) {
	v, err := s.deps.Chat.Room(c.Context(), caller(c), req.RoomID)
	if err != nil {
		return nil, err
	}
	return &protocol.RoomInfoReply{
		BannedAll: v.MutedAll, BannedUser: v.MutedUser, ID: text(req.RoomID), Avatar: v.Avatar, MemberNum: v.MemberNum,
		RoomName: v.Name, IsMember: v.Role != 0, Role: v.Role,
	}, nil
}

// handleMemberInfo serves GET /room/member_info.
func (s *Server) handleMemberInfo(c *api.Call, req *protocol.MemberRequest) (*protocol.MemberReply, error) {
	id := req.UserID
	if id == 0 {
		id = c.Principal.User
	}
	m, err := s.deps.Chat.Member(c.Context(), caller(c), req.RoomID, id)
	if err != nil {
		return nil, err
	}
	return &protocol.MemberReply{Avatar: avatar(m.Account), Nickname: m.Account.Nickname, CreateTime: m.JoinedAt / 1000, Role: m.Role}, nil
}

// fallbackMember keeps the role sensible in a failed reply.
func fallbackMember(_ *api.Call, rep *protocol.MemberReply) { rep.Role = roleMember }

// Pages of members (wire.md 4.4).
const (
	defaultMemberRows = 15
	maxMemberRows     = 50
)

// handleMembers serves GET /room/member_list.
func (s *Server) handleMembers(c *api.Call, req *protocol.MembersRequest) (*protocol.MembersReply, error) {
	rows := req.Rows
	if rows <= 0 {
		rows = defaultMemberRows
	}
	list, err := s.deps.Chat.Members(c.Context(), caller(c), req.RoomID, req.Nickname, min(max(req.Page, 1), 1_000_000), min(rows, maxMemberRows))
	if err != nil {
		return nil, err
	}
	rep := &protocol.MembersReply{}
	for _, m := range list {
		rep.List = append(rep.List, protocol.MemberItem{
			Avatar: avatar(m.Account), Nickname: m.Account.Nickname, UserID: text(m.User), Role: m.Role,
			CreateTime: time.UnixMilli(m.JoinedAt).UTC().Format(time.RFC3339),
		})
	}
	return rep, nil
}

// handleMemberIDs serves GET /room/memberids.
func (s *Server) handleMemberIDs(c *api.Call, req *protocol.RoomRequest) (*protocol.MemberIDsReply, error) {
	ids, err := s.deps.Chat.MemberIDs(c.Context(), caller(c), req.RoomID)
	return &protocol.MemberIDsReply{List: ids}, err
}

// handleInvite serves POST /room/invite.
func (s *Server) handleInvite(c *api.Call, req *protocol.InviteRequest) (*protocol.InviteReply, error) {
	ids, err := chat.ParseIDs("UserIds", req.UserIDs)
	if err != nil {
		return nil, err
	}
	r, err := s.deps.Chat.Invite(c.Context(), caller(c), req.RoomID, ids, req.Message)
	if err != nil {
		return nil, err
	}
	return &protocol.InviteReply{RoomID: text(r.Room), Message: r.Text, RoomName: r.Name}, nil
}

// fallbackInvite keeps the room's id a number, which the app reads it as.
func fallbackInvite(_ *api.Call, rep *protocol.InviteReply) { rep.RoomID = "0" }

// handleRoomAvatar serves POST /room/modify_avatar.
func (s *Server) handleRoomAvatar(c *api.Call, req *protocol.RoomAvatarRequest) (*protocol.HeadReply, error) {
	return nil, s.deps.Chat.SetRoomAvatar(c.Context(), caller(c), req.RoomID, req.Avatar)
}

// handleRoomName serves POST /room/modify_name.
func (s *Server) handleRoomName(c *api.Call, req *protocol.RoomNameRequest) (*protocol.HeadReply, error) {
	return nil, s.deps.Chat.RenameRoom(c.Context(), caller(c), req.RoomID, req.Name)
}

// handleSetNotice serves POST /room/modify_notice.
func (s *Server) handleSetNotice(c *api.Call, req *protocol.RoomNoticeRequest) (*protocol.HeadReply, error) {
	return nil, s.deps.Chat.SetRoomNotice(c.Context(), caller(c), req.RoomID, req.Content)
}

// handleNotice serves GET /room/get_notice.
func (s *Server) handleNotice(c *api.Call, req *protocol.RoomRequest) (*protocol.RoomNoticeReply, error) {
	n, err := s.deps.Chat.Notice(c.Context(), caller(c), req.RoomID)
	return &protocol.RoomNoticeReply{Content: n}, err
}

// handleQuit serves POST /room/quit.
func (s *Server) handleQuit(c *api.Call, req *protocol.RoomRequest) (*protocol.HeadReply, error) {
	return nil, s.deps.Chat.QuitRoom(c.Context(), caller(c), req.RoomID)
}

// handleRoomBan serves POST /room/banned_to_post.
func (s *Server) handleRoomBan(c *api.Call, req *protocol.RoomBanRequest) (*protocol.HeadReply, error) {
	return nil, s.deps.Chat.MuteRoom(c.Context(), caller(c), req.RoomID, req.UserID, req.Type)
}

// handleRoomUnban serves POST /room/relieve_banned_to_post.
func (s *Server) handleRoomUnban(c *api.Call, req *protocol.RoomUserRequest) (*protocol.HeadReply, error) {
	return nil, s.deps.Chat.UnmuteRoom(c.Context(), caller(c), req.RoomID, req.UserID)
}

// handleRoomBanned serves POST /room/banned_list.
func (s *Server) handleRoomBanned(c *api.Call, req *protocol.RoomRequest) (*protocol.BannedReply, error) {
	list, err := s.deps.Chat.Muted(c.Context(), caller(c), req.RoomID)
	rep := &protocol.BannedReply{}
	for _, m := range list {
		rep.List = append(rep.List, protocol.BannedItem{
			UserID: text(m.User), Expire: m.BannedUntil / 1000, Nickname: m.Account.Nickname, Avatar: avatar(m.Account),
		})
	}
	return rep, err
}

// handleRemoveMember serves DELETE /room/remove_member.
func (s *Server) handleRemoveMember(c *api.Call, req *protocol.RoomUserRequest) (*protocol.HeadReply, error) {
	return nil, s.deps.Chat.RemoveMember(c.Context(), caller(c), req.RoomID, req.UserID)
}

// handleRoomAdmins serves POST /room/admin_list.
func (s *Server) handleRoomAdmins(c *api.Call, req *protocol.RoomRequest) (*protocol.AdminsReply, error) {
	list, err := s.deps.Chat.Admins(c.Context(), caller(c), req.RoomID)
	rep := &protocol.AdminsReply{}
	for _, m := range list {
		rep.List = append(rep.List, protocol.AdminItem{UserID: text(m.User), Nickname: m.Account.Nickname, Avatar: avatar(m.Account), Role: m.Role})
	}
	return rep, err
}

// handleSetAdmins serves POST /room/set_admin.
func (s *Server) handleSetAdmins(c *api.Call, req *protocol.RoomAdminsRequest) (*protocol.HeadReply, error) {
	ids, err := chat.ParseIDs("UserIds", req.UserIDs)
	if err != nil {
		return nil, err
	}
	return nil, s.deps.Chat.SetAdmins(c.Context(), caller(c), req.RoomID, ids)
}

// handleTransfer serves POST /room/transfer.
func (s *Server) handleTransfer(c *api.Call, req *protocol.RoomUserRequest) (*protocol.HeadReply, error) {
	return nil, s.deps.Chat.TransferRoom(c.Context(), caller(c), req.RoomID, req.UserID)
}

// handleDissolve serves POST /room/dissolve.
func (s *Server) handleDissolve(c *api.Call, req *protocol.RoomRequest) (*protocol.HeadReply, error) {
	return nil, s.deps.Chat.DissolveRoom(c.Context(), caller(c), req.RoomID)
}

// handleRoomOptions serves POST /room/options.
func (s *Server) handleRoomOptions(c *api.Call, req *protocol.RoomOptionsRequest) (*protocol.HeadReply, error) {
	approval, err := optionalBool("Approval", req.Approval)
	if err != nil {
		return nil, err
	}
	open, err := optionalBool("OpenInvite", req.OpenInvite)
	if err != nil {
		return nil, err
	}
	return nil, s.deps.Chat.SetRoomOptions(c.Context(), caller(c), req.RoomID, approval, open)
}

// optionalBool reads what may be missing.
func optionalBool(field, v string) (*bool, error) {
	if v == "" {
		return nil, nil
	}
	b, err := strconv.ParseBool(v)
	if err != nil {
		return nil, protocol.Errorf(protocol.CodeBadValue, "notBool", field)
	}
	return &b, nil
}

// faqs are the questions and answers in protocol/text.
var faqs = [][2]string{{"faqTitle1", "faqText1"}, {"faqTitle2", "faqText2"}, {"faqTitle3", "faqText3"}}

// handleFAQ serves GET /room/faq.
func (s *Server) handleFAQ(c *api.Call, _ *protocol.NoRequest) (*protocol.FAQReply, error) {
	rep := &protocol.FAQReply{}
	for _, q := range faqs {
		rep.List = append(rep.List, protocol.FAQItem{Title: protocol.Text(c.Language, q[0]), Content: protocol.Text(c.Language, q[1])})
	}
	return rep, nil
}

// handleCreateLink serves POST /room/link.
func (s *Server) handleCreateLink(c *api.Call, req *protocol.RoomLinkRequest) (*protocol.RoomLinkReply, error) {
	const longest = int64(1<<63-1) / int64(time.Second)
	valid := time.Duration(min(max(req.ValidSeconds, -1), longest)) * time.Second
	l, err := s.deps.Chat.CreateLink(c.Context(), caller(c), req.RoomID, valid, req.Uses)
	return &protocol.RoomLinkReply{Code: l.Code, Expires: l.ExpiresAt / 1000, Uses: l.MaxUses}, err
}

// handleLinks serves GET /room/link.
func (s *Server) handleLinks(c *api.Call, req *protocol.RoomRequest) (*protocol.RoomLinksReply, error) {
	list, err := s.deps.Chat.Links(c.Context(), caller(c), req.RoomID)
	rep := &protocol.RoomLinksReply{}
	for _, l := range list {
		rep.List = append(rep.List, protocol.RoomLinkItem{
			Code: l.Code, Expires: l.ExpiresAt / 1000, Uses: l.MaxUses, Used: l.Uses, Created: l.CreatedAt / 1000,
		})
	}
	return rep, err
}

// handleRevokeLink serves POST /room/link-revoke.
func (s *Server) handleRevokeLink(c *api.Call, req *protocol.RoomLinkRef) (*protocol.HeadReply, error) {
	return nil, s.deps.Chat.RevokeLink(c.Context(), caller(c), req.RoomID, req.Code)
}

// handleJoin serves POST /room/join.
func (s *Server) handleJoin(c *api.Call, req *protocol.JoinRequest) (*protocol.JoinReply, error) {
	r, joined, err := s.deps.Chat.JoinRoom(c.Context(), caller(c), req.Code, req.Message)
	return &protocol.JoinReply{RoomID: text(r.ID), RoomName: r.Name, Joined: joined}, err
}

// handleRoomRequests serves GET /room/requests.
func (s *Server) handleRoomRequests(c *api.Call, req *protocol.RoomRequest) (*protocol.RoomRequestsReply, error) {
	list, err := s.deps.Chat.Requests(c.Context(), caller(c), req.RoomID)
	rep := &protocol.RoomRequestsReply{}
	for _, q := range list {
		rep.List = append(rep.List, protocol.RoomRequestItem{
			UserID: text(q.From.ID), Nickname: q.From.Nickname, Avatar: avatar(q.From), Message: q.Message, Time: q.CreatedAt / 1000,
		})
	}
	return rep, err
}

// handleRoomAnswer serves POST /room/answer.
func (s *Server) handleRoomAnswer(c *api.Call, req *protocol.RoomAnswerRequest) (*protocol.HeadReply, error) {
	return nil, s.deps.Chat.AnswerRequest(c.Context(), caller(c), req.RoomID, req.UserID, req.Accept)
}
