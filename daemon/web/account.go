package web

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"gtiv/daemon/account"
	"gtiv/daemon/video"
	"gtiv/daemon/web/api"
	"gtiv/protocol"
	"gtiv/store"
)

// text is a number as the contract's strings hold it.
func text(id int64) string { return strconv.FormatInt(id, 10) }

// avatar is the picture's URL as clients get it. The app keeps pictures by the
// last segment of the URL, query included, and never asks again, while the app
// itself uploads to a name that stays the same: so the version of the profile
// goes into the URL (wire.md 13).
func avatar(a store.Account) string {
	if !strings.HasPrefix(a.Avatar, "http") || a.Version == 0 {
		return a.Avatar
	}
	u, err := url.Parse(a.Avatar)
	if err != nil || u.RawQuery != "" {
		return a.Avatar
	}
	u.RawQuery = "v=" + text(a.Version)
	return u.String()
}

func loginReply(l *account.Login) *protocol.LoginReply {
	a := &l.Account
	return &protocol.LoginReply{Userinfo: &protocol.Userinfo{
		UserID: a.ID, UserRole: a.Role, Nickname: a.Nickname, Username: a.Username, Avatar: avatar(*a), Gender: a.Gender,
		FansNum: a.FansNum, CollectNum: a.CollectNum, SupportNum: a.SupportNum, CreateVideoNum: video.Listed(*a),
		CollectVideoNum: a.CollectVideoNum, FollowNum: a.FollowNum, Version: a.Version,
		ContactsVersion: 0, // the app then fetches what changed while it was logged out (wire.md 4.1)
		Token:           l.Token, LastLoginTime: a.LastLoginTime,
	}}
}

// handleLogin serves POST /user/login.
func (s *Server) handleLogin(c *api.Call, req *protocol.LoginRequest) (*protocol.LoginReply, error) {
	l, err := s.deps.Account.Login(c.Context(), origin(c), req.Username, req.Password)
	if err != nil {
		return nil, err
	}
	return loginReply(l), nil
}

// handleRegisterByUsername serves POST /user/register-by-username.
func (s *Server) handleRegisterByUsername(c *api.Call, req *protocol.RegisterByUsernameRequest) (*protocol.LoginReply, error) {
	l, err := s.deps.Account.RegisterByUsername(c.Context(), origin(c), req.Username, req.Password, req.InviteCode)
	if err != nil {
		return nil, err
	}
	return loginReply(l), nil
}

// handleRegister serves POST /user/register.
func (s *Server) handleRegister(c *api.Call, req *protocol.RegisterRequest) (*protocol.RegisterReply, error) {
	l, err := s.deps.Account.RegisterByPhone(c.Context(), origin(c), req.TelCode, req.Tel, req.VerifyCode, req.Password, req.InviteCode)
	if err != nil {
		return nil, err
	}
	return &protocol.RegisterReply{Token: l.Token, LastLoginTime: l.Account.LastLoginTime, UID: text(l.Account.ID)}, nil
}

// handlePhoneCode serves POST /user/phone-code.
func (s *Server) handlePhoneCode(c *api.Call, req *protocol.PhoneCodeRequest) (*protocol.HeadReply, error) {
	return nil, s.deps.Account.RequestPhoneCode(c.Context(), origin(c), req.TelCode, req.Tel)
}

// handleUserInfo serves GET /user/info. The caller's own login time is nobody
// else's business.
func (s *Server) handleUserInfo(c *api.Call, req *protocol.UserInfoRequest) (*protocol.UserInfoReply, error) {
	id := req.UserID
	if id == 0 {
		id = c.Principal.User
	}
	a, err := s.deps.Account.Info(c.Context(), id)
	if err != nil {
		return nil, err
	}
	rep := &protocol.UserInfoReply{
		UserID: text(a.ID), UserRole: a.Role, Nickname: a.Nickname, Username: a.Username, Avatar: avatar(a), Gender: a.Gender,
		Birthday: a.Birthday, Version: a.Version, ContactsVersion: a.ContactsVersion,
		FansNum: a.FansNum, FollowNum: a.FollowNum, SupportNum: a.SupportNum, CollectNum: a.CollectNum,
		CollectVideoNum: a.CollectVideoNum, CreateVideoNum: video.Listed(a),
	}
	if id == c.Principal.User {
		rep.LastLoginTime = a.LastLoginTime
	}
	return rep, nil
}

// handleSetField serves POST /user/info.
func (s *Server) handleSetField(c *api.Call, req *protocol.SetFieldRequest) (*protocol.HeadReply, error) {
	return nil, s.deps.Account.SetField(c.Context(), principal(c), req.Field, req.Value)
}

// handleSearch serves POST /user/search.
func (s *Server) handleSearch(c *api.Call, req *protocol.SearchRequest) (*protocol.SearchReply, error) {
	a, err := s.deps.Account.Search(c.Context(), principal(c), req.Username)
	if err != nil {
		return nil, err
	}
	return &protocol.SearchReply{UserID: text(a.ID), Username: a.Username, Nickname: a.Nickname, Avatar: avatar(a)}, nil
}

// Pages of lists (wire.md 4.1 subscribe_list).
const (
	defaultRows = 15
	maxRows     = 50
)

