package account

import (
	"archive/zip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"gtiv/protocol"
	"gtiv/store"
)

// exportsPerHour is how often one user may have everything read.
const exportsPerHour = 6

// Export writes everything that is stored about the caller as a zip archive of
// JSON files: profile, login sessions, contacts, applications, blocked users,
// whom they follow, their live room with its recordings (what is known of them) and what they wrote in live rooms, groups,
// reports, their videos (what is known of them), likes, collections and comments,
// all private conversations as the caller sees them, and what they wrote in groups,
// those they left among them. It reads a lot, so more than exportsPerHour are
// refused, before anything is written: CodeTooOften.
func (s *Service) Export(ctx context.Context, p Principal, w io.Writer) error {
	if wait := s.exports.Take(strconv.FormatInt(p.User, 10), exportsPerHour); wait > 0 {
		return protocol.TooOften(wait)
	}
	z := zip.NewWriter(w)
	e := exporter{ctx: ctx, s: s, p: p, z: z}
	for _, part := range []struct {
		name string
		make func() (any, error)
	}{
		{"profile.json", e.profile},
		{"sessions.json", e.sessions},
		{"contacts.json", e.contacts},
		{"applications.json", e.applications},
		{"blocked.json", e.blocked},
		{"following.json", e.following},
		{"live.json", e.live},
		{"rooms.json", e.rooms},
		{"reports.json", e.reports},
		{"videos.json", e.videos},
		{"liked.json", func() (any, error) { return e.marked(e.s.store.Liked) }},
		{"collected.json", func() (any, error) { return e.marked(e.s.store.Collected) }},
		{"comments.json", e.comments},
	} {
		v, err := part.make()
		if err != nil {
			return fmt.Errorf("export %s: %w", part.name, err)
		}
		if err := e.write(part.name, v); err != nil {
			return fmt.Errorf("export %s: %w", part.name, err)
		}
	}
	for _, write := range []func() error{e.messages, e.roomMessages} {
		if err := write(); err != nil {
			return fmt.Errorf("export messages: %w", err)
		}
	}
	return z.Close()
}

// exporter lives as long as one export.
type exporter struct {
	ctx context.Context //nolint:containedctx // one call's helper
	s   *Service
	p   Principal
	z   *zip.Writer
}

func (e exporter) write(name string, v any) error {
	enc, err := e.encoder(name)
	if err != nil {
		return err
	}
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// encoder begins a file.
func (e exporter) encoder(name string) (*json.Encoder, error) {
	f, err := e.z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: e.s.now()})
	if err != nil {
		return nil, err
	}
	enc := json.NewEncoder(f)
	enc.SetEscapeHTML(false)
	return enc, nil
}

func exportTime(ms int64) string {
	if ms <= 0 {
		return ""
	}
	return time.UnixMilli(ms).UTC().Format(time.RFC3339Nano)
}

func (e exporter) profile() (any, error) {
	a, err := e.s.store.Account(e.ctx, e.p.User)
	return map[string]any{
		"UserId": a.ID, "Username": a.Username, "Nickname": a.Nickname, "Avatar": a.Avatar, "Birthday": a.Birthday, "Gender": a.Gender,
		"Intro": a.Intro, "TelCode": a.TelCode, "Tel": a.Tel, "Role": a.Role, "Language": a.Language, "CreatedAt": exportTime(a.CreatedAt),
		"TwoFactor": a.TOTP, "SingleDevice": a.SingleDevice,
	}, err
}

func (e exporter) sessions() (any, error) {
	list, err := e.s.store.Sessions(e.ctx, e.p.User)
	out := make([]map[string]any, 0, len(list))
	for _, l := range list {
		out = append(out, map[string]any{"SessionId": l.ID, "Agent": l.Agent, "Address": l.Address,
			"CreatedAt": exportTime(l.CreatedAt), "LastSeen": exportTime(l.LastSeen)})
	}
	return out, err
}

// other is what an export shows of somebody else: no more than they show.
func other(a store.Account) map[string]any {
	return map[string]any{"UserId": a.ID, "Username": a.Username, "Nickname": a.Nickname}
}

