package web

import (
	"gtiv/daemon/web/api"
	"gtiv/protocol"
)

// handleContacts serves GET /contacts/list.
func (s *Server) handleContacts(c *api.Call, _ *protocol.NoRequest) (*protocol.ContactsReply, error) {
	list, err := s.deps.Account.Contacts(c.Context(), principal(c))
	if err != nil {
		return nil, err
	}
	rep := &protocol.ContactsReply{}
	for _, o := range list {
		item := protocol.ContactItem{
			UserID: text(o.User.ID), Username: o.User.Username, Nickname: o.User.Nickname,
			Avatar: avatar(o.User), Gender: o.User.Gender,
		}
		if o.Deleted {
			item.Deleted = 1
		}
		rep.List = append(rep.List, item)
	}
	return rep, nil
}

// contactAccepted is the Type that accepts; the app refuses with 2, older texts
// say 0 (wire.md 6 M3).
const contactAccepted = 1

// handleAnswerApplication serves POST /contacts/add.
func (s *Server) handleAnswerApplication(c *api.Call, req *protocol.ContactAnswerRequest) (*protocol.HeadReply, error) {
	return nil, s.deps.Account.AnswerApplication(c.Context(), principal(c), req.UserID, req.Type == contactAccepted)
}

// handleDeleteContact serves DELETE /contacts and DELETE /contacts/delete.
func (s *Server) handleDeleteContact(c *api.Call, req *protocol.UserRequest) (*protocol.HeadReply, error) {
	return nil, s.deps.Account.DeleteContact(c.Context(), principal(c), req.UserID)
}

// handleApplications serves GET /chat/addme-list.
func (s *Server) handleApplications(c *api.Call, _ *protocol.NoRequest) (*protocol.ApplicationsReply, error) {
	list, err := s.deps.Account.Applications(c.Context(), principal(c))
	if err != nil {
		return nil, err
	}
	rep := &protocol.ApplicationsReply{}
	for _, a := range list {
		rep.List = append(rep.List, protocol.ApplicationItem{
			UserID: a.From.ID, Avatar: avatar(a.From), Nick: a.From.Nickname, Msg: a.Message,
			Time: a.CreatedAt / 1000, Username: a.From.Username, Gender: a.From.Gender,
		})
	}
	return rep, nil
}

// handleBlock serves POST /contacts/block.
func (s *Server) handleBlock(c *api.Call, req *protocol.UserRequest) (*protocol.HeadReply, error) {
	return nil, s.deps.Account.Block(c.Context(), principal(c), req.UserID)
}

// handleUnblock serves POST /contacts/unblock.
func (s *Server) handleUnblock(c *api.Call, req *protocol.UserRequest) (*protocol.HeadReply, error) {
	return nil, s.deps.Account.Unblock(c.Context(), principal(c), req.UserID)
}

// handleBlocked serves GET /contacts/blocked.
func (s *Server) handleBlocked(c *api.Call, _ *protocol.NoRequest) (*protocol.PeopleReply, error) {
	list, err := s.deps.Account.Blocked(c.Context(), principal(c))
	if err != nil {
		return nil, err
	}
	return &protocol.PeopleReply{List: people(list)}, nil
}
