package web

import (
	"strings"

	"gtiv/daemon/web/api"
	"gtiv/protocol"
)

// This file answers for groups as long as there are none: the calls whose
// client does not survive anything but a full reply (wire.md 2.4, 4.4).

// roleMember is the role of an ordinary member.
const roleMember = 10

// handleRooms serves GET /room/list.
func (s *Server) handleRooms(*api.Call, *protocol.NoRequest) (*protocol.RoomsReply, error) {
	return &protocol.RoomsReply{}, nil
}

// handleRoomInfo serves GET /room/info. The app also asks with the id of a user
// and must then not hear that everybody is muted (wire.md 17 K7).
func (s *Server) handleRoomInfo(_ *api.Call, req *protocol.RoomRequest) (*protocol.RoomInfoReply, error) {
	return &protocol.RoomInfoReply{ID: text(req.RoomID)}, nil
}

// handleMemberInfo serves GET /room/member_info: who is no member is answered
// as an ordinary one, because the app asks about former ones.
func (s *Server) handleMemberInfo(c *api.Call, req *protocol.MemberRequest) (*protocol.MemberReply, error) {
	id := req.UserID
	if id == 0 {
		id = c.Principal.User
	}
	a, err := s.deps.Account.Info(c.Context(), id)
	if err != nil {
		return nil, err
	}
	return &protocol.MemberReply{Avatar: avatar(a), Nickname: a.Nickname, Role: roleMember}, nil
}

// fallbackMember keeps the role sensible in a failed reply.
func fallbackMember(_ *api.Call, rep *protocol.MemberReply) { rep.Role = roleMember }

// handleMembers serves GET /room/member_list.
func (s *Server) handleMembers(*api.Call, *protocol.MembersRequest) (*protocol.MembersReply, error) {
	return &protocol.MembersReply{}, nil
}

// handleInvite serves POST /room/invite.
func (s *Server) handleInvite(*api.Call, *protocol.InviteRequest) (*protocol.InviteReply, error) {
	return nil, protocol.Errorf(protocol.CodeFailed, "noGroups")
}

// fallbackInvite keeps the room's id a number, which the app reads it as.
func fallbackInvite(_ *api.Call, rep *protocol.InviteReply) { rep.RoomID = "0" }

// handleRoomAvatar serves POST /room/modify_avatar. The app sends the path of a
// file on the phone here; the URL follows in a message (wire.md 17 K9).
func (s *Server) handleRoomAvatar(_ *api.Call, req *protocol.RoomAvatarRequest) (*protocol.HeadReply, error) {
	if !strings.HasPrefix(req.Avatar, "http://") && !strings.HasPrefix(req.Avatar, "https://") {
		return nil, nil
	}
	return nil, protocol.Errorf(protocol.CodeUnknown, "noSuchRoom")
}
