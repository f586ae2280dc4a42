package daemon_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// pkg is what "go list" says of a package.
type pkg struct {
	ImportPath, Name, Doc string
	Imports, Deps         []string
}

// packages lists all packages of the module, by their path without the
// module's name; that of the program itself is "".
func packages(t *testing.T) map[string]pkg {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Name,Doc,Imports,Deps", "gtiv/...")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	all := map[string]pkg{}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		err := d.Decode(&p)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all[ours(p.ImportPath)] = p
	}
}

// ours is the path inside the module.
func ours(path string) string { return strings.TrimPrefix(strings.TrimPrefix(path, "gtiv"), "/") }

func isOurs(path string) bool { return path == "gtiv" || strings.HasPrefix(path, "gtiv/") }

// features are the packages with the rules; they know neither one another nor
// what faces clients.
var features = []string{"daemon/account", "daemon/chat", "daemon/live", "daemon/record", "daemon/video", "daemon/call"}

// mayImport says which packages of ours each package may import; "x/" stands
// for all below x. A package that is missing here needs a decision.
var mayImport = map[string][]string{
	"": {"daemon", "packaging", "tui", "tui/"},

	"protocol":          {},
	"protocol/client":   {"protocol"},
	"store":             {},
	"store/queue":       {},
	"store/blob":        {},
	"store/blob/s3test": {},
	"store/mysqldump":   {},
	"media":             {},
	"media/":            {"media", "media/codec"},
	"media/record":      {"media", "media/codec", "media/flv"},
	"packaging":         {},

	"daemon/limit":        {},
	"daemon/dial":         {},
	"daemon/filter":       {},
	"daemon/upload":       {"protocol", "store/blob", "daemon/limit"},
	"daemon/account":      {"store", "store/", "protocol", "daemon/limit", "daemon/filter"},
	"daemon/chat":         {"store", "store/", "protocol", "daemon/limit", "daemon/filter"},
	"daemon/live":         {"store", "store/", "protocol", "daemon/limit", "daemon/filter", "daemon/video/sample", "media"},
	"daemon/video":        {"store", "store/", "protocol", "daemon/limit", "daemon/filter", "daemon/video/sample", "media/clip"},
	"daemon/video/sample": {},
	"daemon/call":         {"store", "store/", "protocol", "daemon/limit", "media/turn"},

	"daemon/record": {"store", "protocol", "daemon/limit", "media", "media/record"},
	"daemon/stream": {"media", "media/"},
	"daemon/legacy": {"store", "store/", "protocol", "daemon/account", "daemon/video", "media/clip"},

	"daemon/gateway":   {"protocol"},
	"daemon/web":       append([]string{"protocol", "store", "store/blob", "daemon/web/", "daemon/upload", "daemon/video/sample"}, features...),
	"daemon/web/api":   {"protocol", "daemon/limit"},
	"daemon/web/tus":   {"daemon/limit"},
	"daemon/web/pages": {"daemon/web/api"},
	"daemon/control":   append([]string{"protocol", "store"}, features...),
	"daemon/apptest":   {"protocol"},
	"daemon/bench":     {"protocol", "protocol/client", "store", "store/", "daemon", "daemon/", "media", "media/"},
	"daemon":           {"protocol", "protocol/client", "store", "store/", "media", "media/", "daemon/", "packaging"},

	"tui":  {"protocol", "protocol/client"},
	"tui/": {"protocol", "protocol/client", "tui"},
}

// allowedFor finds the rule of a package: its own, or that of the folder.
func allowedFor(name string) (list []string, ok bool) {
	if list, ok := mayImport[name]; ok {
		return list, true
	}
	for folder := name; strings.Contains(folder, "/"); {
		folder = folder[:strings.LastIndex(folder, "/")]
		if list, ok := mayImport[folder+"/"]; ok {
			return list, true
		}
	}
	return nil, false
}

func permits(list []string, name string) bool {
	return slices.ContainsFunc(list, func(rule string) bool {
		return rule == name || strings.HasSuffix(rule, "/") && strings.HasPrefix(name, rule)
	})
}

func TestPackagesImportOnlyWhatTheyMay(t *testing.T) {
	all := packages(t)
	if len(all) < 15 {
		t.Fatalf("only %d packages were found", len(all))
	}
	for name, p := range all {
		rules, ok := allowedFor(name)
		if !ok {
			t.Errorf("%s has no rule in mayImport: decide what it may import", p.ImportPath)
		}
		for _, i := range p.Imports {
			if isOurs(i) && !permits(rules, ours(i)) {
				t.Errorf("%s imports %s; it may import only %v of ours", p.ImportPath, i, rules)
			}
			if ours(i) == "daemon/apptest" && name != "daemon/bench" {
				t.Errorf("%s imports %s, which is for tests", p.ImportPath, i)
			}
		}
	}
}

// What a package must not even reach through others.
func TestPackagesDoNotReachWhatTheyMustNot(t *testing.T) {
	all := packages(t)
	for name, must := range map[string]struct {
		not    []string // packages, or folders with a slash at the end
		reason string
	}{
		"protocol":    {[]string{"net", "net/", "os/exec", "database/sql", "golang.org/", "github.com/", "modernc.org/"}, "it is read by other programs and does no I/O"},
		"tui/cli":     {[]string{"gtiv/daemon", "gtiv/daemon/", "gtiv/store", "gtiv/store/", "gtiv/media", "modernc.org/", "github.com/dgraph-io/"}, "it talks to the daemon over the control socket"},
		"tui":         {[]string{"gtiv/daemon", "gtiv/daemon/", "gtiv/store", "gtiv/store/", "gtiv/media", "modernc.org/", "github.com/dgraph-io/"}, "it talks to the daemon over the control socket"},
		"store":       {[]string{"net/http", "github.com/dgraph-io/"}, "it is SQLite and nothing else"},
		"store/queue": {[]string{"net/http/httptest", "modernc.org/", "database/sql"}, "it is Badger and nothing else"},
		"daemon":      {[]string{"gtiv/tui", "gtiv/tui/", "gtiv/daemon/apptest", "testing", "net/http/pprof"}, "it is the server"},
		"":            {[]string{"testing", "gtiv/daemon/apptest", "gtiv/daemon/bench"}, "it is what people install"},
	} {
		p, ok := all[name]
		if !ok {
			continue // not built yet
		}
		for _, d := range p.Deps {
			if permits(must.not, d) {
				t.Errorf("%s depends on %s, but %s", p.ImportPath, d, must.reason)
			}
		}
	}
}

func TestPackagesAreNamedAndDocumented(t *testing.T) {
	for _, p := range packages(t) {
		last := p.ImportPath[strings.LastIndex(p.ImportPath, "/")+1:]
		if slices.Contains([]string{"util", "utils", "common", "base", "types", "model", "models", "helper", "helpers", "misc"}, last) {
			t.Errorf("%s: a package is named after what it holds, not %s", p.ImportPath, last)
		}
		switch {
		case p.Doc == "":
			t.Errorf("%s has no doc comment", p.ImportPath)
		case p.Name != "main" && !strings.HasPrefix(p.Doc, "Package "+p.Name+" "):
			t.Errorf("%s: its doc comment does not start with %q: %s", p.ImportPath, "Package "+p.Name, p.Doc)
		}
		if p.Name != "main" && p.Name != last {
			t.Errorf("%s is called package %s", p.ImportPath, p.Name)
		}
	}
}
