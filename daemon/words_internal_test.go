package daemon

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gtiv/protocol"
)

func writeWords(t *testing.T, path, text string, age time.Duration) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	at := time.Now().Add(-age)
	if err := os.Chtimes(path, at, at); err != nil {
		t.Fatal(err)
	}
}

func TestWordsAreReadAgainWhenTheFileChanges(t *testing.T) {
	path := filepath.Join(t.TempDir(), "words.txt")
	writeWords(t, path, "# two\nbad\n法轮功\n", time.Hour)
	cfg := ModerationConfig{Words: []string{"ugly"}, WordsFile: path, Action: ActionRefuse}
	list, err := readWords(cfg)
	if err != nil {
		t.Fatal(err)
	}
	l := &wordList{log: slog.New(slog.DiscardHandler)}
	l.set(list)
	check := func(what string, refused, taken []string) {
		t.Helper()
		for _, text := range refused {
			if got, err := l.censor(text); protocol.CodeOf(err) != protocol.CodeBadValue || got != "" {
				t.Errorf("%s: %q was not refused: %v", what, text, err)
			}
		}
		for _, text := range taken {
			if got, err := l.censor(text); err != nil || got != text {
				t.Errorf("%s: %q: %q %v", what, text, got, err)
			}
		}
	}
	check("at first", []string{"so bad", "法 轮 功", "UGLY"}, []string{"badly", "fine", ""})
	writeWords(t, path, "worse\n", time.Minute)
	l.look()
	check("after a change", []string{"worse", "ugly"}, []string{"bad"})
	writeWords(t, path, "...\n", 30*time.Second)
	l.look()
	l.look()
	check("after a mistake", []string{"worse", "ugly"}, []string{"bad"})
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	l.look()
	check("without the file", []string{"worse", "ugly"}, []string{"bad"})
	writeWords(t, path, "bad\n", time.Second)
	l.look()
	check("when it is back", []string{"bad", "ugly"}, []string{"worse"})

	cfg.Action = ActionMask
	if list, err = readWords(cfg); err != nil {
		t.Fatal(err)
	}
	l.set(list)
	if got, err := l.censor("bad and ugly"); got != "*** and ****" || err != nil {
		t.Errorf("masked: %q %v", got, err)
	}
	l.set(words{})
	check("no list", nil, []string{"bad"})
}

func TestWordsThatCannotBeRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "words.txt")
	if _, err := readWords(ModerationConfig{WordsFile: path}); err == nil || !strings.Contains(err.Error(), "moderation.words_file") {
		t.Errorf("no file: %v", err)
	}
	writeWords(t, path, "good\n!!!\n", 0)
	if _, err := readWords(ModerationConfig{WordsFile: path}); err == nil || !strings.Contains(err.Error(), "words.txt: line 2 has neither letters nor digits") {
		t.Errorf("a bad line: %v", err)
	}
	writeWords(t, path, strings.Repeat("good\n", 20_000), 0)
	if _, err := readWords(ModerationConfig{WordsFile: path, Words: []string{"more"}}); err == nil || !strings.Contains(err.Error(), "20001 words together") {
		t.Errorf("too many: %v", err)
	}
}

// A mistake in the file, made months ago, kept the server from starting.
func TestWhatCanBeReadOfABrokenListHolds(t *testing.T) {
	path := filepath.Join(t.TempDir(), "words.txt")
	writeWords(t, path, "good\n!!!\n\xff\nbetter\n", time.Hour)
	cfg := ModerationConfig{Words: []string{"ugly"}, WordsFile: path}
	list, err := readWords(cfg)
	if err == nil || !strings.Contains(err.Error(), "line 2") || !strings.Contains(err.Error(), "line 3") {
		t.Errorf("the mistakes: %v", err)
	}
	l := &wordList{log: slog.New(slog.DiscardHandler)}
	l.set(list)
	for _, text := range []string{"good", "better", "ugly"} {
		if _, err := l.censor(text); err == nil {
			t.Errorf("%q passes", text)
		}
	}
	writeWords(t, path, "best\n", time.Minute)
	l.look()
	if _, err := l.censor("best"); err == nil {
		t.Error("the file that was set right was not read")
	}
	if err := checkWords(cfg); err != nil {
		t.Error(err)
	}
	cfg.WordsFile += ".gone"
	if err := checkWords(cfg); err == nil || !strings.Contains(err.Error(), "moderation.words_file") {
		t.Errorf("the check of the configuration: %v", err)
	}
	if list, err := readWords(cfg); err == nil || list.filter.Len() != 1 {
		t.Errorf("without a file: %d words, %v", list.filter.Len(), err)
	}
}
