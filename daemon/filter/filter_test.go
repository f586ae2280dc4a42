package filter_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"gtiv/daemon/filter"
)

func TestWordsAreFoundHoweverTheyAreWritten(t *testing.T) {
	f := filter.New([]string{"bad", "evil plan", "法轮功", "加V信", "straße", "ЗЛО", "ﬁsh", "かわいい", "나쁜", "が"})
	for _, c := range []struct{ text, word string }{
		{"a bad thing", "bad"},
		{"BAD", "bad"},
		{"ＢＡＤ", "bad"},
		{"b\u200ba\u00add", "bad"},
		{"(bad)", "bad"},
		{"not-bad-at-all", "bad"},
		{"你好bad你好", "bad"},
		{"badly", ""},
		{"rebad", ""},
		{"bad1", ""},
		{"b a d", ""},
		{"an EVIL,  plan!", "evil plan"},
		{"evilplan", ""},
		{"我说法轮功吗", "法轮功"},
		{"法 轮-功", "法轮功"},
		{"法\u200d轮。。功", "法轮功"},
		{"法x轮功", ""},
		{"法轮", ""},
		{"加v信", "加V信"},
		{"请加 Ｖ 信123", "加V信"},
		{"STRASSE", ""}, // ß is not ss: simple case folding
		{"STRAßE", "straße"},
		{"зло", "ЗЛО"},
		{"злоба", ""},
		{"fish", "ﬁsh"},
		{"ﬁsh", "ﬁsh"},
		{"とてもかわいいね", "かわいい"},
		{"나쁜놈", "나쁜"},
		{"\u1102\u1161\u1108\u1173\u11ab", "나쁜"}, // decomposed
		{"나쁘\u11ab", "나쁜"},
		{"か\u3099", "が"},
		{"", ""},
		{"\xff\xfebad\xff", "bad"},
		{"ba\u0301d", ""}, // another letter
		{"é É", ""},
	} {
		if word, found := f.Match(c.text); word != c.word || found != (c.word != "") {
			t.Errorf("%q: found %q, want %q", c.text, word, c.word)
		}
	}
}

func TestMaskedWordsBecomeAsterisks(t *testing.T) {
	f := filter.New([]string{"bad", "法轮功", "轮功法", "坏人", "ab cd", "ﬁ"})
	for _, c := range []struct{ text, want string }{
		{"a bad, BAD badly", "a ***, *** badly"},
		{"我法轮功你", "我***你"},
		{"法 轮 功", "*****"},
		{"法轮功法", "****"},           // two that overlap
		{"b\u200bad", "***"},       // what shows nothing goes
		{"坏坏人人", "****"},           // masking made a new one of the rest
		{"AB - CD", "*******"},     // what was between goes too
		{"nothing", "nothing"},     //
		{"ﬁ x", "* x"},             // one character that stands for two
		{"x\xff bad", "x\xff ***"}, //
		{strings.Repeat("坏", 20) + strings.Repeat("人", 20), strings.Repeat("*", 40)},
	} {
		if got := f.Mask(c.text); got != c.want {
			t.Errorf("%q became %q, want %q", c.text, got, c.want)
		}
	}
}

func TestNoFilterFindsNothing(t *testing.T) {
	var none *filter.Filter
	for _, f := range []*filter.Filter{none, filter.New(nil), filter.New([]string{"", "  ", "...", strings.Repeat("x", 65), "\xff"})} {
		if _, found := f.Match("x ... anything"); found || f.Mask("x ...") != "x ..." || f.Len() != 0 {
			t.Errorf("a filter without words found something")
		}
	}
	var c filter.Censor
	if text, err := c.Apply("x"); text != "x" || err != nil {
		t.Error(text, err)
	}
}

func TestListIsBounded(t *testing.T) {
	words := make([]string, filter.MaxWords+5)
	for i := range words {
		words[i] = fmt.Sprintf("word%d", i)
	}
	f := filter.New(words)
	if _, found := f.Match(words[filter.MaxWords]); f.Len() != filter.MaxWords || found {
		t.Errorf("%d words are in", f.Len())
	}
	if _, found := f.Match(words[filter.MaxWords-1]); !found {
		t.Error("the last word is not in")
	}
}

func TestReadingAList(t *testing.T) {
	words, err := filter.Read(strings.NewReader("\ufeff# bad words\r\n  bad \r\n\n#x\n法轮功\nlast"))
	if err != nil || !slices.Equal(words, []string{"bad", "法轮功", "last"}) {
		t.Errorf("%q %v", words, err)
	}
	for text, want := range map[string]string{
		"a\n...\n":                    "line 2 has neither letters nor digits",
		"a\n\xff\xfe":                 "line 2 is not readable text",
		strings.Repeat("x", 65):       "line 1 has more than 64 characters",
		strings.Repeat("x\n", 20_001): "line 20001 is one more than 20000 words",
		strings.Repeat("#"+strings.Repeat(" ", 1<<16)+"\n", 200): "is larger than 8 MiB",
	} {
		if _, err := filter.Read(strings.NewReader(text)); err == nil || err.Error() != want {
			t.Errorf("%.20q: %v, want %s", text, err, want)
		}
	}
}

