package control

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"gtiv/daemon/account"
	"gtiv/protocol"
	"gtiv/store"
)

func (s *Server) listUsers(ctx context.Context, c *call) (any, error) {
	f, err := userFilter(c.url.Query())
	if err != nil {
		return nil, err
	}
	found, next, err := s.deps.Accounts.List(ctx, f)
	if err != nil {
		return nil, err
	}
	reply := protocol.UserList{List: []protocol.User{}, Next: next}
	for _, a := range found {
		reply.List = append(reply.List, s.user(a))
	}
	return reply, nil
}

func userFilter(q url.Values) (account.Filter, error) {
	f := account.Filter{Query: q.Get("Query"), Banned: q.Get("Banned") == "true", Admins: q.Get("Admins") == "true", Limit: protocol.DefaultControlPage}
	if v := q.Get("After"); v != "" {
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil || n < 0 {
			return f, badRequest("After is not an id")
		}
		f.After = n
	}
	if v := q.Get("Limit"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 || n > protocol.MaxControlPage {
			return f, badRequest(fmt.Sprintf("Limit must be between 1 and %d", protocol.MaxControlPage))
		}
		f.Limit = n
	}
	return f, nil
}

func (s *Server) addUser(ctx context.Context, c *call) (any, error) {
	req, err := decode[protocol.AddUser](c)
	if err != nil {
		return nil, err
	}
	role := store.RoleUser
	if req.Admin {
		role = store.RoleAdmin
	}
	a, err := s.deps.Accounts.Add(ctx, req.Username, req.Password, req.Nickname, role)
	if err != nil {
		return nil, err
	}
	c.target, c.detail = userTarget(a), "role "+roleName(a.Role)
	return s.user(a), nil
}

func (s *Server) setPassword(ctx context.Context, c *call) (any, error) {
	req, err := decode[protocol.SetPassword](c)
	if err != nil {
		return nil, err
	}
	a, err := s.target(ctx, c, req.User)
	if err != nil {
		return nil, err
	}
	if err := s.deps.Accounts.SetPassword(ctx, a.ID, req.Password); err != nil {
		return nil, err
	}
	return s.user(a), nil
}

func (s *Server) banUser(ctx context.Context, c *call) (any, error) {
	req, err := decode[protocol.BanUser](c)
	if err != nil {
		return nil, err
	}
	if !req.Until.IsZero() && !req.Until.After(time.Now()) {
		return nil, badRequest("the end of the ban is in the past")
	}
	if utf8.RuneCountInString(req.Reason) > protocol.MaxControlReasonRunes {
		return nil, badRequest(fmt.Sprintf("the reason has more than %d characters", protocol.MaxControlReasonRunes))
	}
	a, err := s.target(ctx, c, req.User)
	if err != nil {
		return nil, err
	}
	if err := s.deps.Accounts.Ban(ctx, a.ID, req.Until, req.Reason); err != nil {
		return nil, err
	}
	c.detail = "for ever"
	if !req.Until.IsZero() {
		c.detail = "until " + req.Until.UTC().Format(time.RFC3339)
	}
	if req.Reason != "" {
		c.detail += ": " + req.Reason
	}
	return s.again(ctx, a)
}

func (s *Server) unbanUser(ctx context.Context, c *call) (any, error) {
	req, err := decode[protocol.UserRef](c)
	if err != nil {
		return nil, err
	}
	a, err := s.target(ctx, c, req.User)
	if err != nil {
		return nil, err
	}
	if err := s.deps.Accounts.Unban(ctx, a.ID); err != nil {
		return nil, err
	}
	return s.again(ctx, a)
}

func (s *Server) listSessions(ctx context.Context, c *call) (any, error) {
	a, err := s.find1(ctx, c.url.Query().Get("User"))
	if err != nil {
		return nil, err
	}
	found, err := s.deps.Accounts.SessionsOf(ctx, a.ID)
	if err != nil {
		return nil, err
	}
	reply := protocol.SessionList{User: s.user(a), List: []protocol.LoginSession{}}
	for _, l := range found {
		reply.List = append(reply.List, protocol.LoginSession{
			ID: l.ID, Agent: l.Agent, Address: l.Address,
			CreatedAt: atMs(l.CreatedAt), LastSeen: atMs(l.LastSeen), RevokedAt: atMs(l.RevokedAt),
		})
	}
	return reply, nil
}

