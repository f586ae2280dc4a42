package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"gtiv/tui/cli"
)

// execute runs a command line as main does, with nothing on standard input.
func execute(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	in, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	var o, e bytes.Buffer
	code = cli.Execute(t.Context(), &commands{}, args, &cli.IO{In: in, Out: &o, Err: &e, Version: "v1.2.3"})
	return code, o.String(), e.String()
}

func TestEveryCommandExplainsItself(t *testing.T) {
	code, help, _ := execute(t)
	if code != cli.ExitOK {
		t.Fatalf("gtiv without arguments: exit code %d", code)
	}
	commands := 0
	for line := range strings.Lines(help[strings.Index(help, "Commands:"):]) {
		name, _, ok := strings.Cut(strings.TrimSpace(line), "  ")
		if !ok || !strings.HasPrefix(line, "  ") || strings.HasPrefix(line, "    ") {
			continue
		}
		commands++
		code, out, errs := execute(t, append(strings.Fields(name), "--help")...)
		if code != cli.ExitOK || !strings.Contains(out, "Usage: gtiv "+name) || errs != "" {
			t.Errorf("gtiv %s --help: %d %q %q", name, code, out, errs)
		}
		if !strings.HasPrefix(name, "serve") && !strings.Contains(out, "--json") {
			t.Errorf("gtiv %s has no --json", name)
		}
	}
	if commands != 51 {
		t.Errorf("%d commands in the help:\n%s", commands, help)
	}
}

func TestExitCodes(t *testing.T) {
	nowhere := t.TempDir()
	for _, c := range []struct {
		args string
		code int
	}{
		{"version", 0},
		{"config default", 0},
		{"config print", 0},
		{"config check", 0},
		{"config check --config /nonexistent.toml", 1},
		{"config", 2},
		{"config check --nosuch", 2},
		{"serve --port-offset x", 2},
		{"serve --log-level loud", 2},
		{"status --data " + nowhere, 3},
		{"config print --running --data " + nowhere, 3},
		{"user list --data " + nowhere, 3},
		{"invite create --data " + nowhere, 3},
		{"room show 1000000001 --data " + nowhere, 3},
		{"room dissolve", 2},
		{"import gtiv", 2},
		{"import gtiv /nonexistent.sql", 2},
		{"import gtiv main.go --apply --dry-run", 2},
		{"import gtiv main.go --data " + nowhere, 1},
		{"video delete 7", 2},
		{"queue drop process", 2},
		{"import videos " + nowhere + " --user ann --data " + nowhere, 3},
		{"doctor --data " + nowhere, 3},
	} {
		for _, suffix := range []string{"", " --json"} {
			if strings.HasPrefix(c.args, "serve") && suffix != "" {
				continue
			}
			code, out, errs := execute(t, strings.Fields(c.args+suffix)...)
			if code != c.code || (code == 0) != (errs == "") {
				t.Errorf("gtiv %s%s: exit code %d, want %d\n%s%s", c.args, suffix, code, c.code, out, errs)
			}
			if suffix != "" && !json.Valid([]byte(out+errs)) {
				t.Errorf("gtiv %s%s: no JSON: %q %q", c.args, suffix, out, errs)
			}
		}
	}
}

// Found by a reviewer: one of the commands that make run recommends was refused.
func TestTheWelcomePrintsCommandsThatParse(t *testing.T) {
	data := t.TempDir()
	out, err := exec.CommandContext(t.Context(), "/bin/sh", "packaging/welcome.sh", data, "0").Output() //nolint:gosec // ours
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`\./bin/gtiv (.*?)(?:\.?\n|  )`).FindAllStringSubmatch(string(out), -1)
	if len(found) < 3 {
		t.Fatalf("found only %q in\n%s", found, out)
	}
	for _, f := range found {
		if code, _, errs := execute(t, strings.Fields(f[1])...); code == cli.ExitUsage {
			t.Errorf("gtiv %s: %s", f[1], errs)
		}
	}
}
