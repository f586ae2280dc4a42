package protocol

import (
	"embed"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Languages that server texts exist in (wire.md 16). Clients send them in the
// LanguageCode header.
const (
	LanguageEnglish = "en"
	LanguageChinese = "zh"
)

//go:embed text/*.json
var textFiles embed.FS

// texts reads the embedded files once: language → key → text.
var texts = sync.OnceValue(func() map[string]map[string]string {
	all := map[string]map[string]string{}
	for _, lang := range Languages() {
		b, err := textFiles.ReadFile("text/" + lang + ".json")
		if err != nil {
			panic(err) // embedded: a missing file cannot be built
		}
		m := map[string]string{}
		if err := json.Unmarshal(b, &m); err != nil {
			panic("text/" + lang + ".json: " + err.Error())
		}
		all[lang] = m
	}
	return all
})

// Languages lists the languages, the default one first.
func Languages() []string { return []string{LanguageEnglish, LanguageChinese} }

// LanguageOf maps what a client sent ("zh", "zh-CN", "en_US", "") to a language
// that exists, else to fallback, else to English.
func LanguageOf(sent, fallback string) string {
	for _, s := range []string{sent, fallback} {
		s = strings.ToLower(s)
		for _, lang := range Languages() {
			if s == lang || strings.HasPrefix(s, lang+"-") || strings.HasPrefix(s, lang+"_") {
				return lang
			}
		}
	}
	return LanguageEnglish
}

// Text writes the text with this key in a language. Arguments fill {0}, {1}, ….
// An unknown key is shown as it is, so that a mistake is seen and crashes nobody.
func Text(language, key string, args ...string) string {
	t, ok := texts()[LanguageOf(language, LanguageEnglish)][key]
	if !ok {
		return key
	}
	if len(args) == 0 {
		return t
	}
	pairs := make([]string, 0, 2*len(args))
	for i, a := range args {
		if nested, ok := strings.CutPrefix(a, nestedMark); ok {
			a = RenderSystem(language, nested)
		}
		pairs = append(pairs, "{"+strconv.Itoa(i)+"}", a)
	}
	return strings.NewReplacer(pairs...).Replace(t)
}

// nestedMark starts an argument that is itself a text. No text from outside
// holds it: it is a control character.
const nestedMark = "\x00"

// TextKey makes an argument of Text that is itself a text, written in the
// reader's language.
func TextKey(key string, args ...string) string {
	return nestedMark + SystemText{Key: key, Args: args}.Encode()
}

// TextKeys lists the keys of a language, sorted.
func TextKeys(language string) []string { return slices.Sorted(maps.Keys(texts()[language])) }

// SystemText is a text the server wrote, as it is stored: key and arguments,
// never the words, so that every reader gets their own language (design.md 4).
type SystemText struct {
	Key  string   `json:"k"`
	Args []string `json:"a,omitempty"`
}

// Encode is the stored form.
func (s SystemText) Encode() string {
	b, _ := json.Marshal(s) // strings always marshal
	return string(b)
}

// ParseSystem reads a stored system text; false for what is none.
func ParseSystem(stored string) (SystemText, bool) {
	var s SystemText
	err := json.Unmarshal([]byte(stored), &s)
	return s, err == nil && s.Key != ""
}

// RenderSystem writes a stored system text for a reader. What cannot be read is
// returned as it is.
func RenderSystem(language, stored string) string {
	s, ok := ParseSystem(stored)
	if !ok {
		return stored
	}
	return Text(language, s.Key, s.Args...)
}
