package clip

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strconv"
	"time"
)

const (
	stillWidth = 480
	stillLimit = 20 * time.Second
	stillBytes = 1 << 20
)

// Still makes a JPEG, 480 pixels wide, of the first picture of a segment of MPEG-TS.
// The errors are those of Make.
func (c *Clipper) Still(ctx context.Context, segment []byte) ([]byte, error) {
	bin, err := c.ffmpeg()
	if err != nil {
		return nil, err
	}
	args := append(globalArgs(c.cfg.Threads), "-threads", strconv.Itoa(c.cfg.Threads), "-skip_frame", "nokey", "-codec_whitelist", decoders,
		"-f", string(MPEGTS), "-i", "pipe:0", "-map", "0:V:0", "-frames:v", "1",
		"-vf", fmt.Sprintf("scale='min(%d,iw)':-2:out_range=full,format=yuvj420p", stillWidth), "-f", "mjpeg", "-q:v", "5", "pipe:1")
	var picture []byte
	err = c.run(ctx, task{
		bin: bin, args: args, dir: "/", limit: stillLimit, nice: c.cfg.Nice, stdin: bytes.NewReader(segment),
		read: func(r io.Reader) error {
			b, err := io.ReadAll(io.LimitReader(r, stillBytes))
			picture = b
			return err
		},
	})
	if err == nil && len(picture) == 0 {
		err = ffmpegError("", errNoPicture)
	}
	return picture, err
}
