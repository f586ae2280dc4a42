package upload

import (
	"crypto/sha1" //nolint:gosec // the algorithm is Qiniu's
	"encoding/base64"
	"hash"
)

// etagBlock is the block of Qiniu's hash.
const etagBlock = 4 << 20

// ETag computes Qiniu's hash of what is written to it
// (https://developer.qiniu.com/kodo/1231/appendix): the SHA-1 of a file of one
// block behind 0x16, of a larger one the SHA-1 of its blocks' SHA-1 behind 0x96.
type ETag struct {
	block hash.Hash
	n     int // bytes in block
	sums  []byte
}

// NewETag makes one.
func NewETag() *ETag { return &ETag{block: sha1.New()} } //nolint:gosec // see above

// Write never fails.
func (e *ETag) Write(p []byte) (int, error) {
	total := len(p)
	for len(p) > 0 {
		if e.n == etagBlock {
			e.sums = e.block.Sum(e.sums)
			e.block.Reset()
			e.n = 0
		}
		k := min(len(p), etagBlock-e.n)
		e.block.Write(p[:k]) //nolint:errcheck // never fails
		e.n += k
		p = p[k:]
	}
	return total, nil
}

// String is the hash of what was written so far.
func (e *ETag) String() string {
	if len(e.sums) == 0 {
		return base64.URLEncoding.EncodeToString(e.block.Sum([]byte{0x16}))
	}
	all := e.block.Sum(append([]byte(nil), e.sums...))
	sum := sha1.Sum(all) //nolint:gosec // see above
	return base64.URLEncoding.EncodeToString(append([]byte{0x96}, sum[:]...))
}
