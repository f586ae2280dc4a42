package queue_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"gtiv/store/queue"
)

const childEnv = "GTIV_QUEUE_CRASH_DIR"

// TestMain lets the test binary be the process that gets killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		if err := crashChild(dir, os.Getenv(childEnv+"_ROUND")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// crashChild puts jobs from 16 goroutines, finishes every third, and begins
// sessions; it prints each thing once it was acknowledged, until it is killed.
func crashChild(dir, round string) error {
	s, err := queue.Open(queue.Config{Dir: dir})
	if err != nil {
		return err
	}
	ctx := context.Background()
	topic := s.Topic("crash", queue.TopicOptions{MaxAttempts: 1000})
	var wg sync.WaitGroup
	for w := range 16 {
		wg.Go(func() {
			for i := 0; ; i++ {
				id := fmt.Sprintf("%s-%d-%d", round, w, i)
				if err := topic.Put(ctx, id, []byte(strings.Repeat(id, 10)), time.Time{}); err != nil {
					return
				}
				fmt.Println("put " + id)
			}
		})
	}
	wg.Go(func() {
		for i := int64(1); ; i++ {
			id := i + 1_000_000*int64(len(round)+int(round[0]))
			if err := s.Cursors().Begin(ctx, id, map[int64]uint64{id: uint64(i)}); err != nil {
				return
			}
			fmt.Printf("begun %d %d\n", id, i)
			if i%3 == 0 {
				j, err := topic.Take(ctx)
				if err != nil || topic.Ack(ctx, j) != nil {
					return
				}
				fmt.Println("done " + j.ID)
			}
		}
	})
	wg.Wait()
	return errors.New("stopped without being killed")
}

func TestNothingAcknowledgedIsLostWhenKilled(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "queue")
	want, begun, maybe := make(map[string]bool), make(map[int64]uint64), make(map[string]bool)
	puts := 0
	for round := range 8 {
		out := runAndKill(t, dir, round)
		for _, line := range strings.Split(out, "\n") {
			var id int64
			var base uint64
			switch {
			case strings.HasPrefix(line, "put "):
				want[line[4:]] = true
				puts++
			case strings.HasPrefix(line, "done "):
				maybe[line[5:]] = true
			default:
				if n, _ := fmt.Sscanf(line, "begun %d %d", &id, &base); n == 2 {
					begun[id] = base
				}
			}
		}
		for id := range maybe { // "done" is printed after "put" of another goroutine
			delete(want, id)
		}
		check(t, dir, want, maybe, begun)
		t.Logf("round %d: %d put so far, %d waiting, %d sessions", round, puts, len(want), len(begun))
	}
	if puts < 100 || len(begun) == 0 || len(maybe) == 0 {
		t.Fatalf("the children did too little to prove anything: %d put, %d begun, %d done", puts, len(begun), len(maybe))
	}
}

// runAndKill returns the whole lines the child printed before SIGKILL.
func runAndKill(t *testing.T, dir string, round int) string {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+dir, fmt.Sprintf("%s_ROUND=%c", childEnv, 'a'+round))
	cmd.Stderr = os.Stderr
	pipe, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	r := bufio.NewReader(pipe)
	first, err := r.ReadString('\n') // it has opened the folder and works
	must(t, err)
	kill := time.AfterFunc(time.Duration(rand.IntN(400))*time.Millisecond, func() { _ = cmd.Process.Kill() })
	defer kill.Stop()
	var rest bytes.Buffer
	_, _ = rest.ReadFrom(r)
	_ = cmd.Wait()
	out := first + rest.String()
	return out[:strings.LastIndexByte(out, '\n')+1]
}

func check(t *testing.T, dir string, want, done map[string]bool, begun map[int64]uint64) {
	t.Helper()
	s, err := queue.Open(queue.Config{Dir: dir})
	must(t, err)
	defer func() { must(t, s.Close()) }()
	if bad, why := s.Recovered(); bad {
		t.Fatal("recovered:", why)
	}
	topic := s.Topic("crash", queue.TopicOptions{})
	have, after := make(map[string]bool), ""
	for {
		page, err := topic.List(t.Context(), after, 1000)
		must(t, err)
		for _, j := range page {
			have[j.ID], after = true, j.Cursor
		}
		if len(page) == 0 {
			break
		}
	}
	if st := topic.Stats(); st.Depth != int64(len(have)) {
		t.Errorf("stats say %d, there are %d", st.Depth, len(have))
	}
	missing := 0
	for id := range want {
		if !have[id] {
			missing++
		}
	}
	// One job may have been finished without the line about it getting out.
	if missing > 1 {
		t.Fatalf("%d of %d acknowledged jobs are missing", missing, len(want))
	}
	for id := range want {
		if !have[id] {
			delete(want, id)
		}
	}
	for id := range done {
		if have[id] {
			t.Errorf("%s was done and is back", id)
		}
	}
	for id, base := range begun {
		cur, err := s.Cursors().Get(id, id)
		must(t, err)
		if !known(t, s.Cursors(), id) || cur.Base != base {
			t.Fatalf("session %d: %+v, want base %d", id, cur, base)
		}
	}
}

