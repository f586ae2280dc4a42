package video

import (
	"context"
	"errors"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"gtiv/store"
)

// Bounds of what people write.
const (
	maxTitle    = 200 // characters
	maxComment  = 500
	maxTags     = 10
	maxTagRunes = 40
	maxMentions = 10
	maxName     = 64
)

// isTag is what a tag consists of.
func isTag(r rune) bool { return unicode.In(r, unicode.L, unicode.N, unicode.M) || r == '_' }

// isName is what a user name behind an @ consists of.
func isName(r rune) bool { return isTag(r) || r == '-' || r == '.' }

// marked finds the words that stand behind one of the marks.
func marked(text, marks string, part func(rune) bool, most int) []string {
	var list []string
	before := ' '
	for i, r := range text {
		was := before
		before = r
		if !strings.ContainsRune(marks, r) || isTag(was) && was < 0x2e80 { // an address, but not a Chinese word in front
			continue
		}
		word := text[i+utf8.RuneLen(r):]
		if end := strings.IndexFunc(word, func(r rune) bool { return !part(r) }); end >= 0 {
			word = word[:end]
		}
		if word = strings.Trim(word, ".-"); word != "" && utf8.RuneCountInString(word) <= most {
			list = append(list, word)
		}
	}
	return list
}

// Hashtags finds the #tags of a text, each once.
func Hashtags(text string) []string { return unique(marked(text, "#＃", isTag, maxTagRunes), maxTags) }

func unique(list []string, most int) []string {
	var out, keys []string
	for _, t := range list {
		if key := store.FoldName(t); key != "" && !slices.Contains(keys, key) && len(out) < most {
			out, keys = append(out, t), append(keys, key)
		}
	}
	return out
}

// parseTags reads tags with commas or spaces between them, with or without #.
func parseTags(text string) ([]string, error) {
	list := strings.FieldsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune(",，、#＃", r) })
	for _, t := range list {
		if utf8.RuneCountInString(t) > maxTagRunes || strings.ContainsFunc(t, func(r rune) bool { return !isTag(r) }) {
			return nil, badValue("Tags", "badTag")
		}
	}
	if list = unique(list, len(list)); len(list) > maxTags {
		return nil, badValue("Tags", "tooMany", "10")
	}
	return list, nil
}

// mentioned finds the accounts behind the @names of a text.
func (s *Service) mentioned(ctx context.Context, text string) ([]int64, error) {
	var ids []int64
	for _, name := range unique(marked(text, "@＠", isName, maxName), maxMentions) {
		a, err := s.store.AccountByName(ctx, name)
		if errors.Is(err, store.ErrNotFound) || err == nil && (a.DeletedAt != 0 || a.ID == store.BuiltInAccount) {
			continue
		}
		if err != nil {
			return nil, err
		}
		ids = append(ids, a.ID)
	}
	return ids, nil
}

// checkText refuses what cannot be shown or is too long, and answers what may be
// stored.
func (s *Service) checkText(field, text string, least, most int) (string, error) {
	text = strings.TrimSpace(text)
	if !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) && r != '\n' }) {
		return "", badValue(field, "badText")
	}
	if n := utf8.RuneCountInString(text); n < least || n > most {
		return "", badValue(field, "textLength", itoa(least), itoa(most))
	}
	return s.deps.Censor.Apply(text)
}
