package cli

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"gtiv/protocol"
)

// UserCmd is "gtiv user".
type UserCmd struct {
	List     UserListCmd     `cmd:"" help:"List accounts."`
	Add      UserAddCmd      `cmd:"" help:"Make an account."`
	Passwd   UserPasswdCmd   `cmd:"" help:"Set a password and end all sessions of the user."`
	Ban      UserBanCmd      `cmd:"" help:"Shut a user out and end all sessions of the user."`
	Unban    UserUnbanCmd    `cmd:"" help:"Let a user in again."`
	Sessions UserSessionsCmd `cmd:"" help:"List the devices on which a user is logged in."`
	Revoke   UserRevokeCmd   `cmd:"" help:"End a session of a user, or all."`
	Code     UserCodeCmd     `cmd:"" help:"Show the phone verification codes that wait to be typed in."`
}

// UserListCmd is "gtiv user list".
type UserListCmd struct {
	Target
	Query  string `arg:"" optional:"" help:"Part of the user name or nickname."`
	Banned bool   `help:"Only who is banned."`
	Admins bool   `help:"Only administrators."`
	All    bool   `help:"All pages instead of the first."`
	After  int64  `help:"Go on after this id."`
	Limit  int    `default:"50" help:"Rows of a page, 1 to 200."`
}

// Run lists one page, or all.
func (c *UserListCmd) Run(ctx context.Context, streams *IO) error {
	cl := c.client()
	defer cl.Close()
	f := protocol.UserFilter{Query: c.Query, After: c.After, Limit: c.Limit, Banned: c.Banned, Admins: c.Admins}
	reply, err := cl.Users(ctx, f)
	if err != nil {
		return err
	}
	for c.All && reply.Next != 0 {
		f.After = reply.Next
		page, err := cl.Users(ctx, f)
		if err != nil {
			return err
		}
		if page.Next <= reply.Next && page.Next != 0 {
			return fmt.Errorf("list users: the daemon's pages do not end (after %d)", page.Next)
		}
		reply.List, reply.Next = append(reply.List, page.List...), page.Next
	}
	if c.JSON {
		return writeJSON(streams.Out, reply)
	}
	return printUsers(streams.Out, reply)
}

func printUsers(w io.Writer, reply *protocol.UserList) error {
	t := table{head: []string{"ID", "USER", "NICKNAME", "ROLE", "STATE", "CREATED", "LAST LOGIN"}}
	for _, u := range reply.List {
		t.add(strconv.FormatInt(u.ID, 10), u.Username, u.Nickname, u.Role, userState(u), at(u.CreatedAt), at(u.LastLogin))
	}
	text := t.String()
	if reply.Next != 0 {
		text += fmt.Sprintf("More: --after %d, or --all\n", reply.Next)
	}
	_, err := io.WriteString(w, text)
	return err
}

func userState(u protocol.User) string {
	switch {
	case !u.DeletedAt.IsZero():
		return "deleted"
	case u.Banned && u.BannedUntil.IsZero():
		return "banned"
	case u.Banned:
		return "banned until " + at(u.BannedUntil)
	case u.Online:
		return "online"
	default:
		return "-"
	}
}

// UserAddCmd is "gtiv user add".
type UserAddCmd struct {
	Target
	Name          string `arg:"" help:"User name."`
	Nickname      string `help:"Name that others see; the user name if left out."`
	Admin         bool   `help:"Make an administrator."`
	PasswordStdin bool   `help:"Read the password from the terminal or standard input; without this one is generated and printed."`
}

// added is what --json prints: the password only if it was generated.
type added struct {
	protocol.User
	Password string `json:",omitempty"`
}

// Run makes the account.
func (c *UserAddCmd) Run(ctx context.Context, streams *IO) error {
	password, generated := generatePassword(), true
	if c.PasswordStdin {
		var err error
		if password, err = readPassword(ctx, streams); err != nil {
			return err
		}
		generated = false
	}
	cl := c.client()
	defer cl.Close()
	u, err := cl.AddUser(ctx, protocol.AddUser{Username: c.Name, Password: password, Nickname: c.Nickname, Admin: c.Admin})
	if err != nil {
		return err
	}
	if c.JSON {
		reply := added{User: *u}
		if generated {
			reply.Password = password
		}
		return writeJSON(streams.Out, reply)
	}
	text := fmt.Sprintf("Made %s.\n", nameOf(u))
	if generated {
		text += fmt.Sprintf("Password: %s\nIt was generated, is not stored in readable form and will not be shown again.\n", password)
	}
	_, err = io.WriteString(streams.Out, text)
	return err
}

// UserPasswdCmd is "gtiv user passwd".
type UserPasswdCmd struct {
	Target
	User          string `arg:"" help:"Id or user name; @NAME for a name of digits."`
	PasswordStdin bool   `help:"Read the password from standard input; the default where that is no terminal."`
	Generate      bool   `help:"Generate a password and print it."`
}

