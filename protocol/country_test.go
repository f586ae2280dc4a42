package protocol_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"gtiv/protocol"
)

func TestCountriesAreCompleteRows(t *testing.T) {
	all := protocol.Countries()
	if len(all) < 230 {
		t.Fatalf("%d countries", len(all))
	}
	iso := regexp.MustCompile(`^[A-Z]{2}$`)
	seen := map[string]bool{}
	for _, c := range all {
		for _, unique := range []string{c.ISO, c.En, c.Zh} {
			if seen[unique] {
				t.Errorf("%q appears twice", unique)
			}
			seen[unique] = true
		}
		if !iso.MatchString(c.ISO) || c.En == "" || strings.TrimSpace(c.En) != c.En || strings.TrimSpace(c.Zh) != c.Zh {
			t.Errorf("row %+v", c)
		}
		if !strings.ContainsFunc(c.Zh, func(r rune) bool { return unicode.Is(unicode.Han, r) }) {
			t.Errorf("%s has the Chinese name %q", c.ISO, c.Zh)
		}
	}
}

// Codes have one to three digits; four only for members of the North American
// plan, where 1 is followed by an area code.
func TestTelCodesAreInTheNumberingPlan(t *testing.T) {
	for _, c := range protocol.Countries() {
		northAmerican := c.TelCode/1000 == 1 && c.TelCode%1000 >= 200
		if c.TelCode < 1 || c.TelCode > 999 && !northAmerican {
			t.Errorf("%s has tel code %d", c.En, c.TelCode)
		}
		if c.TelCode == 1 && c.ISO != "US" && c.ISO != "CA" {
			t.Errorf("%s has tel code 1 without its area code", c.En)
		}
	}
}

func TestCountriesAreSortedByEnglishName(t *testing.T) {
	plain := strings.NewReplacer("Å", "A", "ã", "a", "ç", "c", "é", "e", "í", "i", "ô", "o", "ü", "u", "’", "")
	byName := func(a, b protocol.Country) int {
		return strings.Compare(strings.ToLower(plain.Replace(a.En)), strings.ToLower(plain.Replace(b.En)))
	}
	all := protocol.Countries()
	for i := 1; i < len(all); i++ {
		if byName(all[i-1], all[i]) > 0 {
			t.Errorf("%q stands before %q", all[i-1].En, all[i].En)
		}
	}
}

func TestKnownCountries(t *testing.T) {
	byISO := map[string]protocol.Country{}
	for _, c := range protocol.Countries() {
		byISO[c.ISO] = c
	}
	for _, want := range []protocol.Country{
		{86, "CN", "China", "中国"},
		{1, "US", "United States", "美国"},
		{1, "CA", "Canada", "加拿大"},
		{7, "RU", "Russia", "俄罗斯"},
		{7, "KZ", "Kazakhstan", "哈萨克斯坦"},
		{33, "FR", "France", "法国"},
		{44, "GB", "United Kingdom", "英国"},
		{44, "JE", "Jersey", "泽西岛"},
		{49, "DE", "Germany", "德国"},
		{81, "JP", "Japan", "日本"},
		{91, "IN", "India", "印度"},
		{211, "SS", "South Sudan", "南苏丹"},
		{225, "CI", "Côte d’Ivoire", "科特迪瓦"},
		{383, "XK", "Kosovo", "科索沃"},
		{852, "HK", "Hong Kong", "香港"},
		{853, "MO", "Macao", "澳门"},
		{886, "TW", "Taiwan", "台湾"},
		{1242, "BS", "Bahamas", "巴哈马"},
		{1787, "PR", "Puerto Rico", "波多黎各"},
		{1809, "DO", "Dominican Republic", "多米尼加"},
	} {
		if got := byISO[want.ISO]; got != want {
			t.Errorf("%s is %+v, want %+v", want.ISO, got, want)
		}
	}
}

func TestCountryNameFollowsTheLanguage(t *testing.T) {
	c := protocol.Country{TelCode: 86, ISO: "CN", En: "China", Zh: "中国"}
	for language, want := range map[string]string{"zh": "中国", "zh-CN": "中国", "en": "China", "fr": "China", "": "China"} {
		if got := c.Name(language); got != want {
			t.Errorf("Name(%q) = %q", language, got)
		}
	}
}

func TestCountriesHandsOutCopies(t *testing.T) {
	first := protocol.Countries()
	want := slices.Clone(first)
	first[0].En = "overwritten"
	if !slices.Equal(protocol.Countries(), want) {
		t.Error("a caller changed the list of the others")
	}
}
