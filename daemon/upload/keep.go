package upload

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"gtiv/store/blob"
)

// maxMade bounds an image that was made anew, in bytes: it may be larger than
// what came.
const maxMade = 64 << 20

// keep cleans what was uploaded and stores it. key is what the client wants, ""
// for the hash. It ends in, whatever happens.
func (s *Server) keep(ctx context.Context, p Policy, user int64, key string, in *blob.Incoming, hash string) (any, error) {
	defer in.Close() //nolint:errcheck // swept, if it does not go now
	if key == "" {
		key = hash
	}
	only, restricted := p.key()
	if restricted && only != key {
		return nil, badRequest("the token is for another key")
	}
	stored, err := storedKey(user, key)
	if err != nil {
		return nil, err
	}
	clean, err := s.clean(ctx, in)
	if err != nil {
		return nil, err
	}
	defer clean.Close() //nolint:errcheck // swept, if it does not go now
	if err := s.put(ctx, user, stored, clean, restricted || Replaceable(key)); err != nil {
		return nil, err
	}
	return result{Hash: hash, Key: key}, nil
}

// put stores a file unless another one is there that must stay.
func (s *Server) put(ctx context.Context, user int64, key string, in *blob.Incoming, replace bool) error {
	defer s.keys.lock(key)()
	have, err := s.deps.Blobs.Stat(ctx, key)
	switch {
	case errors.Is(err, blob.ErrNotFound):
	case err != nil:
		return err
	case !replace:
		return s.same(ctx, have, in)
	}
	info, err := s.deps.Blobs.Put(ctx, key, in)
	if err != nil {
		return err
	}
	s.log.Debug("file stored", "user", user, "bytes", info.Size)
	if s.deps.Stored != nil {
		s.deps.Stored(user, key, info)
	}
	return nil
}

// same returns nil when what is stored is what was uploaded again: images are
// made the same each time.
func (s *Server) same(ctx context.Context, have blob.Info, in *blob.Incoming) error {
	if have.Size != in.Size() {
		return errExists
	}
	o, err := s.deps.Blobs.Open(ctx, have.Key)
	if err != nil {
		return err
	}
	defer o.Close() //nolint:errcheck // only read
	ok, err := equal(o.Reader, io.NewSectionReader(in, 0, in.Size()))
	if err != nil {
		return fmt.Errorf("compare with what is stored: %w", err)
	}
	if !ok {
		return errExists
	}
	return nil
}

// equal compares two streams of one length.
func equal(a, b io.Reader) (bool, error) {
	x, y := make([]byte, 64<<10), make([]byte, 64<<10)
	for {
		n, err := io.ReadFull(a, x)
		m, other := io.ReadFull(b, y)
		if !bytes.Equal(x[:n], y[:m]) {
			return false, nil
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return true, nil
		}
		if err := errors.Join(err, other); err != nil {
			return false, err
		}
	}
}

// clean refuses what is no media and answers the file that may be passed on: the
// same one, or one that was made of it.
func (s *Server) clean(ctx context.Context, in *blob.Incoming) (*blob.Incoming, error) {
	head := make([]byte, blob.SniffLen)
	n, err := in.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	typ := blob.Sniff(head[:n])
	switch {
	case typ == blob.TypePlaylist, typ == blob.TypeSegment, typ == blob.TypeUnknown:
		return nil, errType
	case strings.HasPrefix(typ, "image/"):
		return s.cleanImage(ctx, typ, in)
	case s.deps.Strip == nil:
		return in, nil
	}
	if err := s.deps.Strip(ctx, in.Path()); err != nil {
		return nil, fmt.Errorf("strip metadata: %w", err)
	}
	return in, in.Reload()
}

// cleanImage makes an image anew, one at a time: they need memory.
func (s *Server) cleanImage(ctx context.Context, typ string, in *blob.Incoming) (*blob.Incoming, error) {
	if in.Size() > maxMade/2 {
		return nil, errTooBig
	}
	select {
	case s.images <- struct{}{}:
		defer func() { <-s.images }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	out, err := s.deps.Staging.Unhashed(maxMade)
	if err != nil {
		return nil, err
	}
	w := &noting{w: out}
	err = remake(w, io.NewSectionReader(in, 0, in.Size()), typ, s.cfg.MaxPixels)
	if err == nil {
		return out, nil
	}
	if w.err == nil { // not ours
		s.log.Debug("image refused", "err", err)
		err = errImage
	}
	return nil, errors.Join(err, out.Close())
}