func (e exporter) contacts() (any, error) {
	list, err := e.s.store.Contacts(e.ctx, e.p.User)
	out := make([]map[string]any, 0, len(list))
	for _, c := range list {
		m := other(c.User)
		m["Deleted"] = c.Deleted
		out = append(out, m)
	}
	return out, err
}

func (e exporter) applications() (any, error) {
	list, err := e.s.Applications(e.ctx, e.p)
	out := make([]map[string]any, 0, len(list))
	for _, a := range list {
		m := other(a.From)
		m["Message"], m["CreatedAt"] = a.Message, exportTime(a.CreatedAt)
		out = append(out, m)
	}
	return out, err
}

func (e exporter) blocked() (any, error) {
	list, err := e.s.store.Blocked(e.ctx, e.p.User)
	out := make([]map[string]any, 0, len(list))
	for _, a := range list {
		out = append(out, other(a))
	}
	return out, err
}

func (e exporter) following() (any, error) {
	out := []map[string]any{}
	for offset := 0; ; offset += maxRows {
		list, err := e.s.store.Following(e.ctx, e.p.User, offset, maxRows)
		if err != nil {
			return nil, err
		}
		for _, a := range list {
			out = append(out, other(a))
		}
		if len(list) < maxRows {
			return out, nil
		}
	}
}

// live is the caller's live room, and what they wrote in any.
func (e exporter) live() (any, error) {
	r, err := e.s.store.LiveOf(e.ctx, e.p.User)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	list, err := e.s.store.LiveMessagesBy(e.ctx, e.p.User)
	messages := make([]map[string]any, 0, len(list))
	for _, m := range list {
		messages = append(messages, map[string]any{"RoomId": m.Room, "ServerMsgId": m.ServerMsgID, "Time": exportTime(m.Time), "Content": m.Content})
	}
	out := map[string]any{"Messages": messages}
	if r.ID != 0 && err == nil {
		out["RoomId"], out["Title"], out["Cover"], out["Closed"] = r.ID, r.Title, r.Cover, r.Closed
		out["Recordings"], err = e.recordings(r.ID)
	}
	return out, err
}

// recordings are those of a live room.
func (e exporter) recordings(room int64) ([]map[string]any, error) {
	const page = 200
	out := []map[string]any{}
	for before := int64(0); ; {
		list, err := e.s.store.Recordings(e.ctx, room, before, page)
		if err != nil {
			return nil, err
		}
		for _, r := range list {
			before = r.ID
			out = append(out, map[string]any{"Id": r.ID, "Title": r.Title, "Format": r.Format, "Began": exportTime(r.Began), "Ended": exportTime(r.Ended),
				"DurationMs": r.DurationMS, "Bytes": r.Bytes, "VideoId": r.Video})
		}
		if len(list) < page {
			return out, nil
		}
	}
}

// rooms are the groups that the caller belongs to.
func (e exporter) rooms() (any, error) {
	list, err := e.s.store.Memberships(e.ctx, e.p.User)
	out := make([]map[string]any, 0, len(list))
	for _, m := range list {
		out = append(out, map[string]any{"RoomId": m.ID, "Name": m.Name, "Role": m.Member.Role, "JoinedAt": exportTime(m.Member.JoinedAt),
			"MutedUntil": exportTime(m.Member.BannedUntil)})
	}
	return out, err
}

// reports are those that the caller made, without what is about others: the copy
// of a message, which its sender may have taken back, and moderators' notes.
func (e exporter) reports() (any, error) {
	list, err := e.s.store.ReportsBy(e.ctx, e.p.User)
	out := make([]map[string]any, 0, len(list))
	for _, p := range list {
		out = append(out, map[string]any{"ReportId": p.ID, "Kind": p.Kind, "Target": p.Target, "Reason": p.Reason,
			"CreatedAt": exportTime(p.CreatedAt), "ResolvedAt": exportTime(p.ResolvedAt)})
	}
	return out, err
}