// An attempt that ended with the process counts, an unknown one does not.
func TestAJobThatKillsTheProcessIsGivenUp(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "queue")
	opt := queue.TopicOptions{MaxAttempts: 2}
	s := open(t, queue.Config{Dir: dir})
	put(t, s.Topic("push", opt), "a")
	must(t, s.Close())
	for range 2 {
		copyDir := dir + "-copy"
		s = open(t, queue.Config{Dir: dir})
		take(t, s.Topic("push", opt))
		must(t, s.Healthy(t.Context())) // a commit after the note of the attempt
		must(t, os.CopyFS(copyDir, os.DirFS(dir)))
		must(t, s.Close())
		must(t, os.RemoveAll(dir))
		must(t, os.Rename(copyDir, dir)) // as a kill would have left it
	}
	s = open(t, queue.Config{Dir: dir})
	topic := s.Topic("push", opt)
	takeNone(t, topic)
	wantStats(t, topic, 0, 0, 1)
}

// filled returns a folder as a kill leaves it, with jobs in tables and in the log.
func filled(t *testing.T, jobs int) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "queue")
	s := open(t, queue.Config{Dir: dir})
	topic := s.Topic("push", queue.TopicOptions{})
	for i := range jobs {
		must(t, topic.Put(t.Context(), fmt.Sprint(i), make([]byte, 100<<10), time.Time{}))
	}
	for deadline := time.Now().Add(10 * time.Second); ; { // until the first log is a table
		logs, _ := filepath.Glob(filepath.Join(dir, "*.mem"))
		tables, _ := filepath.Glob(filepath.Join(dir, "*.sst"))
		if len(logs) == 1 && len(tables) == 1 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(logs, tables)
		}
	}
	must(t, os.CopyFS(dir+"-copy", os.DirFS(dir)))
	return dir + "-copy"
}

func TestDamagedFilesNeverKeepTheStoreFromOpening(t *testing.T) {
	damage := map[string]struct {
		pattern string
		do      func(t *testing.T, path string)
		says    bool
	}{
		"log cut where its records end": {"*.mem", cutData(10), true},
		"log cut in the middle":         {"*.mem", cutData(1 << 20), true},
		"log empty":                     {"*.mem", truncate(0), true},
		"log shorter than its header":   {"*.mem", truncate(7), true},
		"zeroes after the log cut":      {"*.mem", truncate(-10), false},
		"value log cut":                 {"*.vlog", truncate(-10), false},
		"value log empty":               {"*.vlog", truncate(0), false},
		"table cut":                     {"*.sst", truncate(-10), true},
		"table empty":                   {"*.sst", truncate(0), true},
		"table garbled in the middle":   {"*.sst", garble, true},
		"table garbled at its end":      {"*.sst", garbleEnd, true},
		"table all over garbled":        {"*.sst", garbleAll, true},
		"log all over garbled":          {"*.mem", garbleAll, true},
		"manifest all over garbled":     {"MANIFEST", garbleAll, true},
		"discard statistics garbled":    {"DISCARD", garbleAll, false},
		"tally empty":                   {"ACKNOWLEDGED", truncate(0), false},
		"manifest cut":                  {"MANIFEST", truncate(-10), true},
		"manifest empty":                {"MANIFEST", truncate(0), true},
		"manifest garbled":              {"MANIFEST", garble, true},
		"log garbled":                   {"*.mem", garble, true},
		"key registry empty":            {"KEYREGISTRY", truncate(0), true},
		"a table is missing":            {"*.sst", func(t *testing.T, p string) { must(t, os.Remove(p)) }, true},
	}
	source := filled(t, 110)
	for name, d := range damage {
		t.Run(name, func(t *testing.T) {
			dir := filledCopy(t, source)
			files, _ := filepath.Glob(filepath.Join(dir, d.pattern))
			if len(files) == 0 {
				t.Fatal("no such file")
			}
			d.do(t, files[len(files)-1])
			var logged bytes.Buffer
			s, err := queue.Open(queue.Config{Dir: dir, Logger: slog.New(slog.NewTextHandler(&logged, nil))})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			bad, why := s.Recovered()
			t.Log(bad, why)
			if bad != d.says || bad != strings.Contains(logged.String(), "queue recovered") {
				t.Errorf("recovered %v %q, want %v; log: %s", bad, why, d.says, logged.String())
			}
			topic := s.Topic("push", queue.TopicOptions{})
			put(t, topic, "new")
			jobs, err := topic.List(t.Context(), "", 1000)
			must(t, err)
			for range jobs {
				must(t, topic.Ack(t.Context(), take(t, topic)))
			}
			takeNone(t, topic)
			wantStats(t, topic, 0, 0, 0) // the counters agree with what is left
			must(t, s.Healthy(t.Context()))
		})
	}
}

