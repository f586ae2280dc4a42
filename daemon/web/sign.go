package web

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"strings"
	"time"
)

// A signature is good for one to two periods, and the same within one: caches
// between need not fetch a file twice.
const signPeriod = 6 * time.Hour

// signMark starts a signature, so that no other first part of a path is one.
const signMark = "s."

// Signer makes and checks the part of a path that lets one viewer have the files
// of a video that not everybody may see: "s.<viewer>.<expiry>.<mac>/<key>"
// (design.md 7).
type Signer struct {
	// Key is secret.
	Key []byte
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

func (s *Signer) now() time.Time {
	if s.Now == nil {
		return time.Now()
	}
	return s.Now()
}

// Sign puts a signature in front of the key of a video.
func (s *Signer) Sign(key string, viewer int64) string {
	end := s.now().Truncate(signPeriod).Add(2 * signPeriod).Unix()
	head := strconv.FormatInt(viewer, 36) + "." + strconv.FormatInt(end, 36)
	return signMark + head + "." + s.mac(head, key) + "/" + key
}

// Verify answers who a signature is for. part is what stands in front of key,
// without the slash.
func (s *Signer) Verify(part, key string) (viewer int64, ok bool) {
	f := strings.Split(strings.TrimPrefix(part, signMark), ".")
	if !strings.HasPrefix(part, signMark) || len(f) != 3 {
		return 0, false
	}
	if !hmac.Equal([]byte(f[2]), []byte(s.mac(f[0]+"."+f[1], key))) {
		return 0, false
	}
	viewer, err := strconv.ParseInt(f[0], 36, 64)
	end, err2 := strconv.ParseInt(f[1], 36, 64)
	return viewer, err == nil && err2 == nil && s.now().Unix() < end
}

// macLen is 128 bits, which nobody guesses within hours.
const macLen = 16

func (s *Signer) mac(head, key string) string {
	m := hmac.New(sha256.New, s.Key)
	m.Write([]byte(head + "/" + key)) //nolint:errcheck // never fails
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil)[:macLen])
}

// Marks of tokens that stand in front of a room's name in the addresses of live
// streams (design.md 6).
const (
	viewerMark = "v." // says who watches
	linkMark   = "l." // lets everybody watch who has it
	// viewerPeriod is what signPeriod is for videos: a stream may be long.
	viewerPeriod = 24 * time.Hour
)

// LiveClaim is what a token in front of a room's name says.
type LiveClaim struct {
	User int64 // who watches; 0: it is a link
	// Room and Epoch are what a link was signed for.
	Room, Epoch int64
}

// LiveViewer makes the token by which a player is known as viewer, good for one to
// two days.
func (s *Signer) LiveViewer(viewer int64) string {
	end := s.now().Truncate(viewerPeriod).Add(2 * viewerPeriod).Unix()
	return s.liveToken(viewerMark, viewer, end)
}

// LiveLink makes the token by which everybody may watch a room until a time, or
// until its epoch is another one.
func (s *Signer) LiveLink(room, epoch int64, until time.Time) string {
	return s.liveToken(linkMark, room, epoch, until.Unix())
}

func (s *Signer) liveToken(mark string, numbers ...int64) string {
	head := mark
	for i, n := range numbers {
		if i > 0 {
			head += "."
		}
		head += strconv.FormatInt(n, 36)
	}
	return head + "." + s.mac(head, "live")
}

// Live reads a token; false: it is none, or too old.
func (s *Signer) Live(token string) (LiveClaim, bool) {
	mark, count := viewerMark, 2
	if strings.HasPrefix(token, linkMark) {
		mark, count = linkMark, 3
	}
	f := strings.Split(strings.TrimPrefix(token, mark), ".")
	if !strings.HasPrefix(token, mark) || len(f) != count+1 {
		return LiveClaim{}, false
	}
	head := token[:len(token)-len(f[count])-1]
	if !hmac.Equal([]byte(f[count]), []byte(s.mac(head, "live"))) {
		return LiveClaim{}, false
	}
	n := [3]int64{}
	for i := range count {
		var err error
		if n[i], err = strconv.ParseInt(f[i], 36, 64); err != nil {
			return LiveClaim{}, false
		}
	}
	if s.now().Unix() >= n[count-1] {
		return LiveClaim{}, false
	}
	if mark == linkMark {
		return LiveClaim{Room: n[0], Epoch: n[1]}, true
	}
	return LiveClaim{User: n[0]}, true
}
