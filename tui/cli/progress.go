package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// progress is a bar at the foot of a terminal; where there is none it shows
// nothing. mu guards what follows it: files are read by the HTTP client.
type progress struct {
	w     io.Writer
	fd    int
	shown bool // there is a terminal
	files int
	total int64 // bytes

	mu      sync.Mutex
	current int // number of the file, from 1
	name    string
	behind  int64     // bytes of the files before
	bytes   int64     // of this one
	drawn   time.Time // last
}

// drawEvery bounds what a terminal has to draw.
const drawEvery = 100 * time.Millisecond

func newProgress(w io.Writer, list []videoFile) *progress {
	p := &progress{w: w, files: len(list)}
	if f, ok := w.(*os.File); ok && isTerminal(f) {
		p.shown, p.fd = true, int(f.Fd()) //nolint:gosec // a file descriptor fits
	}
	for _, f := range list {
		p.total += f.size
	}
	return p
}

// file is the file that is worked on, n counting from 0; so many bytes are behind.
func (p *progress) file(n int, behind int64, f videoFile) { p.say(n+1, behind, f.name) }

// say sets the number of the file, what is behind it, and a text.
func (p *progress) say(n int, behind int64, text string) {
	p.mu.Lock()
	p.current, p.behind, p.bytes, p.name = n, behind, 0, text
	p.mu.Unlock()
	p.draw(true)
}

// add moves the bar by so many bytes of the file.
func (p *progress) add(n int64) {
	p.mu.Lock()
	p.bytes += n
	p.mu.Unlock()
	p.draw(false)
}

// back begins the file again.
func (p *progress) back() {
	p.mu.Lock()
	p.bytes = 0
	p.mu.Unlock()
	p.draw(true)
}

// clear takes the bar away, so that lines can be written.
func (p *progress) clear() {
	if p.shown {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}

func (p *progress) draw(now bool) {
	if !p.shown {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !now && time.Since(p.drawn) < drawEvery {
		return
	}
	p.drawn = time.Now()
	columns := 80
	if s, err := unix.IoctlGetWinsize(p.fd, unix.TIOCGWINSZ); err == nil && s.Col > 0 {
		columns = int(s.Col)
	}
	fmt.Fprint(p.w, "\r"+fit(p.line(), columns-1)+"\x1b[K")
}

const barCells = 24

func (p *progress) line() string {
	percent, bytes := 100, min(p.behind+p.bytes, p.total)
	if p.total > 0 {
		percent = int(100 * bytes / p.total)
	}
	full := barCells * percent / 100
	return fmt.Sprintf("[%s%s] %3d%%  %d/%d  %s of %s  %s", strings.Repeat("#", full), strings.Repeat("-", barCells-full), percent,
		p.current, p.files, size(bytes), size(p.total), clean(p.name))
}