// handleSubscriptions serves GET /user/subscribe_list.
func (s *Server) handleSubscriptions(c *api.Call, req *protocol.PageRequest) (*protocol.PeopleReply, error) {
	rows := req.Rows
	if rows <= 0 {
		rows = defaultRows
	}
	list, err := s.deps.Account.Subscriptions(c.Context(), principal(c), max(req.Page, 1), min(rows, maxRows))
	if err != nil {
		return nil, err
	}
	return &protocol.PeopleReply{List: people(list)}, nil
}

func people(list []store.Account) []protocol.Person {
	out := make([]protocol.Person, 0, len(list))
	for _, a := range list {
		out = append(out, protocol.Person{UserID: text(a.ID), Nickname: a.Nickname, Avatar: avatar(a)})
	}
	return out
}

// handleChangePassword serves POST /user/password.
func (s *Server) handleChangePassword(c *api.Call, req *protocol.ChangePasswordRequest) (*protocol.HeadReply, error) {
	return nil, s.deps.Account.ChangePassword(c.Context(), principal(c), origin(c), req.OldPassword, req.NewPassword)
}

// handleSessions serves GET /user/sessions.
func (s *Server) handleSessions(c *api.Call, _ *protocol.NoRequest) (*protocol.SessionsReply, error) {
	list, err := s.deps.Account.Sessions(c.Context(), principal(c))
	if err != nil {
		return nil, err
	}
	rep := &protocol.SessionsReply{}
	for _, l := range list {
		rep.List = append(rep.List, protocol.SessionItem{
			SessionID: l.ID, Agent: l.Agent, Address: l.Address, CreatedAt: l.CreatedAt, LastSeen: l.LastSeen,
			Current: l.ID == c.Principal.Session,
		})
	}
	return rep, nil
}

// handleRevokeSession serves POST /user/session-revoke.
func (s *Server) handleRevokeSession(c *api.Call, req *protocol.SessionRequest) (*protocol.HeadReply, error) {
	return nil, s.deps.Account.RevokeSession(c.Context(), principal(c), req.SessionID)
}

// handleSingleDevice serves POST /user/single-device.
func (s *Server) handleSingleDevice(c *api.Call, req *protocol.SwitchRequest) (*protocol.HeadReply, error) {
	return nil, s.deps.Account.SetSingleDevice(c.Context(), principal(c), req.On)
}

// handleDelete serves POST /user/delete.
func (s *Server) handleDelete(c *api.Call, req *protocol.DeleteAccountRequest) (*protocol.HeadReply, error) {
	if req.Username != "" {
		a, err := s.deps.Account.Info(c.Context(), c.Principal.User)
		if err != nil {
			return nil, err
		}
		if !strings.EqualFold(a.Username, req.Username) {
			return nil, protocol.Errorf(protocol.CodeForbidden, "forbidden")
		}
	}
	return nil, s.deps.Account.Delete(c.Context(), principal(c), origin(c), req.Password)
}

// handleExport serves GET /user/export.
func (s *Server) handleExport(c *api.Call, _ *protocol.NoRequest, w http.ResponseWriter) error {
	w.Header().Set("Content-Disposition", fmt.Sprintf(`attachment; filename="gtiv-%d.zip"`, c.Principal.User))
	return s.deps.Account.Export(c.Context(), principal(c), w)
}

// handleTOTP serves GET /user/totp.
func (s *Server) handleTOTP(c *api.Call, _ *protocol.NoRequest) (*protocol.TOTPReply, error) {
	on, left, err := s.deps.Account.TOTPStatus(c.Context(), principal(c))
	if err != nil {
		return nil, err
	}
	return &protocol.TOTPReply{On: on, RecoveryLeft: left}, nil
}

// handleTOTPSetup serves POST /user/totp-setup.
func (s *Server) handleTOTPSetup(c *api.Call, req *protocol.PasswordRequest) (*protocol.TOTPSetupReply, error) {
	secret, u, err := s.deps.Account.TOTPSetup(c.Context(), principal(c), origin(c), req.Password)
	if err != nil {
		return nil, err
	}
	return &protocol.TOTPSetupReply{Secret: secret, URL: u}, nil
}

// handleTOTPConfirm serves POST /user/totp-confirm.
func (s *Server) handleTOTPConfirm(c *api.Call, req *protocol.CodeRequest) (*protocol.RecoveryReply, error) {
	codes, err := s.deps.Account.TOTPConfirm(c.Context(), principal(c), req.Code)
	if err != nil {
		return nil, err
	}
	return &protocol.RecoveryReply{List: codes}, nil
}

// handleTOTPDisable serves POST /user/totp-disable.
func (s *Server) handleTOTPDisable(c *api.Call, req *protocol.PasswordCodeRequest) (*protocol.HeadReply, error) {
	return nil, s.deps.Account.TOTPDisable(c.Context(), principal(c), origin(c), req.Password, req.Code)
}

// handleTOTPRecovery serves POST /user/totp-recovery.
func (s *Server) handleTOTPRecovery(c *api.Call, req *protocol.PasswordCodeRequest) (*protocol.RecoveryReply, error) {
	codes, err := s.deps.Account.TOTPRecovery(c.Context(), principal(c), origin(c), req.Password, req.Code)
	if err != nil {
		return nil, err
	}
	return &protocol.RecoveryReply{List: codes}, nil
}
