package blob

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/minio/minio-go/v7"
)

// s3Window is how much one request fetches: a segment of a video as a rule. A
// reader that stops early leaves no more than this behind.
const s3Window = 8 << 20

// s3Reader reads an object in requests of at most s3Window. It has the context
// of the call that opened it, which is a request of a client.
type s3Reader struct {
	s    *S3
	ctx  context.Context //nolint:containedctx // the io faces have no place for one
	info Info
	off  int64
	body io.ReadCloser // of the request that is under way, else nil
	end  int64         // where body ends
}

// Read implements io.Reader.
func (r *s3Reader) Read(p []byte) (int, error) {
	if r.off >= r.info.Size {
		return 0, io.EOF
	}
	if r.body == nil {
		end := min(r.off+s3Window, r.info.Size)
		body, err := r.get(r.off, end)
		if err != nil {
			return 0, err
		}
		r.body, r.end = body, end
	}
	n, err := r.body.Read(p)
	r.off += int64(n)
	switch {
	case r.off >= r.end:
		err = r.stop()
	case errors.Is(err, io.EOF):
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// get asks for a part of the object, and only of the one that was opened.
func (r *s3Reader) get(from, to int64) (io.ReadCloser, error) {
	var opts minio.GetObjectOptions
	if err := errors.Join(opts.SetRange(from, to-1), opts.SetMatchETag(r.info.ETag[1:len(r.info.ETag)-1])); err != nil {
		return nil, fmt.Errorf("read %s: %w", r.info.Key, err)
	}
	body, _, _, err := r.s.core.GetObject(r.ctx, r.s.cfg.Bucket, r.s.cfg.Prefix+r.info.Key, opts)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", r.info.Key, s3Error(err))
	}
	return body, nil
}

// ReadAt implements io.ReaderAt with a request of its own.
func (r *s3Reader) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || len(p) == 0 {
		return 0, errNegative(off)
	}
	if off >= r.info.Size {
		return 0, io.EOF
	}
	to := min(off+int64(len(p)), r.info.Size)
	body, err := r.get(off, to)
	if err != nil {
		return 0, err
	}
	defer body.Close() //nolint:errcheck // it was read
	n, err := io.ReadFull(body, p[:to-off])
	if err == nil && n < len(p) {
		err = io.EOF
	}
	return n, err
}

// Seek implements io.Seeker. It makes no request.
func (r *s3Reader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += r.off
	case io.SeekEnd:
		offset += r.info.Size
	}
	if err := errNegative(offset); err != nil {
		return 0, err
	}
	if offset == r.off {
		return offset, nil
	}
	r.off = offset
	return offset, r.stop()
}

// Close implements io.Closer.
func (r *s3Reader) Close() error { return r.stop() }

func (r *s3Reader) stop() error {
	if r.body == nil {
		return nil
	}
	err := r.body.Close()
	r.body = nil
	return err
}

func errNegative(off int64) error {
	if off < 0 {
		return errors.New("negative position")
	}
	return nil
}
