package store_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"gtiv/store"
)

// crashChild sends without end and prints what was acknowledged. It is killed.
func crashChild(path string) error {
	s, err := store.Open(context.Background(), store.Config{Path: path})
	if err != nil {
		return err
	}
	var g errgroup.Group
	for i := range 16 {
		from, to := int64(10001), int64(10002)
		if i%2 == 1 {
			from, to = to, from
		}
		g.Go(func() error {
			for n := 0; ; n++ {
				text := fmt.Sprintf("%d-%d-%d", os.Getpid(), i, n)
				m, err := s.SendPrivate(context.Background(), store.NewMessage{From: from, To: to, Content: text, ClientMsgID: text})
				if err != nil {
					return err
				}
				// One write a line: the parent may kill us between any two.
				if _, err := os.Stdout.WriteString(fmt.Sprintln("ack", m.ServerMsgID, m.Seq, m.Time, text)); err != nil {
					return err
				}
			}
		})
	}
	return g.Wait()
}

type ack struct {
	id   string
	seq  uint64
	time int64
	text string
}

// Six times: kill -9 at a random moment; nothing acknowledged may be missing
// and the numbers stay dense.
func TestKillLosesNothingAcknowledged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gtiv.db")
	s := openAt(t, path)
	friends(t, s, "anna", "ben")
	conv := ok(s.PrivatePositions(t.Context(), 10001))(t)[0].Conversation
	want(t, "close", s.Close(), nil)
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // a test
	var all []ack
	for range 6 {
		all = append(all, crashRound(t, path, 100+random.IntN(800))...)
		checkAfterCrash(t, path, conv, all)
	}
	t.Logf("%d acknowledged messages survived", len(all))
}

// crashRound runs the child until it acknowledged about n sends, then kills it.
func crashRound(t *testing.T, path string, n int) []ack {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0]) //nolint:gosec // this test binary
	cmd.Env = append(os.Environ(), "GTIV_STORE_CRASH="+path)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out := ok(cmd.StdoutPipe())(t)
	want(t, "start", cmd.Start(), nil)
	lines := bufio.NewReader(out)
	var got []ack
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			break // the pipe is read to its end, also what was printed before the kill
		}
		var a ack
		if _, err := fmt.Sscan(line, new(string), &a.id, &a.seq, &a.time, &a.text); err != nil {
			t.Fatalf("line %q: %v", line, err)
		}
		if got = append(got, a); len(got) == n {
			want(t, "kill", cmd.Process.Kill(), nil)
		}
	}
	err := cmd.Wait()
	if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || exit.ExitCode() != -1 {
		t.Fatalf("the child ended by itself: %v\n%s", err, stderr.String())
	}
	return got
}

func checkAfterCrash(t *testing.T, path string, conv int64, all []ack) {
	t.Helper()
	s := openAt(t, path)
	defer s.Close()
	stored := map[uint64]store.Message{}
	var next uint64
	for _, m := range ok(s.History(t.Context(), conv, 0, 1<<30))(t) {
		if next != 0 && m.Seq != next {
			t.Fatalf("hole: seq %d follows %d", next+1, m.Seq)
		}
		next = m.Seq - 1
		stored[m.Seq] = m
	}
	if next != 0 {
		t.Fatalf("numbers begin at %d", next+1)
	}
	for _, a := range all {
		m := stored[a.seq]
		if m.ServerMsgID != a.id || m.Time != a.time || m.Content != a.text {
			t.Fatalf("acknowledged %+v, stored %+v", a, m)
		}
	}
}
