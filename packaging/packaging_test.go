package packaging_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"gtiv/packaging"
)

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// tool skips the test where a host lacks the program.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed", name)
	}
	return path
}

func run(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...) //nolint:gosec // the tests' own
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%s %v: %v\n%s", name, args, err, out)
	}
	return string(out)
}

func TestVersionIsNeverEmpty(t *testing.T) {
	if packaging.Version() == "" {
		t.Error("no version")
	}
}

func TestPackagedFilesExist(t *testing.T) {
	text := read(t, "nfpm.yaml")
	files := regexp.MustCompile(`(?m): (\./\S+)$`).FindAllStringSubmatch(text, -1)
	if len(files) < 8 {
		t.Fatalf("found only %v", files)
	}
	for _, f := range files {
		if f[1] == "./bin/gtiv" { // built by make
			continue
		}
		if _, err := os.Stat(filepath.Join("..", f[1])); err != nil {
			t.Error(err)
		}
	}
}

func TestUnitAndPackageAgree(t *testing.T) {
	unit, nfpm := read(t, "../gtiv.service"), read(t, "nfpm.yaml")
	for _, path := range []string{"/usr/bin/gtiv", "/etc/gtiv/gtiv.toml"} {
		if !strings.Contains(unit, path+" ") || !strings.Contains(nfpm, "dst: "+path+"\n") {
			t.Errorf("%s is not in both", path)
		}
	}
	for _, line := range []string{"Type=notify", "WatchdogSec=30", "RuntimeDirectoryMode=0755", "ExecReload=/bin/kill -HUP $MAINPID"} {
		if !strings.Contains(unit, "\n"+line+"\n") {
			t.Errorf("the unit lacks %s", line)
		}
	}
}

func TestUnitIsWellConfined(t *testing.T) {
	analyze := tool(t, "systemd-analyze")
	// In tenths: 1.7 is the model's score.
	run(t, "..", analyze, "security", "--offline=true", "--threshold=17", "--no-pager", "./gtiv.service")
}

func TestSystemUsersCanBeMade(t *testing.T) {
	sysusers := tool(t, "systemd-sysusers")
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	file, err := filepath.Abs("gtiv.sysusers")
	if err != nil {
		t.Fatal(err)
	}
	run(t, "", sysusers, "--root="+root, file)
	groups := read(t, filepath.Join(root, "etc/group"))
	for _, g := range []string{"gtiv", "gtiv-admin", "gtiv-moderator", "gtiv-viewer"} {
		if !strings.Contains("\n"+groups, "\n"+g+":") {
			t.Errorf("no group %s:\n%s", g, groups)
		}
	}
	if !strings.Contains(read(t, filepath.Join(root, "etc/passwd")), ":/var/lib/gtiv:/usr/sbin/nologin") {
		t.Error("no user gtiv")
	}
}

// TestMaintainerScripts runs them with programs that only write down how they
// were called, where /run/systemd/system does not exist.
func TestMaintainerScripts(t *testing.T) {
	bin := t.TempDir()
	log := filepath.Join(bin, "log")
	for _, name := range []string{"systemctl", "systemd-sysusers", "chgrp", "chmod", "rm"} {
		script := "#!/bin/sh\necho " + name + " \"$@\" >>" + log + "\n"
		if err := os.WriteFile(filepath.Join(bin, name), []byte(script), 0o755); err != nil { //nolint:gosec // to be run
			t.Fatal(err)
		}
	}
	if _, err := os.Stat("/run/systemd/system"); err == nil {
		t.Skip("systemd runs here, the scripts would do more")
	}
	for _, c := range []struct{ script, args, want string }{
		{"postinst.sh", "configure", "systemd-sysusers gtiv.conf\nsystemctl enable gtiv.service\n"},
		{"postinst.sh", "configure 1.0.0", "systemd-sysusers gtiv.conf\n"},
		{"postinst.sh", "abort-upgrade 1.0.0", ""},
		{"prerm.sh", "remove", "systemctl disable gtiv.service\n"},
		{"prerm.sh", "upgrade 1.1.0", ""},
		{"postrm.sh", "remove", ""},
		{"postrm.sh", "upgrade 1.1.0", ""},
		{"postrm.sh", "purge", "rm -rf /var/lib/gtiv /var/cache/gtiv /etc/gtiv\n"},
	} {
		if err := os.WriteFile(log, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), "/bin/sh", append([]string{c.script}, strings.Fields(c.args)...)...) //nolint:gosec // ours
		cmd.Env = []string{"PATH=" + bin}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s %s: %v\n%s", c.script, c.args, err, out)
		}
		if got := read(t, log); got != c.want {
			t.Errorf("%s %s did\n%s\nwant\n%s", c.script, c.args, got, c.want)
		}
	}
}
