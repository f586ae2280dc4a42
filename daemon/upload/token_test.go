package upload_test

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"gtiv/daemon/upload"
)

var testToken = upload.Token{AccessKey: "AK", Secret: []byte("secret-of-sixteen-bytes")}

// The first was made with npm's qiniu 7.15.2 (new qiniu.rs.PutPolicy({scope:
// "bucket"}).uploadToken(mac), deadline as here), both with Python:
//
//	e = base64.urlsafe_b64encode(policy)
//	"AK:" + base64.urlsafe_b64encode(hmac.new(secret, e, hashlib.sha1).digest()) + ":" + e
func TestTokensAreThoseOfQiniusSDK(t *testing.T) {
	deadline := time.Unix(1893456000, 0)
	for want, p := range map[string]upload.Policy{
		"AK:QSu8Zp-iwZiBG7M42bNCNCefSr4=:eyJzY29wZSI6ImJ1Y2tldCIsImRlYWRsaW5lIjoxODkzNDU2MDAwfQ==":                         upload.NewPolicy("bucket", 0, deadline),
		"AK:RM1GVGzl7z1d5QN19BcYIqsswzo=:eyJzY29wZSI6ImJ1Y2tldCIsImRlYWRsaW5lIjoxODkzNDU2MDAwLCJlbmRVc2VyIjoiMTAwMDEifQ==": upload.NewPolicy("bucket", 10001, deadline),
	} {
		if got := testToken.Sign(p); got != want {
			t.Errorf("signed %s", got)
		}
		if got, err := testToken.Verify(want, deadline.Add(-time.Second)); err != nil || got != p {
			t.Errorf("verified %+v, %v", got, err)
		}
		if _, err := testToken.Verify(want, deadline); !errors.Is(err, upload.ErrExpired) {
			t.Errorf("at the deadline: %v", err)
		}
	}
}

func TestChangedTokenIsRefused(t *testing.T) {
	now := time.Now()
	token := testToken.Sign(upload.NewPolicy("bucket", 1, now.Add(time.Hour)))
	for i := range len(token) {
		b := []byte(token)
		b[i] ^= 1
		if p, err := testToken.Verify(string(b), now); err == nil {
			t.Errorf("changed at %d: %+v", i, p)
		}
	}
	for _, bad := range []string{"", "::", "AK::", "AK:x:y", token + ":", token + strings.Repeat("=", 5000), token[:len(token)-1]} {
		if _, err := testToken.Verify(bad, now); !errors.Is(err, upload.ErrToken) {
			t.Errorf("%.40q: %v", bad, err)
		}
	}
}

// Made with Python, by the description at https://developer.qiniu.com/kodo/1231/appendix;
// the bytes are 0 to 250 again and again. That of the empty file is in Qiniu's own
// tests.
func TestETagIsQinius(t *testing.T) {
	for n, want := range map[int]string{
		0: "Fto5o-5ea0sNMlW_75VgGJCv2AcJ", 1: "FlupPJ2wz_k_UrUh10IOQ_btonhP", 4 << 20: "Fgd8eREZ4FXnoK5eUHCJo_kRSDb1",
		4<<20 + 1: "lgV4TNEnA2AXSRVyDqVW4bohMKad", 9<<20 + 7: "ll3xMcqaW_ujrNuEfJefK7aJvTLh",
	} {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(i % 251)
		}
		e := upload.NewETag()
		for len(b) > 0 { // in pieces of any size
			k := min(len(b), 1+rand.IntN(3<<20))
			e.Write(b[:k]) //nolint:errcheck // never fails
			b = b[k:]
		}
		if got := e.String(); got != want {
			t.Errorf("%d bytes: %s, want %s", n, got, want)
		}
	}
}

func FuzzVerifyToken(f *testing.F) {
	f.Add(testToken.Sign(upload.NewPolicy("bucket", 1, time.Unix(1893456000, 0))))
	f.Add("AK:a:b")
	f.Fuzz(func(t *testing.T, token string) {
		p, err := testToken.Verify(token, time.Unix(0, 0))
		if (err == nil) != (p.Scope != "") {
			t.Errorf("%q: %+v, %v", token, p, err)
		}
	})
}
