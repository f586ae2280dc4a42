package live

import (
	"context"

	"gtiv/protocol"
	"gtiv/store"
)

// Viewer is who wants to watch.
type Viewer struct {
	User int64 // 0: a guest
	// Link: they came by a link that was signed for the room with this LinkEpoch.
	Link  bool
	Epoch int64
}

// MayWatch says whether somebody may watch a room. Codes: CodeUnknown (no such room,
// or it is closed), CodeForbidden.
func (s *Service) MayWatch(ctx context.Context, v Viewer, room int64) error {
	r, err := s.store.Live(ctx, room)
	if err == nil && r.Closed {
		err = store.ErrLiveClosed
	}
	if err != nil {
		return liveError(err)
	}
	return s.mayWatch(ctx, v, r)
}

func (s *Service) mayWatch(ctx context.Context, v Viewer, r store.LiveRoom) error {
	if r.Access == store.AccessOpen || v.Link && v.Epoch == r.LinkEpoch {
		return nil
	}
	if v.User != 0 {
		may, err := s.store.LiveInvited(ctx, r.ID, v.User)
		if err != nil || may {
			return liveError(err)
		}
	}
	if r.Access == store.AccessFollowers {
		return protocol.Errorf(protocol.CodeForbidden, "liveFollowersOnly")
	}
	return protocol.Errorf(protocol.CodeForbidden, "liveLinkOnly")
}

// View is a live room as its page shows it.
type View struct {
	store.LiveRoom
	Account store.Account // of its owner
	// Refused says why the viewer may not watch; nil: they may.
	Refused error
	// Rank of the viewer, see store.LiveReader; 0 for a guest.
	Rank int
}

// View answers a room for its page. A room for who has a link is there for nobody
// else. Code: CodeUnknown.
func (s *Service) View(ctx context.Context, v Viewer, room int64) (View, error) {
	if room == SampleRoom {
		return View{}, liveError(store.ErrNotFound)
	}
	r, err := s.store.Live(ctx, room)
	if err == nil && r.Closed {
		err = store.ErrLiveClosed
	}
	if err != nil {
		return View{}, liveError(err)
	}
	out := View{LiveRoom: r, Refused: s.mayWatch(ctx, v, r)}
	if out.Refused != nil {
		if protocol.CodeOf(out.Refused) != protocol.CodeForbidden {
			return View{}, out.Refused
		}
		if r.Access == store.AccessLink {
			return View{}, liveError(store.ErrNotFound)
		}
	}
	if v.User != 0 {
		if out.Rank, err = s.store.LiveRank(ctx, r, v.User); err != nil {
			return View{}, liveError(err)
		}
	}
	out.Account, err = s.store.Account(ctx, r.Owner)
	out.Hearts += s.hearts.of(r.ID)
	return out, err
}

// Ranked answers what somebody is in a room, which must be at least least. Codes:
// CodeUnknown, CodeForbidden.
func (s *Service) Ranked(ctx context.Context, c Caller, room int64, least int) (store.LiveRoom, error) {
	room, err := s.ownRoom(ctx, c, room)
	if err != nil {
		return store.LiveRoom{}, err
	}
	r, err := s.store.Live(ctx, room)
	if err != nil {
		return r, liveError(err)
	}
	rank, err := s.store.LiveRank(ctx, r, c.User)
	if err == nil && rank < least {
		err = store.ErrForbidden
	}
	return r, liveError(err)
}

// SetAccess says who may watch a room, "" as before; with revoke the links that were
// signed until now are good for nothing. It answers the room. Codes: CodeBadValue,
// CodeUnknown, CodeForbidden.
func (s *Service) SetAccess(ctx context.Context, c Caller, id int64, access string, revoke bool) (store.LiveRoom, error) {
	switch access {
	case "", store.AccessOpen, store.AccessFollowers, store.AccessLink:
	default:
		return store.LiveRoom{}, badValue("Access", "badAccess")
	}
	id, err := s.ownRoom(ctx, c, id)
	if err != nil {
		return store.LiveRoom{}, err
	}
	a := store.LiveAction{Room: id, Rank: store.LiveOwner, Action: "live.access", Detail: access}
	if revoke {
		a.Detail += " links revoked"
	}
	// Who is in the chat is put out, and comes back if they may.
	if err := s.act(ctx, c, a, func(r *room) { s.deps.Disband(r.id) }, func(ctx context.Context, a store.LiveAction) error {
		return s.store.SetLiveAccess(ctx, a, access, revoke)
	}); err != nil {
		return store.LiveRoom{}, err
	}
	r, err := s.store.Live(ctx, id)
	return r, liveError(err)
}

// MayKick says whether the caller may send somebody away from a room, and notes in
// the audit log that they do. target is who it is, 0 if nobody knows; people may send
// themselves away. Codes: CodeUnknown, CodeForbidden, CodeTooOften.
func (s *Service) MayKick(ctx context.Context, c Caller, room, target int64, detail string) error {
	a := store.LiveAction{Room: room, Target: target, Rank: store.LiveModerator, Action: "live.kick", Detail: detail}
	if target == c.User {
		a.Target = 0
	}
	return s.act(ctx, c, a, nil, s.store.NoteLive)
}