func (s *Server) revokeSessions(ctx context.Context, c *call) (any, error) {
	req, err := decode[protocol.RevokeSessions](c)
	if err != nil {
		return nil, err
	}
	a, err := s.target(ctx, c, req.User)
	if err != nil {
		return nil, err
	}
	n, err := s.deps.Accounts.Revoke(ctx, a.ID, req.Session)
	if err != nil {
		return nil, err
	}
	c.detail = fmt.Sprintf("%d sessions", n)
	if req.Session != 0 {
		c.detail = fmt.Sprintf("session %d", req.Session)
	}
	return protocol.Revoked{Sessions: n}, nil
}

func (s *Server) listCodes(context.Context, *call) (any, error) {
	reply := protocol.PhoneCodeList{List: []protocol.PhoneCode{}}
	for _, p := range s.deps.Accounts.Codes() {
		reply.List = append(reply.List, protocol.PhoneCode{Phone: p.Phone, Code: p.Code, ExpiresAt: p.ExpiresAt, Tries: p.Tries})
	}
	return reply, nil
}

// find1 finds one user by id or name.
func (s *Server) find1(ctx context.Context, who string) (store.Account, error) {
	if who == "" {
		return store.Account{}, badRequest("User is missing")
	}
	return s.deps.Accounts.Find(ctx, who)
}

// target finds the user that a change is about, and keeps moderators from
// changing anything about administrators.
func (s *Server) target(ctx context.Context, c *call, who string) (store.Account, error) {
	a, err := s.find1(ctx, who)
	if err != nil {
		return a, err
	}
	if a.Role > store.RoleUser && c.role < protocol.RoleAdmin {
		return a, &httpError{http.StatusForbidden, &protocol.ControlError{
			Code: protocol.ControlDenied, Message: "only administrators may do this to an administrator", Hint: "The group gtiv-admin gives the right.",
		}}
	}
	c.target = userTarget(a)
	return a, nil
}

// again is the user after a change.
func (s *Server) again(ctx context.Context, a store.Account) (any, error) {
	a, err := s.deps.Accounts.Info(ctx, a.ID)
	if err != nil {
		return nil, err
	}
	return s.user(a), nil
}

func (s *Server) user(a store.Account) protocol.User {
	u := protocol.User{
		ID: a.ID, Username: a.Username, Nickname: a.Nickname, Role: roleName(a.Role), Online: s.deps.Online(a.ID), TwoFactor: a.TOTP,
		CreatedAt: atMs(a.CreatedAt), LastLogin: atMs(a.LastLoginTime * 1000), DeletedAt: atMs(a.DeletedAt),
		Banned: a.BannedUntil > time.Now().UnixMilli(),
	}
	if a.Tel != "" {
		u.Phone = "+" + strings.TrimPrefix(a.TelCode, "+") + " " + a.Tel
	}
	if u.Banned {
		u.BanReason = a.BanReason
		if a.BannedUntil < endOfTime {
			u.BannedUntil = atMs(a.BannedUntil)
		}
	}
	return u
}

// endOfTime, the year 9999 in ms, is where RFC 3339 ends; a ban beyond it is
// for ever.
const endOfTime = 253370764800000

func userTarget(a store.Account) string { return fmt.Sprintf("user %d %s", a.ID, a.Username) }

func roleName(role int) string {
	switch {
	case role >= store.RoleDeveloper:
		return "developer"
	case role >= store.RoleAdmin:
		return "admin"
	default:
		return "user"
	}
}

// atMs is a time of the store; 0 is none.
func atMs(ms int64) time.Time {
	if ms <= 0 || ms == math.MaxInt64 {
		return time.Time{}
	}
	return time.UnixMilli(min(ms, endOfTime)).UTC()
}

// list is never null in JSON.
func list[T any](l []T) []T {
	if l == nil {
		return []T{}
	}
	return l
}

func joined(what string, keys []string) string {
	if len(keys) == 0 {
		return ""
	}
	return what + " " + strings.Join(keys, ",")
}
