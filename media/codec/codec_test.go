package codec_test

import (
	"bytes"
	"errors"
	"testing"

	"gtiv/media"
	"gtiv/media/codec"
)

func video(c media.Codec, content ...byte) *media.Headers {
	return &media.Headers{Video: &media.Message{Kind: media.Video, Codec: c, Header: true, Content: content}}
}

func TestParameterSetsAreFoundByTheirKind(t *testing.T) {
	for name, c := range map[string]struct {
		h     *media.Headers
		first [][]byte
	}{
		"H264":                {video(media.H264, 1, 0, 0, 0, 0xff, 0xe1, 0, 2, 0x67, 5, 1, 0, 2, 0x68, 6), [][]byte{{0x67, 5}, {0x68, 6}}},
		"two SPS":             {video(media.H264, 1, 0, 0, 0, 0xff, 0xe2, 0, 2, 0x67, 5, 0, 2, 0x67, 7, 1, 0, 2, 0x68, 6), [][]byte{{0x67, 5}, {0x68, 6}}},
		"HEVC, in any order":  {video(media.HEVC, append(make([]byte, 22), 3, 34, 0, 1, 0, 2, 0x44, 1, 32, 0, 1, 0, 2, 0x40, 1, 33, 0, 1, 0, 2, 0x42, 1)...), [][]byte{{0x40, 1}, {0x42, 1}, {0x44, 1}}},
		"no PPS":              {video(media.H264, 1, 0, 0, 0, 0xff, 0xe1, 0, 2, 0x67, 5, 0), nil},
		"HEVC without a VPS":  {video(media.HEVC, append(make([]byte, 22), 2, 34, 0, 1, 0, 2, 0x44, 1, 33, 0, 1, 0, 2, 0x42, 1)...), nil},
		"HEVC without a body": {video(media.HEVC, make([]byte, 23)...), nil},
	} {
		p, err := codec.Parse(c.h)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got, ok := p.First()
		if ok != (c.first != nil) || ok && !bytes.Equal(bytes.Join(got, nil), bytes.Join(c.first, nil)) {
			t.Errorf("%s: %v %v", name, got, ok)
		}
	}
}

func TestAV1HasASequenceHeader(t *testing.T) {
	head := []byte{0x81, 0, 12, 0}
	for name, c := range map[string]struct {
		obus, want []byte
	}{
		"sized":            {[]byte{0x0a, 2, 7, 8}, []byte{0x08, 7, 8}},
		"behind another":   {[]byte{0x12, 0, 0x0a, 2, 7, 8}, []byte{0x08, 7, 8}},
		"to the end":       {[]byte{0x08, 7, 8}, []byte{0x08, 7, 8}},
		"with extension":   {[]byte{0x0e, 0, 2, 7, 8}, []byte{0x08, 7, 8}},
		"none":             {nil, nil},
		"too long":         {[]byte{0x0a, 9, 7, 8}, nil},
		"endless length":   {[]byte{0x0a, 0xff, 0xff, 0xff, 0xff, 0xff}, nil},
		"nothing in it":    {[]byte{0x0a, 0}, nil},
		"only a first OBU": {[]byte{0x0a}, nil},
	} {
		p, err := codec.Parse(video(media.AV1, append(head[:4:4], c.obus...)...))
		if (err == nil) != (c.want != nil) || err == nil && (len(p.Sets) != 1 || !bytes.Equal(p.Sets[0], c.want)) {
			t.Errorf("%s: %+v %v", name, p, err)
		}
	}
	if _, err := codec.Parse(video(media.VP9, 1)); !errors.Is(err, codec.ErrCodec) {
		t.Error(err)
	}
	for _, bad := range []*media.Headers{video(media.AV1), video(media.AV1, 1, 2, 3, 4), video(media.H264), video(media.H264, 1, 0, 0, 0, 0xff, 0xff), video(media.HEVC, 1)} {
		if p, err := codec.Parse(bad); err == nil {
			t.Errorf("%+v: %+v", bad.Video, p)
		}
	}
}

func TestOpusSaysItsChannels(t *testing.T) {
	for name, c := range map[string]struct {
		content string
		want    int
	}{"one": {"OpusHead\x01\x01", 1}, "two": {"OpusHead\x01\x02", 2}, "nothing said": {"", 2}, "nonsense": {"OpusHead\x01\x09", 2}} {
		p, err := codec.Parse(&media.Headers{Audio: &media.Message{Kind: media.Audio, Codec: media.Opus, Header: true, Content: []byte(c.content)}})
		if err != nil || p.Opus != c.want {
			t.Errorf("%s: %+v %v", name, p, err)
		}
	}
}
