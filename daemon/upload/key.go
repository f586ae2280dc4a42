package upload

import (
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"time"

	"gtiv/store/blob"
)

// maxKey bounds the key that a client gives, in bytes.
const maxKey = 200

// Prefix is where the files of a user are in the bucket.
func Prefix(user int64) string { return "u/" + strconv.FormatInt(user, 10) + "/" }

// storedKey is the key of the bucket for one that a client gives.
func storedKey(user int64, key string) (string, error) {
	if key == "" || len(key) > maxKey {
		return "", badRequest("invalid key: 1 to %d bytes are allowed", maxKey)
	}
	stored := Prefix(user) + key
	if err := blob.CheckKey(stored); err != nil {
		return "", &refusal{http.StatusBadRequest, err.Error()}
	}
	return stored, nil
}

// objectKey decodes the key in the path of a resumable upload; "~" is none, which
// makes the hash the key.
func objectKey(encoded string) (string, error) {
	if encoded == "~" {
		return "", nil
	}
	b, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(encoded, "="))
	if err != nil || len(b) == 0 {
		return "", badRequest("invalid object name: it is no URL-safe base64")
	}
	return string(b), nil
}

// Replaceable says whether what is under the key may be overwritten: avatars have
// an MD5 in hex as their key, the same one each time (wire.md 13).
func Replaceable(key string) bool {
	if len(key) != 32 {
		return false
	}
	return strings.Trim(key, "0123456789abcdef") == ""
}

// folderDay is the day that a folder of chat media is named after.
func folderDay(name string) (time.Time, bool) {
	day, err := time.Parse(time.DateOnly, name)
	return day, err == nil
}