// Run sets the password.
func (c *UserPasswdCmd) Run(ctx context.Context, streams *IO) error {
	if c.Generate && c.PasswordStdin {
		return &UsageError{Text: "--generate and --password-stdin exclude each other"}
	}
	password := generatePassword()
	if !c.Generate {
		var err error
		if password, err = readPassword(ctx, streams); err != nil {
			return err
		}
	}
	cl := c.client()
	defer cl.Close()
	u, err := cl.SetPassword(ctx, protocol.SetPassword{User: c.User, Password: password})
	if err != nil {
		return err
	}
	if c.JSON {
		reply := added{User: *u}
		if c.Generate {
			reply.Password = password
		}
		return writeJSON(streams.Out, reply)
	}
	text := fmt.Sprintf("The password of %s was changed and all sessions were ended.\n", nameOf(u))
	if c.Generate {
		text += fmt.Sprintf("Password: %s\nIt will not be shown again.\n", password)
	}
	_, err = io.WriteString(streams.Out, text)
	return err
}

// UserBanCmd is "gtiv user ban".
type UserBanCmd struct {
	Target
	User   string   `arg:"" help:"Id or user name; @NAME for a name of digits."`
	For    duration `placeholder:"TIME" help:"How long, such as 24h, 7d or 2w; for ever if left out."`
	Reason string   `help:"Shown to the user."`
}

// Run bans.
func (c *UserBanCmd) Run(ctx context.Context, streams *IO) error {
	cl := c.client()
	defer cl.Close()
	req := protocol.BanUser{User: c.User, Reason: c.Reason}
	if c.For > 0 {
		req.Until = time.Now().Add(time.Duration(c.For))
	}
	u, err := cl.Ban(ctx, req)
	if err != nil {
		return err
	}
	until := "for ever"
	if !u.BannedUntil.IsZero() {
		until = "until " + at(u.BannedUntil)
	}
	return c.show(streams, u, fmt.Sprintf("%s is banned %s.\n", nameOf(u), until))
}

// show prints a user after a change.
func (t Target) show(streams *IO, u *protocol.User, text string) error {
	if t.JSON {
		return writeJSON(streams.Out, u)
	}
	_, err := io.WriteString(streams.Out, text)
	return err
}

// UserUnbanCmd is "gtiv user unban".
type UserUnbanCmd struct {
	Target
	User string `arg:"" help:"Id or user name; @NAME for a name of digits."`
}

// Run ends a ban.
func (c *UserUnbanCmd) Run(ctx context.Context, streams *IO) error {
	cl := c.client()
	defer cl.Close()
	u, err := cl.Unban(ctx, c.User)
	if err != nil {
		return err
	}
	return c.show(streams, u, nameOf(u)+" may log in again.\n")
}

// UserSessionsCmd is "gtiv user sessions".
type UserSessionsCmd struct {
	Target
	User string `arg:"" help:"Id or user name; @NAME for a name of digits."`
}

// Run lists sessions.
func (c *UserSessionsCmd) Run(ctx context.Context, streams *IO) error {
	cl := c.client()
	defer cl.Close()
	reply, err := cl.Sessions(ctx, c.User)
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(streams.Out, reply)
	}
	t := table{head: []string{"SESSION", "DEVICE", "ADDRESS", "SINCE", "LAST SEEN"}}
	for _, s := range reply.List {
		t.add(strconv.FormatInt(s.ID, 10), orDash(s.Agent), orDash(s.Address), at(s.CreatedAt), at(s.LastSeen))
	}
	_, err = fmt.Fprintf(streams.Out, "%s\n%s", nameOf(&reply.User), t.String())
	return err
}

// UserRevokeCmd is "gtiv user revoke".
type UserRevokeCmd struct {
	Target
	User    string `arg:"" help:"Id or user name; @NAME for a name of digits."`
	Session int64  `arg:"" optional:"" help:"Session, from gtiv user sessions."`
	All     bool   `help:"All sessions of the user."`
}

// Run ends sessions.
func (c *UserRevokeCmd) Run(ctx context.Context, streams *IO) error {
	if (c.Session != 0) == c.All {
		return &UsageError{Text: "name one session, or give --all"}
	}
	cl := c.client()
	defer cl.Close()
	reply, err := cl.Revoke(ctx, protocol.RevokeSessions{User: c.User, Session: c.Session})
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(streams.Out, reply)
	}
	_, err = fmt.Fprintf(streams.Out, "%s ended.\n", counted(reply.Sessions, "session"))
	return err
}

// UserCodeCmd is "gtiv user code".
type UserCodeCmd struct {
	Target
	Phone string `arg:"" optional:"" help:"Only of this phone number; its last digits are enough."`
}

// Run shows codes.
func (c *UserCodeCmd) Run(ctx context.Context, streams *IO) error {
	cl := c.client()
	defer cl.Close()
	reply, err := cl.Codes(ctx)
	if err != nil {
		return err
	}
	shown := []protocol.PhoneCode{}
	for _, p := range reply.List {
		if strings.HasSuffix(digits(p.Phone), digits(c.Phone)) {
			shown = append(shown, p)
		}
	}
	reply.List = shown
	if c.JSON {
		return writeJSON(streams.Out, reply)
	}
	t := table{head: []string{"PHONE", "CODE", "VALID UNTIL", "TRIES LEFT"}}
	for _, p := range shown {
		t.add(p.Phone, p.Code, at(p.ExpiresAt), strconv.Itoa(p.Tries))
	}
	_, err = io.WriteString(streams.Out, t.String())
	return err
}

// digits compares phone numbers however they are written.
func digits(s string) string {
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, s)
}

// nameOf is how a sentence names a user.
func nameOf(u *protocol.User) string {
	return fmt.Sprintf("%s (%d)", fit(clean(u.Username), maxCell), u.ID)
}
