package hls

import (
	"errors"

	"gtiv/media"
	"gtiv/media/codec"
)

// parseParams reads the parameters of a stream's codecs. ErrCodec.
func parseParams(h *media.Headers) (*codec.Params, error) {
	p, err := codec.Parse(h)
	if errors.Is(err, codec.ErrCodec) {
		return nil, errors.Join(ErrCodec, err)
	}
	return p, err
}
