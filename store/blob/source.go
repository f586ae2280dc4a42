package blob

import (
	"context"
	"encoding/hex"
	"errors"
)

// SourceKey is the key of an uploaded file by the SHA-256 of its content.
func SourceKey(sum []byte) string {
	name := hex.EncodeToString(sum)
	return "src/" + name[:2] + "/" + name
}

// PutSource keeps an uploaded file under the hash of its content, once however
// often it is uploaded. Who needs it is counted by the caller's database, which
// must not let a Delete of the last reference overtake a PutSource of the same
// content. Errors are those of Bucket.Put.
func PutSource(ctx context.Context, b Bucket, f *Incoming) (Info, error) {
	sum := f.SHA256()
	if sum == nil {
		return Info{}, errors.Join(errors.New("put source: the file is not hashed"), f.Close())
	}
	key := SourceKey(sum)
	have, err := b.Stat(ctx, key)
	switch {
	case err == nil && have.Size == f.Size():
		return have, f.Close()
	case err != nil && !errors.Is(err, ErrNotFound):
		return Info{}, errors.Join(err, f.Close())
	}
	return b.Put(ctx, key, f)
}
