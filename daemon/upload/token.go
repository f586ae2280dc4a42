package upload

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // the format is Qiniu's
	"encoding/base64"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"
)

// maxToken bounds a token in bytes.
const maxToken = 4096

// Errors of Token.Verify; compare with errors.Is.
var (
	// ErrToken means that a token is malformed or signed by somebody else.
	ErrToken = errors.New("bad token")
	// ErrExpired means that the deadline of a token has passed.
	ErrExpired = errors.New("expired token")
)

// Policy is what a token allows: the part of Qiniu's upload policy that is used
// here.
type Policy struct {
	// Scope is a bucket, or bucket:key for one key only, which may then be
	// overwritten.
	Scope string `json:"scope"`
	// Deadline is in seconds since 1970.
	Deadline int64 `json:"deadline"`
	// EndUser is the id of the account; empty in tokens for Qiniu itself.
	EndUser string `json:"endUser,omitempty"`
}

// NewPolicy is the policy of our own tokens; with user 0, of those for Qiniu.
func NewPolicy(bucket string, user int64, deadline time.Time) Policy {
	p := Policy{Scope: bucket, Deadline: deadline.Unix()}
	if user > 0 {
		p.EndUser = strconv.FormatInt(user, 10)
	}
	return p
}

func (p Policy) bucket() string {
	bucket, _, _ := strings.Cut(p.Scope, ":")
	return bucket
}

// key is the only key that is allowed, if there is one.
func (p Policy) key() (key string, only bool) {
	_, key, only = strings.Cut(p.Scope, ":")
	return key, only
}

// Token makes and verifies upload tokens in Qiniu's format: the access key, an
// HMAC-SHA1 of the encoded policy, and the policy, with colons between them. With
// the credentials of a Qiniu account the tokens are good for Qiniu.
type Token struct {
	AccessKey string
	Secret    []byte
}

// Sign answers the token of a policy.
func (t Token) Sign(p Policy) string {
	b, err := json.Marshal(p)
	if err != nil {
		panic(err) // texts and a number
	}
	encoded := base64.URLEncoding.EncodeToString(b)
	return t.AccessKey + ":" + base64.URLEncoding.EncodeToString(t.mac(encoded)) + ":" + encoded
}

// Verify answers the policy of a token of ours. ErrToken, ErrExpired.
func (t Token) Verify(token string, now time.Time) (Policy, error) {
	var p Policy
	parts := strings.Split(token, ":")
	if len(token) > maxToken || len(parts) != 3 || parts[0] != t.AccessKey {
		return p, ErrToken
	}
	mac, err := base64.URLEncoding.Strict().DecodeString(parts[1])
	if err != nil || !hmac.Equal(mac, t.mac(parts[2])) {
		return p, ErrToken
	}
	b, err := base64.URLEncoding.Strict().DecodeString(parts[2])
	if err != nil || json.Unmarshal(b, &p) != nil || p.Scope == "" {
		return Policy{}, ErrToken
	}
	if now.Unix() >= p.Deadline {
		return Policy{}, ErrExpired
	}
	return p, nil
}

func (t Token) mac(encoded string) []byte {
	m := hmac.New(sha1.New, t.Secret)
	m.Write([]byte(encoded)) //nolint:errcheck // never fails
	return m.Sum(nil)
}
