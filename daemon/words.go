package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"gtiv/daemon/filter"
	"gtiv/protocol"
)

// wordsEvery is how often the file of words is looked at.
const wordsEvery = 5 * time.Second

// wordList is the keyword filter of the site, of the configuration and a file
// that may change at any time. mu guards now.
type wordList struct {
	log *slog.Logger
	mu  sync.RWMutex
	now words
}

// words is one state of the list.
type words struct {
	cfg    ModerationConfig
	filter *filter.Filter
	file   fileMark
}

// fileMark tells whether a file has changed. It is zero for one that cannot be
// seen.
type fileMark struct {
	time time.Time
	size int64
}

func markOf(path string) fileMark {
	fi, err := os.Stat(path)
	if err != nil {
		return fileMark{}
	}
	return fileMark{fi.ModTime(), fi.Size()}
}

// readWords reads the words of a configuration. With an error it answers what can
// be read.
func readWords(cfg ModerationConfig) (words, error) {
	w := words{cfg: cfg}
	list := slices.Clone(cfg.Words)
	var problem error
	if cfg.WordsFile != "" {
		w.file = markOf(cfg.WordsFile) // before it is read: what changes meanwhile is read again
		more, err := readFile(cfg.WordsFile)
		if err != nil {
			problem = fmt.Errorf("read words (moderation.words_file): %w", err)
		}
		list = append(list, more...)
	}
	if len(list) > filter.MaxWords {
		problem = errors.Join(problem, fmt.Errorf("moderation.words and moderation.words_file have %d words together, more than %d", len(list), filter.MaxWords))
	}
	if len(list) > 0 {
		w.filter = filter.New(list)
	}
	return w, problem
}

func readFile(path string) ([]string, error) {
	f, err := os.Open(path) //nolint:gosec // the operator's own list
	if err != nil {
		return nil, err
	}
	defer f.Close()
	list, err := filter.Read(f)
	if err != nil {
		err = fmt.Errorf("%s: %w", path, err)
	}
	return list, err
}

// set replaces the list.
func (l *wordList) set(w words) {
	l.mu.Lock()
	before := l.now.filter.Len()
	l.now = w
	l.mu.Unlock()
	if n := w.filter.Len(); n != before || n > 0 {
		l.log.Info("list of words read", "words", n)
	}
}

// censor is the filter.Censor of the site.
func (l *wordList) censor(text string) (string, error) {
	l.mu.RLock()
	w := l.now
	l.mu.RUnlock()
	if w.cfg.Action == ActionMask {
		return w.filter.Mask(text), nil
	}
	if word, found := w.filter.Match(text); found {
		return "", protocol.Errorf(protocol.CodeBadValue, "wordRefused", word)
	}
	return text, nil
}

// watch reads the file again when it has changed. A file with a mistake, or one
// that is gone, leaves the list as it was.
func (l *wordList) watch(ctx context.Context) error {
	t := time.NewTicker(wordsEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
			l.look()
		}
	}
}

// look reads the file again if it has changed.
func (l *wordList) look() {
	l.mu.RLock()
	before := l.now
	l.mu.RUnlock()
	if before.cfg.WordsFile == "" || markOf(before.cfg.WordsFile) == before.file {
		return
	}
	fresh, err := readWords(before.cfg)
	if err != nil {
		l.log.Warn("list of words not read again, the old one stays", "err", err)
		fresh.filter = before.filter
	}
	l.mu.Lock()
	same := l.now.file == before.file && l.now.filter == before.filter // else a reload came first
	if same {
		l.now = fresh
	}
	l.mu.Unlock()
	if same && err == nil {
		l.log.Info("list of words read", "words", fresh.filter.Len())
	}
}
