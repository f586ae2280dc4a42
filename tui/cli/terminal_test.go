package cli_test

import (
	"bytes"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"gtiv/protocol"
	"gtiv/tui/cli"
)

// terminal is a pseudo terminal: what the test writes to keys is typed, what
// the terminal echoes arrives in echo.
type terminal struct {
	keys, tty *os.File

	mu   sync.Mutex
	echo bytes.Buffer
}

func openTerminal(t *testing.T) *terminal {
	t.Helper()
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo terminals here: %v", err)
	}
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Skipf("unlock terminal: %v", err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Skipf("name terminal: %v", err)
	}
	tty, err := os.OpenFile("/dev/pts/"+strconv.Itoa(n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("open terminal: %v", err)
	}
	term := &terminal{keys: os.NewFile(uintptr(fd), "ptmx"), tty: tty}
	done := make(chan struct{})
	go func() { // ends when the terminal is closed
		defer close(done)
		buf := make([]byte, 256)
		for {
			n, err := term.keys.Read(buf)
			term.mu.Lock()
			term.echo.Write(buf[:n])
			term.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		tty.Close() // the reader then sees EIO
		<-done
		term.keys.Close()
	})
	return term
}

// prompts collects what the command says and tells when it asked.
type prompts struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (p *prompts) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.Write(b)
}

func (p *prompts) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String()
}

// type2 runs "user passwd ann" on the terminal and types first and second when
// it is asked for them.
func (term *terminal) type2(t *testing.T, socket, first, second string) result {
	t.Helper()
	var out bytes.Buffer
	asked := &prompts{}
	code := make(chan int, 1)
	go func() {
		args := []string{"user", "passwd", "ann", "--socket", socket}
		code <- cli.Execute(t.Context(), &commands{}, args, &cli.IO{In: term.tty, Out: &out, Err: asked})
	}()
	typed := 0
	for deadline := time.Now().Add(20 * time.Second); ; {
		select {
		case c := <-code:
			return result{c, out.String(), asked.String()}
		default:
		}
		text := asked.String()
		if typed == 0 && strings.Contains(text, "New password: ") && term.silent(t) {
			typed++
			io.WriteString(term.keys, first) //nolint:errcheck // the loop's deadline notices
		}
		if typed == 1 && strings.Contains(text, "Once more: ") && term.silent(t) {
			typed++
			io.WriteString(term.keys, second) //nolint:errcheck // the loop's deadline notices
		}
		if time.Now().After(deadline) {
			t.Fatalf("hangs after %q", text)
		}
	}
}

// silent is whether the terminal echoes nothing now.
func (term *terminal) silent(t *testing.T) bool { return term.flags(t)&unix.ECHO == 0 }

func (term *terminal) flags(t *testing.T) uint32 {
	t.Helper()
	s, err := unix.IoctlGetTermios(int(term.tty.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return s.Lflag
}

func TestPasswordIsTypedTwiceWithoutEcho(t *testing.T) {
	d := fakeDaemon(t, map[string]any{"POST /v1/users/password": protocol.User{ID: 10001, Username: "ann"}})
	term := openTerminal(t)
	before := term.flags(t)
	// ü and a backspace, then everything again after Ctrl-U.
	r := term.type2(t, d.socket, "geheimü\x7f!\r", "wrong\x15geheim!\n")
	if r.code != 0 || !strings.HasSuffix(d.last(), `{"User":"ann","Password":"geheim!"}`) {
		t.Errorf("got %+v, asked %s", r, d.last())
	}
	if r := term.type2(t, d.socket, "one\r", "two\r"); r.code != 1 || !strings.Contains(r.err, "differ") {
		t.Errorf("different: %+v", r)
	}
	if r := term.type2(t, d.socket, "one\x03", ""); r.code != 1 || !strings.Contains(r.err, "interrupted") {
		t.Errorf("Ctrl-C: %+v", r)
	}
	if after := term.flags(t); after != before || after&unix.ECHO == 0 {
		t.Errorf("terminal flags %x before, %x after", before, after)
	}
	term.mu.Lock()
	defer term.mu.Unlock()
	if s := term.echo.String(); strings.Contains(s, "geheim") || strings.Contains(s, "one") {
		t.Errorf("the terminal showed %q", s)
	}
}