func filledCopy(t *testing.T, source string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "queue")
	must(t, os.CopyFS(dir, os.DirFS(source)))
	return dir
}

func truncate(to int64) func(*testing.T, string) {
	return func(t *testing.T, path string) {
		t.Helper()
		info, err := os.Stat(path)
		must(t, err)
		size := to
		if to < 0 {
			size = max(0, info.Size()+to)
		}
		must(t, os.Truncate(path, size))
	}
}

// cutData cuts n bytes before the zeroes that a log file ends with.
func cutData(n int) func(*testing.T, string) {
	return func(t *testing.T, path string) {
		t.Helper()
		b, err := os.ReadFile(path)
		must(t, err)
		must(t, os.Truncate(path, int64(max(20, len(bytes.TrimRight(b, "\x00"))-n))))
	}
}

func garble(t *testing.T, path string) {
	t.Helper()
	b, err := os.ReadFile(path)
	must(t, err)
	data := bytes.TrimRight(b, "\x00")
	for i := range min(64, len(data)) {
		b[(len(data)/2+i)%len(data)] ^= 0x5a
	}
	must(t, os.WriteFile(path, b, 0o600))
}

func garbleEnd(t *testing.T, path string) {
	t.Helper()
	b, err := os.ReadFile(path)
	must(t, err)
	for i := range 40 {
		b[len(b)-1-i] ^= byte(i + 1)
	}
	must(t, os.WriteFile(path, b, 0o600))
}

func garbleAll(t *testing.T, path string) {
	t.Helper()
	b, err := os.ReadFile(path)
	must(t, err)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	must(t, os.WriteFile(path, b, 0o600))
}

func TestADamagedFolderIsMovedAsideAndTwoAreKept(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "queue")
	clk := newClock()
	for range 4 {
		s := open(t, queue.Config{Dir: dir, Now: clk.now})
		must(t, s.Close())
		must(t, os.WriteFile(filepath.Join(dir, "MANIFEST"), []byte("garbage"), 0o600))
		clk.advance(time.Second)
	}
	s := open(t, queue.Config{Dir: dir, Now: clk.now})
	bad, why := s.Recovered()
	if !bad || !strings.Contains(why, dir+".broken-") || s.Created() {
		t.Fatal(bad, why)
	}
	kept, _ := filepath.Glob(dir + "*")
	if len(kept) != 3 { // the folder and two of four
		t.Fatal(kept)
	}
}

func TestStartsThatDieWhileOpeningGiveTheFolderUp(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "queue")
	must(t, open(t, queue.Config{Dir: dir}).Close())
	must(t, os.WriteFile(dir+".opening", []byte("2"), 0o600))
	s := open(t, queue.Config{Dir: dir}) // the third is still tried
	if bad, why := s.Recovered(); bad {
		t.Fatal(why)
	}
	must(t, s.Close())
	must(t, os.WriteFile(dir+".opening", []byte("3"), 0o600))
	if bad, why := open(t, queue.Config{Dir: dir}).Recovered(); !bad || !strings.Contains(why, "3 starts") {
		t.Fatal(bad, why)
	}
}

func TestADeletedFolderIsMadeAnew(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "queue")
	s := open(t, queue.Config{Dir: dir})
	put(t, s.Topic("push", queue.TopicOptions{}), "a")
	must(t, s.Close())
	must(t, os.RemoveAll(dir))
	s = open(t, queue.Config{Dir: dir})
	if bad, _ := s.Recovered(); bad || !s.Created() {
		t.Fatal("recovered", bad, "created", s.Created())
	}
	wantStats(t, s.Topic("push", queue.TopicOptions{}), 0, 0, 0)
	put(t, s.Topic("push", queue.TopicOptions{}), "a")
}