func TestWhatCanBeReadOfAListWithMistakes(t *testing.T) {
	words, err := filter.Read(strings.NewReader("a\n...\nb\n" + strings.Repeat("!\n", 100)))
	if want := []string{"a", "b"}; !slices.Equal(words, want) || err == nil || strings.Count(err.Error(), "line") != 10 {
		t.Errorf("%q, %v", words, err)
	}
	if words, err := filter.Read(strings.NewReader(strings.Repeat("x\n", 20_001))); len(words) != filter.MaxWords || err == nil {
		t.Errorf("%d words, %v", len(words), err)
	}
}

// vocabulary is n words like those of real lists.
func vocabulary(n int) []string {
	r := rand.New(rand.NewPCG(1, 2))
	words := make([]string, n)
	for i := range words {
		var b strings.Builder
		for range 2 + r.IntN(4) {
			if i%4 == 0 {
				b.WriteByte(byte('a' + r.IntN(26)))
			} else {
				b.WriteRune(rune(0x4e00 + r.IntN(3000)))
			}
		}
		words[i] = b.String()
	}
	return words
}

func TestTenThousandWordsCostLittleMemory(t *testing.T) {
	words := vocabulary(10_000)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	f := filter.New(words)
	runtime.GC()
	runtime.ReadMemStats(&after)
	if used := int64(after.HeapAlloc) - int64(before.HeapAlloc); used > 4<<20 {
		t.Errorf("%d words take %d KiB", f.Len(), used>>10)
	}
	runtime.KeepAlive(f)
}

// Naive is the same question asked the slow way, for words and texts of plain
// letters, Chinese characters and spaces.
func naive(words []string, text string) bool {
	isHan := func(r rune) bool { return r >= 0x4e00 }
	runes := []rune(strings.Join(strings.Fields(text), " "))
	var list []rune
	for i, r := range runes {
		if r == ' ' && (isHan(runes[i-1]) || isHan(runes[i+1])) {
			continue
		}
		list = append(list, r)
	}
	for _, w := range words {
		p := []rune(w)
		whole := !slices.ContainsFunc(p, isHan)
		for i := 0; i+len(p) <= len(list); i++ {
			if !slices.Equal(list[i:i+len(p)], p) {
				continue
			}
			ends := func(i int) bool { return i < 0 || i >= len(list) || list[i] == ' ' || isHan(list[i]) }
			if !whole || ends(i-1) && ends(i+len(p)) {
				return true
			}
		}
	}
	return false
}

func TestMatchAgreesWithTheSlowWay(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	letters := []rune("ab  中国")
	random := func(n int) string {
		var b strings.Builder
		for range n {
			b.WriteRune(letters[r.IntN(len(letters))])
		}
		return b.String()
	}
	for range 20_000 {
		var words []string
		for range 1 + r.IntN(4) {
			if w := strings.ReplaceAll(random(1+r.IntN(4)), " ", ""); w != "" {
				words = append(words, w)
			}
		}
		text := random(r.IntN(12))
		if _, found := filter.New(words).Match(text); found != naive(words, text) {
			t.Fatalf("words %q in %q: found %v", words, text, found)
		}
	}
}

func FuzzFilter(f *testing.F) {
	f.Add("bad\n法轮功", "a bad 法 轮功")
	f.Add("坏人", "坏坏坏坏坏坏人人人人人人")
	f.Add("e\u0301", "\u0301e\u0301\u0301")
	f.Add("ﬁ\nx", "\xffﬁ\x00x")
	f.Fuzz(func(t *testing.T, list, text string) {
		words := strings.Split(list, "\n")
		filtered := filter.New(words)
		_, found := filtered.Match(text)
		masked := filtered.Mask(text)
		if found != (masked != text) {
			t.Errorf("words %q in %q: found %v, masked %q", words, text, found, masked)
		}
		if word, found := filtered.Match(masked); found {
			t.Errorf("words %q in %q: %q is still in %q", words, text, word, masked)
		}
		if len(masked) > len(text) || utf8.ValidString(text) && !utf8.ValidString(masked) {
			t.Errorf("words %q in %q: masked %q", words, text, masked)
		}
		for _, w := range words {
			if filter.Check(w) != nil || filtered.Len() == filter.MaxWords {
				continue
			}
			if _, found := filtered.Match("!. " + w + " ,!"); !found {
				t.Errorf("%q does not find itself", w)
			}
		}
	})
}

func BenchmarkMatch(b *testing.B) {
	f := filter.New(vocabulary(10_000))
	r := rand.New(rand.NewPCG(5, 6))
	var han, mixed strings.Builder
	for han.Len() < 4096 {
		han.WriteRune(rune(0x5e00 + r.IntN(9000)))
		mixed.WriteString("Ａé，")
	}
	for name, text := range map[string]string{
		"english": strings.Repeat("It was a Bright cold day, and the clocks were striking 13. ", 70)[:4096],
		"chinese": han.String(), "russian": strings.Repeat("Все счастливые семьи похожи друг на друга, ", 60)[:4096],
		"japanese": strings.Repeat("吾輩は猫である。名前はまだ無い。", 100)[:4096], "korean": strings.Repeat("나라의 말이 중국과 달라 ", 130)[:4096],
		"normalised": mixed.String()[:4096],
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				f.Match(text)
			}
		})
	}
}