func (e exporter) videos() (any, error) {
	out := []map[string]any{}
	for before := int64(0); ; {
		list, err := e.s.store.OwnVideos(e.ctx, e.p.User, before, exportPage)
		if err != nil {
			return nil, err
		}
		for _, v := range list {
			out = append(out, map[string]any{
				"VideoId": v.ID, "Title": v.Title, "File": v.SourceName, "CreatedAt": exportTime(v.CreatedAt), "PublishedAt": exportTime(v.PublishedAt),
				"SupportNum": v.SupportNum, "CollectNum": v.CollectNum, "ShareNum": v.ShareNum, "CommentNum": v.CommentNum, "PlayNum": v.PlayNum,
			})
			before = v.ID
		}
		if len(list) < exportPage {
			return out, nil
		}
	}
}

// marked are videos that the caller likes or collected.
func (e exporter) marked(list func(ctx context.Context, user int64) ([]store.MarkedVideo, error)) (any, error) {
	all, err := list(e.ctx, e.p.User)
	out := make([]map[string]any, 0, len(all))
	for _, m := range all {
		out = append(out, map[string]any{"VideoId": m.Video, "UserId": m.Owner, "Time": exportTime(m.At)})
	}
	return out, err
}

func (e exporter) comments() (any, error) {
	list, err := e.s.store.CommentsBy(e.ctx, e.p.User)
	out := make([]map[string]any, 0, len(list))
	for _, c := range list {
		out = append(out, map[string]any{"CommentId": c.ID, "VideoId": c.Video, "ReplyTo": c.Parent, "Time": exportTime(c.CreatedAt), "Content": c.Content})
	}
	return out, err
}

const exportPage = 500

// messages writes one file per private conversation, newest message first, a
// JSON object a line.
func (e exporter) messages() error {
	list, err := e.s.store.PrivatePositions(e.ctx, e.p.User)
	if err != nil {
		return err
	}
	for _, c := range list {
		if err := e.conversation(c); err != nil {
			return err
		}
	}
	return nil
}

func (e exporter) conversation(c store.Position) error {
	return e.lines(fmt.Sprintf("messages/user-%d.jsonl", c.Peer), func(below uint64) ([]store.Message, error) {
		return e.s.store.History(e.ctx, c.Conversation, below, exportPage)
	})
}

// roomMessages writes one file for each group in which the caller wrote something.
func (e exporter) roomMessages() error {
	list, err := e.s.store.RoomsEver(e.ctx, e.p.User)
	if err != nil {
		return err
	}
	for _, room := range list {
		err := e.lines(fmt.Sprintf("messages/room-%d.jsonl", room), func(below uint64) ([]store.Message, error) {
			return e.s.store.RoomMessagesBy(e.ctx, room, e.p.User, below, exportPage)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// lines writes a file of messages, if there are any, page by page.
func (e exporter) lines(name string, read func(below uint64) ([]store.Message, error)) error {
	var enc *json.Encoder
	for below := uint64(0); ; {
		page, err := read(below)
		if err != nil {
			return err
		}
		for _, m := range page {
			if m.Gone != store.Here || m.HiddenFrom == e.p.User {
				continue
			}
			if enc == nil {
				if enc, err = e.encoder(name); err != nil {
					return err
				}
			}
			if err := enc.Encode(exportMessage(m, protocol.LanguageOf(e.p.Language, e.s.cfg.Load().Language))); err != nil {
				return err
			}
		}
		if len(page) < exportPage {
			return nil
		}
		below = page[len(page)-1].Seq
	}
}

func exportMessage(m store.Message, language string) map[string]any {
	content := m.Content
	if m.System {
		content = protocol.RenderSystem(language, content)
	}
	out := map[string]any{"ServerMsgId": m.ServerMsgID, "Seq": m.Seq, "Time": exportTime(m.Time), "From": m.From, "Type": m.Type, "Content": content}
	if m.Kind == store.KindRoom {
		out["RoomId"] = m.Room
	} else {
		out["To"] = m.To
	}
	return out
}
