package blob

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path"
	"slices"
	"strings"
)

// SniffLen is how much of a file Sniff looks at.
const SniffLen = 512

// Types that Sniff knows besides those of media: what a video is made of.
const (
	// TypePlaylist is an HLS playlist.
	TypePlaylist = "application/vnd.apple.mpegurl"
	// TypeSegment is a segment of MPEG transport stream.
	TypeSegment = "video/mp2t"
	// TypeUnknown is what cannot be told; it is served as an attachment only.
	TypeUnknown = "application/octet-stream"
)

// brands says what an ISO media file is by its major brand. What is not here
// (heic, avif, ...) is not known.
var brands = map[string]string{
	"qt  ": "video/quicktime", "M4A ": "audio/mp4", "M4B ": "audio/mp4",
	"isom": "video/mp4", "iso2": "video/mp4", "iso4": "video/mp4", "iso5": "video/mp4", "iso6": "video/mp4",
	"mp41": "video/mp4", "mp42": "video/mp4", "avc1": "video/mp4", "dash": "video/mp4", "M4V ": "video/mp4", "MSNV": "video/mp4",
	"3gp4": "video/3gpp", "3gp5": "video/3gpp", "3gp6": "video/3gpp", "3gp7": "video/3gpp",
}

// magics are the first bytes of the other formats.
var magics = []struct{ magic, typ string }{
	{"\xff\xd8\xff", "image/jpeg"},
	{"\x89PNG\r\n\x1a\n", "image/png"},
	{"GIF87a", "image/gif"},
	{"GIF89a", "image/gif"},
	{"#!AMR\n", "audio/amr"},
	{"#!AMR-WB\n", "audio/amr-wb"},
	{"OggS", "audio/ogg"},
	{"ID3", "audio/mpeg"},
	{"#EXTM3U", TypePlaylist},
}

// Sniff says what a file is by its first bytes, SniffLen of them or all there
// are; TypeUnknown when it is nothing on the list. It never says text or HTML.
func Sniff(head []byte) string {
	for _, m := range magics {
		if bytes.HasPrefix(head, []byte(m.magic)) {
			return m.typ
		}
	}
	for _, f := range []func([]byte) string{sniffISO, sniffRIFF, sniffMatroska, sniffAudioFrame, sniffSegment} {
		if typ := f(head); typ != "" {
			return typ
		}
	}
	return TypeUnknown
}

func sniffISO(b []byte) string {
	if len(b) < 12 || string(b[4:8]) != "ftyp" {
		return ""
	}
	return brands[string(b[8:12])]
}

func sniffRIFF(b []byte) string {
	if len(b) >= 16 && string(b[:4]) == "RIFF" && string(b[8:15]) == "WEBPVP8" {
		return "image/webp"
	}
	return ""
}

// sniffMatroska accepts WebM only: its document type is near the start.
func sniffMatroska(b []byte) string {
	if bytes.HasPrefix(b, []byte{0x1a, 0x45, 0xdf, 0xa3}) && bytes.Contains(b[:min(len(b), 64)], []byte("\x42\x82\x84webm")) {
		return "video/webm"
	}
	return ""
}

// sniffAudioFrame knows MPEG audio by its frame header (ISO 11172-3, 2.4.2.3; for
// AAC in ADTS ISO 13818-7, 6.2): the layer tells them apart.
func sniffAudioFrame(b []byte) string {
	if len(b) < 4 {
		return ""
	}
	h := binary.BigEndian.Uint32(b)
	switch {
	case h>>20 == 0xfff && h>>17&3 == 0 && h>>10&15 < 13: // layer 0, a sampling rate
		return "audio/aac"
	case h>>21 == 0x7ff && h>>19&3 != 1 && h>>17&3 == 1 && h>>12&15 != 15 && h>>12&15 != 0 && h>>10&3 != 3: // layer III
		return "audio/mpeg"
	}
	return ""
}

func sniffSegment(b []byte) string {
	if len(b) > 188 && b[0] == 0x47 && b[188] == 0x47 {
		return TypeSegment
	}
	return ""
}

// extensions are the ends of names that each type may have. Chat clients name
// files after the subtype of the media type (wire.md 13), and images keep their
// name when they are converted, so what counts is the family.
var extensions = map[string][]string{
	"image":     {"", ".jpg", ".jpeg", ".pjpeg", ".png", ".gif", ".webp"},
	"media":     {"", ".mp4", ".m4v", ".mov", ".quicktime", ".m4a", ".x-m4a", ".m4s", ".3gp", ".3gpp", ".aac", ".x-aac", ".amr", ".amr-wb", ".mp3", ".mpeg", ".ogg", ".oga", ".webm", ".weba"},
	"playlist":  {".m3u8"},
	"transport": {".ts"},
}

func family(typ string) string {
	switch {
	case typ == TypePlaylist:
		return "playlist"
	case typ == TypeSegment:
		return "transport"
	case strings.HasPrefix(typ, "image/"):
		return "image"
	case strings.HasPrefix(typ, "video/"), strings.HasPrefix(typ, "audio/"):
		return "media"
	}
	return ""
}

// TypeOf says what type a file is served with: that of its first bytes, if its
// name agrees, else TypeUnknown.
func TypeOf(key string, head []byte) string {
	typ := Sniff(head)
	if typ == TypeUnknown && path.Ext(key) == ".m4s" && len(head) >= 8 && (string(head[4:8]) == "styp" || string(head[4:8]) == "moof") {
		typ = "video/mp4" // a fragment has no ftyp
	}
	return agreed(key, typ)
}

// agreed is typ if a file of this name may have it.
func agreed(key, typ string) string {
	if slices.Contains(extensions[family(typ)], strings.ToLower(path.Ext(key))) {
		return typ
	}
	return TypeUnknown
}

// headOf reads the first bytes.
func headOf(r io.ReaderAt) ([]byte, error) {
	head := make([]byte, SniffLen)
	n, err := r.ReadAt(head, 0)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return head[:n], err
}

// fileType is TypeOf for a file of this host.
func fileType(key, name string) (string, error) {
	f, err := os.Open(name) //nolint:gosec // a name of ours
	if err != nil {
		return "", err
	}
	defer f.Close() //nolint:errcheck // only read
	head, err := headOf(f)
	if err != nil {
		return "", err
	}
	return TypeOf(key, head), nil
}
