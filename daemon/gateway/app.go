package gateway

import (
	"gtiv/protocol"
)

// The unmodified Android app reads one buffer of 4096 bytes, believes the first
// frame in it, never keeps a rest, and takes a graceful close for silence
// (wire.md 7.4, 7.5; K1). Everything that this costs stands in this file:
//
//	F1  appCanRead, appBatch  one frame, at most 4092 bytes or 4096
//	F2  appBatch, write.go    one write, which the kernel takes whole or the connection is reset
//	F3  appPace               pauses between writes; batches of data of at most AppConfig.Batch bytes
//	F4  appPace               op 3 and 8 alone, silence before and after
//	F5  appCanRead, answers   no other op, ever
//	F6  appCanRead            only complete push JSON
//	F7  appPace.wrote         a long pause after a push that makes it do HTTP
//	F8  login                 op 8 is the first frame queued
//	F9  protocol.MessageJSON  a compact object has no outer white space
//
// The reset instead of the graceful close is session.dropConn: SO_LINGER 0 is
// set at accept and never taken back for the app.

// isApp reports whether a client must be treated as that app: a raw stream
// without features, of platform android or of none. TLS does not change the
// reader behind it.
func isApp(t Transport, a authBody) bool {
	return t != WebSocket && !a.features && (a.platform == "" || a.platform == "android")
}

// appCanRead reports whether a push may go to the app at all.
func appCanRead(op protocol.Op, body []byte) bool {
	return op >= protocol.OpPrivate && protocol.FitsPush(len(body)) && complete(body, op != protocol.OpPrivate)
}

// appPace says when the next byte may go to one app, and what it may be. It is
// guarded by session.mu. Times are the gateway's clock.
type appPace struct {
	began bool  // something was written
	last  int64 // the last write, or the last time one was seen in the air
	quiet int64 // no byte before
	beat  bool  // an op 3 is owed: several heartbeats are answered by one
	seq   int32 // of the heartbeat that is answered
}

// due is when the next write may happen. With nothing to say it is when the
// silence has lasted long enough for an op 3 unasked.
func (a *appPace) due(c *AppConfig, queue []item) int64 {
	alone := max(a.quiet, a.last+int64(c.Alone))
	switch {
	case !a.began:
		return 0
	case len(queue) > 0 && queue[0].flags&flagAlone != 0:
		return alone
	case len(queue) > 0:
		return a.quiet
	case a.beat:
		return alone
	default:
		return max(alone, a.last+int64(c.Silence))
	}
}

// wrote notes a write whose last frame had these flags.
func (a *appPace) wrote(c *AppConfig, now int64, flags itemFlags) {
	pause := c.Gap
	if flags&flagAlone != 0 {
		pause = c.Alone
	}
	if flags&flagSlow != 0 {
		pause = max(pause, c.Slow)
	}
	a.began, a.last = true, now
	a.quiet = now + int64(pause)
}

// inTheAir notes that the peer's kernel has not acknowledged the last write. It
// counts as being written now: after a gap in the radio link everything
// unacknowledged arrives in one piece, and what stands behind an op 3 in it
// would be lost.
func (a *appPace) inTheAir(c *AppConfig, now int64) {
	a.last = now
	a.quiet = max(a.quiet, now+int64(c.Gap))
}

// appBatch is how many frames of the queue's head go out in one write: a
// control frame alone, else data up to limit bytes, ending behind a slow one.
// The first always goes, whatever its size.
func appBatch(queue []item, limit int) int {
	n, size := 0, 0
	for _, it := range queue {
		size += len(it.buf)
		alone := it.flags&flagAlone != 0
		if n > 0 && (alone || size > limit) {
			break
		}
		n++
		if alone || it.flags&flagSlow != 0 {
			break
		}
	}
	return n
}

// appBeatLocked puts the op 3 that is owed or due into the empty queue.
func (s *session) appBeatLocked() {
	h := protocol.Header{Ver: 1, Op: protocol.OpHeartbeat}
	if s.app.beat {
		h.Seq = s.app.seq
	}
	beat := newReply(h, protocol.OpHeartbeatReply, onlineBody(s.roomOnline()))
	s.queueLocked(&s.private, item{buf: beat.on(s), flags: flagAlone})
}

// splitForApp cuts frames that stand back to back into pieces the app can read
// in one go. Frames that it could not are left out. The app itself never joins
// a broadcast room; a plain client without a platform may.
func splitForApp(frames []byte, limit int, each func(piece []byte, frames uint32)) {
	start, at, count := 0, 0, uint32(0)
	emit := func() {
		if count > 0 {
			each(frames[start:at], count)
		}
		start, count = at, 0
	}
	for at < len(frames) {
		h, err := protocol.ParseHeader(frames[at:])
		if err != nil {
			return // our own bytes: cannot happen
		}
		n := protocol.HeaderBytes + h.BodyLen
		if !appCanRead(h.Op, frames[at+protocol.HeaderBytes:at+n]) {
			emit()
			at += n
			start = at
			continue
		}
		if at+n-start > limit {
			emit()
		}
		at += n
		count++
	}
	emit()
}
