package store

import (
	"strings"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// FoldName is the form in which user names are compared: compatibility
// normalised and case folded, so that "Ａｎｎａ" and "anna" are one name.
func FoldName(name string) string {
	// Trimmed last: normalising can bring a space to the front ("¨").
	return strings.TrimSpace(norm.NFKC.String(cases.Fold().String(norm.NFKC.String(name))))
}
