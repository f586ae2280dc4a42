package protocol_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"gtiv/protocol"
)

func TestEveryLanguageHasTheSameKeys(t *testing.T) {
	want := protocol.TextKeys(protocol.LanguageEnglish)
	if len(want) < 50 {
		t.Fatalf("only %d keys", len(want))
	}
	for _, lang := range protocol.Languages() {
		got := protocol.TextKeys(lang)
		for _, key := range want {
			if !slices.Contains(got, key) {
				t.Errorf("%s lacks %q", lang, key)
			}
		}
		for _, key := range got {
			if !slices.Contains(want, key) {
				t.Errorf("%s has %q, English has not", lang, key)
			}
		}
	}
}

// A missing placeholder would drop an argument, one too many would be read by
// people as "{1}".
func TestEveryLanguageHasTheSamePlaceholders(t *testing.T) {
	placeholder := regexp.MustCompile(`\{[^}]*\}?`)
	of := func(lang, key string) []string {
		all := placeholder.FindAllString(protocol.Text(lang, key), -1)
		slices.Sort(all)
		return slices.Compact(all)
	}
	for _, key := range protocol.TextKeys(protocol.LanguageEnglish) {
		english := of(protocol.LanguageEnglish, key)
		for i, p := range english {
			if want := "{" + string(rune('0'+i)) + "}"; p != want {
				t.Errorf("%s: placeholder %d is %s", key, i, p)
			}
		}
		for _, lang := range protocol.Languages() {
			if got := of(lang, key); !slices.Equal(got, english) {
				t.Errorf("%s in %s has %q, in English %q", key, lang, got, english)
			}
		}
	}
}

func TestNoTextIsEmptyOrBroken(t *testing.T) {
	for _, lang := range protocol.Languages() {
		for _, key := range protocol.TextKeys(lang) {
			s := protocol.Text(lang, key)
			if strings.TrimSpace(s) == "" || s == key || !utf8.ValidString(s) || strings.ContainsRune(s, utf8.RuneError) {
				t.Errorf("%s in %s is %q", key, lang, s)
			}
		}
	}
}

// ok is fixed by the contract and is the same everywhere (wire.md 3).
func TestChineseTextsAreChinese(t *testing.T) {
	han := func(r rune) bool { return unicode.Is(unicode.Han, r) }
	for _, key := range protocol.TextKeys(protocol.LanguageChinese) {
		s := protocol.Text(protocol.LanguageChinese, key)
		if key != "ok" && !strings.ContainsFunc(s, han) {
			t.Errorf("%s is %q", key, s)
		}
		if strings.ContainsFunc(s, han) && strings.ContainsAny(s, ",;:!?") {
			t.Errorf("%s has half-width punctuation: %q", key, s)
		}
	}
}

// The contract's own keys (wire.md 16), its spelling included.
func TestTextsOfTheContractExist(t *testing.T) {
	for _, key := range []string{
		"bannedAll", "relieveBannedAll", "user", "bannedTimeType1", "bannedTimeType2", "bannedTimeType3",
		"bannedTimeType4", "bannedTimeType5", "relieveBannedUser", "createRooomCount1", "createRooomCount2",
		"whoseRoom", "userRoomMemberLimit", "canNotRemoveMember", "deleteVideoSelf", "dissolveRoom",
		"acceptContacts", "createNewRoom",
	} {
		for _, lang := range protocol.Languages() {
			if !slices.Contains(protocol.TextKeys(lang), key) {
				t.Errorf("%s lacks %q", lang, key)
			}
		}
	}
	if got := protocol.Text(protocol.LanguageChinese, "ok"); got != "Successed" {
		t.Errorf("success reads %q", got)
	}
}

func TestLanguageOf(t *testing.T) {
	for _, c := range []struct{ sent, fallback, want string }{
		{"zh", "en", "zh"},
		{"ZH", "en", "zh"},
		{"zh-CN", "en", "zh"},
		{"zh_TW", "en", "zh"},
		{"zh-Hans-CN", "", "zh"},
		{"en", "zh", "en"},
		{"en_US", "zh", "en"},
		{"", "zh", "zh"},
		{"", "zh-CN", "zh"},
		{"fr", "zh", "zh"},
		{"fr", "de", "en"},
		{"", "", "en"},
		{"zhx", "en", "en"},
		{"english", "zh", "zh"},
		{"-", "", "en"},
		{"\x00\xff", "zh", "zh"},
	} {
		if got := protocol.LanguageOf(c.sent, c.fallback); got != c.want {
			t.Errorf("LanguageOf(%q, %q) = %q, want %q", c.sent, c.fallback, got, c.want)
		}
	}
}

func TestTextFillsPlaceholders(t *testing.T) {
	if got := protocol.Text("en", "passwordLength", "8", "64"); got != "The password must have 8 to 64 characters." {
		t.Errorf("got %q", got)
	}
	if got := protocol.Text("zh-CN", "passwordLength", "8", "64"); got != "密码长度须为 8 到 64 个字符" {
		t.Errorf("got %q", got)
	}
	// An argument is never a template: people choose their own nicknames.
	if got := protocol.Text("en", "badValue", "{1}", "x"); got != "{1} is not valid: x" {
		t.Errorf("got %q", got)
	}
	if got := protocol.Text("en", "needLogin", "unused"); got != "Please log in." {
		t.Errorf("got %q", got)
	}
}

func TestUnknownTextIsItsKey(t *testing.T) {
	for _, lang := range []string{"en", "zh", "fr", ""} {
		if got := protocol.Text(lang, "noSuchKey", "argument"); got != "noSuchKey" {
			t.Errorf("in %q: %q", lang, got)
		}
	}
}

func TestSystemTextIsWrittenForEachReader(t *testing.T) {
	stored := protocol.SystemText{Key: "whoseRoom", Args: []string{`Ann <&"{0}`}}.Encode()
	if got := protocol.RenderSystem("en", stored); got != `Ann <&"{0}'s group` {
		t.Errorf("English: %q", got)
	}
	if got := protocol.RenderSystem("zh", stored); got != `Ann <&"{0}的群聊` {
		t.Errorf("Chinese: %q", got)
	}
	for _, odd := range []string{"", "plain words", "{", "[]", "17", `{"k":""}`, `{"k":1}`, "\xff"} {
		if got := protocol.RenderSystem("en", odd); got != odd {
			t.Errorf("RenderSystem(%q) = %q", odd, got)
		}
	}
}
