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
