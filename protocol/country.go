package protocol

import (
	_ "embed"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Country is a row of GET /app/country (wire.md 4.5): a country or territory
// that has telephone numbers of its own.
type Country struct {
	// TelCode is what an international number starts with behind the "+". Codes
	// may be shared (1, 7, 44, …). Members of the North American plan other than
	// the United States and Canada carry their area code as well: 1242 is the
	// Bahamas. Where a member has several, it is the oldest: 1809 for the
	// Dominican Republic, 1787 for Puerto Rico, 1876 for Jamaica.
	TelCode int
	ISO     string // ISO 3166-1 alpha-2; AC, TA and XK are reserved codes in common use
	En      string
	Zh      string // simplified Chinese
}

// The columns are tel code, ISO code, English name and Chinese name, sorted by
// English name as a person would (Å with A). The codes are those of the ITU's
// E.164 list; the names follow the Unicode CLDR.
//
//go:embed country.tsv
var countryFile string

var countries = sync.OnceValue(func() []Country {
	var all []Country
	for line := range strings.Lines(countryFile) {
		c, err := parseCountry(strings.TrimSuffix(line, "\n"))
		if err != nil {
			panic("country.tsv: " + err.Error()) // embedded: a wrong file fails the first test
		}
		all = append(all, c)
	}
	return all
})

func parseCountry(line string) (Country, error) {
	f := strings.Split(line, "\t")
	if len(f) != 4 {
		return Country{}, fmt.Errorf("%d columns in %q", len(f), line)
	}
	code, err := strconv.Atoi(f[0])
	if err != nil {
		return Country{}, fmt.Errorf("tel code in %q: %w", line, err)
	}
	return Country{TelCode: code, ISO: f[1], En: f[2], Zh: f[3]}, nil
}

// Countries lists all countries, sorted by English name. The slice is the
// caller's own.
func Countries() []Country { return slices.Clone(countries()) }

// Name is the country's name in a language, as LanguageOf reads it.
func (c Country) Name(language string) string {
	if LanguageOf(language, LanguageEnglish) == LanguageChinese {
		return c.Zh
	}
	return c.En
}
