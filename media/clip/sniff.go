package clip

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// Format is the container of a file, by the name of ffmpeg's demuxer.
type Format string

// The formats that are taken. Playlists and anything else that makes a demuxer
// open further files are not among them.
const (
	MOV      Format = "mov" // also MP4, 3GP and M4V
	Matroska Format = "matroska"
	AVI      Format = "avi"
	MPEGTS   Format = "mpegts"
	MPEGPS   Format = "mpeg"
	FLV      Format = "flv"
)

// SniffLen is how many bytes of the start of a file Sniff makes use of.
const SniffLen = 4096

// Sniff tells the container of a file from its first bytes, of which it wants
// SniffLen; fewer do when the file has no more. Names and endings are not asked.
// The error is a RefusedError with NotVideo.
func Sniff(head []byte) (Format, error) {
	head = head[:min(len(head), SniffLen)]
	switch {
	case len(head) == 0:
		return "", refuse(NotVideo, "the file is empty")
	case isMOV(head):
		return MOV, nil
	case isMatroska(head):
		return Matroska, nil
	case len(head) >= 12 && string(head[:4]) == "RIFF" && string(head[8:12]) == "AVI ":
		return AVI, nil
	case len(head) >= 9 && string(head[:4]) == "FLV\x01":
		return FLV, nil
	case bytes.HasPrefix(head, []byte{0, 0, 1, 0xBA}):
		return MPEGPS, nil
	case isMPEGTS(head):
		return MPEGTS, nil
	}
	return "", refuse(NotVideo, "it starts with %q", head[:min(len(head), 16)])
}

// The boxes that start a file, and the brands of pictures, which use the same
// container.
var (
	firstBoxes    = []string{"ftyp", "moov", "mdat", "wide", "free", "skip", "pnot"}
	pictureBrands = []string{"heic", "heix", "heim", "heis", "hevc", "hevx", "mif1", "msf1", "avif", "avis", "crx "}
)

func isMOV(head []byte) bool {
	if len(head) < 16 || !slices.Contains(firstBoxes, string(head[4:8])) {
		return false
	}
	size := binary.BigEndian.Uint32(head)
	if size > 1 && size < 8 { // 0: to the end of the file, 1: 64 bits follow
		return false
	}
	return string(head[4:8]) != "ftyp" || !slices.Contains(pictureBrands, string(head[8:12]))
}

func isMatroska(head []byte) bool {
	if !bytes.HasPrefix(head, []byte{0x1A, 0x45, 0xDF, 0xA3}) {
		return false
	}
	return bytes.Contains(head, []byte("matroska")) || bytes.Contains(head, []byte("webm"))
}

// isMPEGTS looks for the sync bytes of at least four packets, plain ones or
// those of Blu-ray with four bytes before each.
func isMPEGTS(head []byte) bool {
	for _, at := range []struct{ offset, step int }{{0, 188}, {4, 192}} {
		n := 0
		for i := at.offset; i < len(head) && head[i] == 0x47; i += at.step {
			n++
		}
		if n >= 4 && at.offset+n*at.step >= len(head) {
			return true
		}
	}
	return false
}

// sniffFile tells the container of a file, and its size in bytes.
func sniffFile(path string) (Format, int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", 0, fmt.Errorf("open clip: %w", err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return "", 0, fmt.Errorf("stat clip: %w", err)
	}
	if !st.Mode().IsRegular() {
		return "", 0, refuse(NotVideo, "it is not a regular file")
	}
	head := make([]byte, SniffLen)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return "", 0, fmt.Errorf("read clip: %w", err)
	}
	format, err := Sniff(head[:n])
	return format, st.Size(), err
}
