package daemon_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"gtiv/protocol"
)

const root = ".." // of the repository

func readText(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Both READMEs start with two commands, which must exist.
func TestReadmeCommandsAreInTheMakefile(t *testing.T) {
	makefile := readText(t, "Makefile")
	command := regexp.MustCompile(`(?m)\bmake ([a-z][a-z-]*)`)
	for _, name := range []string{"README.md", "README.zh-CN.md"} {
		text := readText(t, name)
		first := regexp.MustCompile(`(?m)^ {4}make ([a-z-]+)`).FindAllStringSubmatch(text, -1)
		if len(first) < 2 || first[0][1] != "run" || first[1][1] != "test" {
			t.Errorf("%s does not begin with make run and make test: %v", name, first)
		}
		for _, m := range command.FindAllStringSubmatch(text, -1) {
			if !strings.HasPrefix(makefile, m[1]+":") && !strings.Contains(makefile, "\n"+m[1]+":") {
				t.Errorf("%s says make %s, which the Makefile has not", name, m[1])
			}
		}
	}
}

// Links between files of the repository lead somewhere.
func TestReadmeLinksExist(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)
	for _, name := range []string{"README.md", "README.zh-CN.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"} {
		for _, m := range link.FindAllStringSubmatch(readText(t, name), -1) {
			if _, err := os.Stat(filepath.Join(root, m[1])); err != nil {
				t.Errorf("%s links to %s: %v", name, m[1], err)
			}
		}
	}
}

// No file tells where it was written. The names are put together here so that
// this file does not hold them.
func TestNoFileNamesTheMachineItWasWrittenOn(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "git", "-C", root, "ls-files", "-co", "--exclude-standard", "-z")
	out, err := cmd.Output()
	if err != nil {
		t.Skipf("git ls-files: %v", err) // an unpacked archive
	}
	private := regexp.MustCompile("(?:^|[^A-Za-z0-9_.])(/" + "work/(?:main|shared|\\.)|/" + "tmp/w/|/" + "root/)")
	files := 0
	for name := range strings.SplitSeq(strings.TrimRight(string(out), "\x00"), "\x00") {
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil || bytes.IndexByte(text, 0) >= 0 {
			continue // deleted and not committed yet, or no text
		}
		files++
		for i, line := range bytes.Split(text, []byte("\n")) {
			if m := private.FindSubmatch(line); m != nil {
				t.Errorf("%s:%d names %s", name, i+1, m[1])
			}
		}
	}
	if files < 50 {
		t.Errorf("only %d files were read", files)
	}
}

// laterKeys are the texts of wire.md 16 that nothing uses yet.
var laterKeys = []string{
	"bannedAll", "relieveBannedAll", "user", "bannedTimeType1", "bannedTimeType2", "bannedTimeType3", "bannedTimeType4", "bannedTimeType5",
	"relieveBannedUser", "createRooomCount1", "createRooomCount2", "whoseRoom", "userRoomMemberLimit", "canNotRemoveMember",
	"deleteVideoSelf", "dissolveRoom", "createNewRoom",
}

// keyAt says which argument of a function is a text key.
var keyAt = map[string]int{
	"protocol.Errorf": 1, "protocol.TextKey": 0, "protocol.Text": 1,
	"badName": 1, "badValue": 1, "unknown": 1,
}

// textUse is what the source says about text keys.
type textUse struct {
	keys  map[string]token.Position // where a key must be
	words map[string]bool           // every string there is
	set   *token.FileSet
}

func TestTextKeysExistAndAreUsed(t *testing.T) {
	use := textUse{keys: map[string]token.Position{}, words: map[string]bool{}, set: token.NewFileSet()}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "data" || d.Name() == "dist"):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		return use.file(path)
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(use.keys) < 30 {
		t.Errorf("only %d uses of text keys were found: does this test still look at the right functions?", len(use.keys))
	}
	known := protocol.TextKeys(protocol.LanguageEnglish)
	for _, key := range slices.Sorted(maps.Keys(use.keys)) {
		if !slices.Contains(known, key) {
			t.Errorf("%v: there is no text %q in protocol/text/en.json", use.keys[key], key)
		}
	}
	for _, key := range known {
		if later := slices.Contains(laterKeys, key); !use.words[key] && !later {
			t.Errorf("nothing uses the text %q of protocol/text/en.json", key)
		}
	}
	for _, language := range protocol.Languages() {
		if other := protocol.TextKeys(language); !slices.Equal(known, other) {
			t.Errorf("en.json and %s.json do not have the same keys", language)
		}
	}
}

// file collects the keys of one source file.
func (u *textUse) file(path string) error {
	f, err := parser.ParseFile(u.set, path, nil, parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ImportSpec:
			return false
		case *ast.BasicLit:
			if text, ok := literal(n); ok {
				u.words[text] = true
			}
		case *ast.CallExpr:
			name := nameOfCall(n.Fun)
			if f.Name.Name == "protocol" && (name == "Errorf" || name == "TextKey") {
				name = "protocol." + name
			}
			if at, ok := keyAt[name]; ok && at < len(n.Args) {
				u.note(n.Args[at])
			}
		case *ast.CompositeLit:
			if name := nameOfCall(n.Type); name == "protocol.Error" || name == "protocol.SystemText" {
				for _, e := range n.Elts {
					if kv, ok := e.(*ast.KeyValueExpr); ok && nameOfCall(kv.Key) == "Key" {
						u.note(kv.Value)
					}
				}
			}
		}
		return true
	})
	return nil
}

// note remembers a key that is written out.
func (u *textUse) note(e ast.Expr) {
	if text, ok := literal(e); ok {
		u.keys[text] = u.set.Position(e.Pos())
	}
}

func literal(e ast.Expr) (string, bool) {
	lit, ok := e.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return "", false
	}
	text, err := strconv.Unquote(lit.Value)
	return text, err == nil
}

// nameOfCall is "f" or "pkg.f".
func nameOfCall(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		if x, ok := e.X.(*ast.Ident); ok {
			return x.Name + "." + e.Sel.Name
		}
	}
	return ""
}