func TestAFolderInUseIsAnErrorNotDamage(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "queue")
	s := open(t, queue.Config{Dir: dir})
	if _, err := queue.Open(queue.Config{Dir: dir}); !errors.Is(err, queue.ErrLocked) {
		t.Fatal(err)
	}
	put(t, s.Topic("push", queue.TopicOptions{}), "still fine")
	if found, _ := filepath.Glob(dir + ".*"); len(found) != 0 {
		t.Fatal(found)
	}
}

// smallDisk mounts a disk of so many MiB; resize changes that, and used answers
// what is taken.
func smallDisk(t *testing.T, mib int) (mount string, resize func(mib int), used func() int) {
	t.Helper()
	mount = t.TempDir()
	if err := exec.Command("mount", "-t", "tmpfs", "-o", fmt.Sprintf("size=%dm", mib), "none", mount).Run(); err != nil {
		t.Skip("cannot mount a small disk:", err)
	}
	// Detached: a test that fails may have files open still.
	t.Cleanup(func() { must(t, syscall.Unmount(mount, syscall.MNT_DETACH)) })
	resize = func(mib int) {
		t.Helper()
		must(t, exec.Command("mount", "-o", fmt.Sprintf("remount,size=%dm", mib), mount).Run())
	}
	used = func() int {
		t.Helper()
		var st syscall.Statfs_t
		must(t, syscall.Statfs(mount, &st))
		return int(int64(st.Blocks-st.Bfree) * int64(st.Bsize) >> 20) //nolint:gosec,unconvert // a small disk; 32 bits on some machines
	}
	return mount, resize, used
}

// A full disk is an error, before Badger's memory maps turn it into a fault. What
// is kept back is more than all that was stored: Badger tidies up in the
// background, for which it writes everything anew at worst, and that must not be
// what fills the disk here.
func TestAFullDiskIsAnErrorAndHealsItself(t *testing.T) {
	mount, resize, used := smallDisk(t, 192)
	const minFree = 148 // MiB
	dir := filepath.Join(mount, "queue")
	s, err := queue.Open(queue.Config{Dir: dir, MinFree: minFree << 20})
	must(t, err)
	t.Cleanup(func() { _ = s.Close() })
	topic := s.Topic("push", queue.TopicOptions{})
	stored := 0
	for err == nil {
		if err = topic.Put(t.Context(), fmt.Sprint(stored), make([]byte, 200<<10), time.Time{}); err == nil {
			stored++
		}
	}
	t.Log(stored, "jobs of 200 KiB, then:", err)
	if !errors.Is(err, queue.ErrNoSpace) || stored < 50 {
		t.Fatal(stored, err)
	}
	ballast := filepath.Join(mount, "ballast")
	must(t, os.WriteFile(ballast, make([]byte, 48<<20), 0o600)) // somebody else takes what tidying up may free
	s.Cursors().Hand(1, 1, 1, 1)
	if err := s.Cursors().Flush(t.Context()); !errors.Is(err, queue.ErrNoSpace) {
		t.Fatal(err)
	}
	if j := take(t, topic); j.ID != "0" { // reading goes on
		t.Fatal(j.ID)
	}
	resize(320)
	must(t, s.Cursors().Flush(t.Context()))
	put(t, topic, "new")
	wantStats(t, topic, int64(stored), 1, 0)
	must(t, s.Close())
	resize(used() + minFree/2 - 4) // too little to open
	if _, err := queue.Open(queue.Config{Dir: dir, MinFree: minFree << 20}); !errors.Is(err, queue.ErrNoSpace) {
		t.Fatal(err)
	}
	resize(320)
	s = open(t, queue.Config{Dir: dir, MinFree: minFree << 20})
	if bad, why := s.Recovered(); bad {
		t.Fatal(why)
	}
	wantStats(t, s.Topic("push", queue.TopicOptions{}), int64(stored)+1, 0, 0)
	must(t, s.Close())
}

func TestAFileInThePlaceOfTheFolderIsAnError(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "queue")
	must(t, os.WriteFile(dir, nil, 0o600))
	if _, err := queue.Open(queue.Config{Dir: dir}); err == nil {
		t.Fatal("opened a file")
	}
}
