package daemon

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"gtiv/media/clip"
	"gtiv/protocol"
	"gtiv/store"
	"gtiv/store/blob"
	"gtiv/store/queue"
)

// patient is a doctor with a healthy data folder.
func patient(t *testing.T) *doctor {
	t.Helper()
	d := &doctor{data: t.TempDir(), now: time.Now}
	var err error
	if d.store, err = store.Open(t.Context(), store.Config{Path: filepath.Join(d.data, dbFile)}); err != nil {
		t.Fatal(err)
	}
	if d.queue, err = queue.Open(queue.Config{Dir: filepath.Join(d.data, "queue"), MinFree: 1}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.queue.Close(); err != nil {
			t.Error(err)
		}
		if err := d.store.Close(); err != nil {
			t.Error(err)
		}
	})
	d.open(t, 1)
	if d.clips, err = clip.New(clip.Config{}); err != nil {
		t.Fatal(err)
	}
	return d
}

// open opens the media folder with a reserve.
func (d *doctor) open(t *testing.T, minFree int64) {
	t.Helper()
	s, err := blob.Open(blob.Config{Dir: filepath.Join(d.data, mediaDir), MinFree: minFree})
	if err != nil {
		t.Fatal(err)
	}
	d.blobs, d.staging = s, s.Staging
}

// check is one of the checks.
func (d *doctor) found(t *testing.T, name string) protocol.Check {
	t.Helper()
	all, err := d.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range all.Checks {
		if k.Name == name {
			return k
		}
	}
	t.Fatalf("no check %s in %+v", name, all)
	return protocol.Check{}
}

func TestAHealthyPatient(t *testing.T) {
	all, err := patient(t).run(t.Context())
	if err != nil || !all.Healthy() || len(all.Checks) != 10 {
		t.Errorf("%+v %v", all, err)
	}
}

func TestTheDoctorSeesTheClock(t *testing.T) {
	d := patient(t)
	if err := d.store.Audit(t.Context(), store.AuditEntry{Actor: "a", Action: "b"}); err != nil {
		t.Fatal(err)
	}
	d.now = func() time.Time { return time.Now().Add(-2 * time.Hour) }
	if k := d.found(t, "clock"); k.State != protocol.CheckFail || !regexp.MustCompile(`(1h59m5.|2h0m.)s behind`).MatchString(k.Text) {
		t.Errorf("%+v", k)
	}
}

func TestTheDoctorSeesTheDisk(t *testing.T) {
	d := patient(t)
	free, _ := d.staging.Free()
	for reserve, want := range map[int64]string{1: protocol.CheckOK, free * 3 / 4: protocol.CheckWarn, free * 2: protocol.CheckFail} {
		d.open(t, reserve)
		if k := d.found(t, "disk"); k.State != want {
			t.Errorf("reserve %d of %d: %+v", reserve, free, k)
		}
	}
}

func TestTheDoctorSeesThatFFmpegIsMissing(t *testing.T) {
	d := patient(t)
	var err error
	if d.clips, err = clip.New(clip.Config{FFmpeg: "/nowhere/ffmpeg"}); err != nil {
		t.Fatal(err)
	}
	if k := d.found(t, "ffmpeg"); k.State != protocol.CheckFail || !strings.Contains(k.Text, "/nowhere/ffmpeg") {
		t.Errorf("%+v", k)
	}
}

// Folders are named up to a bound, and young ones may belong to a video that is
// being made.
func TestTheDoctorRemovesOldStrayFolders(t *testing.T) {
	d := patient(t)
	for _, name := range strings.Split("a b c d e f g h i j k l m", " ") {
		dir := filepath.Join(d.data, mediaDir, "2026", name)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, clip.Playlist), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	k := d.found(t, "stray files")
	if k.State != protocol.CheckWarn || k.Text != "13 folders of no video" || len(k.Items) != maxItems+1 || k.Items[maxItems] != "and 3 more" || k.Hint != "" {
		t.Errorf("young: %+v", k)
	}
	d.now = func() time.Time { return time.Now().Add(25 * time.Hour) }
	if k := d.found(t, "stray files"); k.Hint == "" {
		t.Errorf("old: %+v", k)
	}
	d.fix = true
	if k := d.found(t, "stray files"); k.State != protocol.CheckOK || !k.Fixed || k.Text != "13 folders of no video removed" {
		t.Errorf("fixed: %+v", k)
	}
	if k := d.found(t, "stray files"); k.State != protocol.CheckOK || k.Fixed || k.Text != "none" {
		t.Errorf("afterwards: %+v", k)
	}
}

func TestOnlyItsOwnerExaminesAFolder(t *testing.T) {
	dir := t.TempDir()
	if _, err := Examine(t.Context(), dir, "", false); err == nil || !strings.Contains(err.Error(), "not the data folder") {
		t.Errorf("an empty folder: %v", err)
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root to give a file away")
	}
	path := filepath.Join(dir, dbFile)
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(path, 54321, -1); err != nil {
		t.Fatal(err)
	}
	if _, err := Examine(t.Context(), dir, "", false); err == nil || !strings.Contains(err.Error(), "user 54321") {
		t.Errorf("somebody else's: %v", err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("the folder was changed: %v %v", entries, err)
	}
}

// What cannot be opened is a finding, not the end.
func TestADamagedFolderIsExamined(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, dbFile), []byte(strings.Repeat("no database ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	found, err := Examine(t.Context(), dir, "", false)
	if err != nil || found.Healthy() {
		t.Fatalf("%+v %v", found, err)
	}
	if k := found.Checks[0]; k.Name != "database" || k.State != protocol.CheckFail || len(found.Checks) < 4 {
		t.Errorf("%+v", found)
	}
	lock, err := LockData(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Release() //nolint:errcheck // at the end
	if _, err := Examine(t.Context(), dir, "", false); err == nil || !strings.Contains(err.Error(), "already uses") {
		t.Errorf("while another uses it: %v", err)
	}
}
