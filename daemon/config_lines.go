package daemon

import "strings"

// keyLines finds the line of every "section" and "section.key" of a TOML text,
// because the decoder does not tell. It knows the plain layout of a
// configuration file; for a stranger one, a problem just names no line.
func keyLines(text string) map[string]int {
	lines := make(map[string]int)
	note := func(key string, line int) {
		if _, seen := lines[key]; !seen {
			lines[key] = line
		}
	}
	section, n := "", 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSpace(line)
		if header, ok := strings.CutPrefix(line, "["); ok {
			header, _, _ = strings.Cut(header, "]")
			section = plainKey(strings.TrimPrefix(header, "["))
			note(section, n)
			continue
		}
		key, _, ok := strings.Cut(line, "=")
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		key = plainKey(key)
		if section != "" {
			key = section + "." + key
		}
		note(key, n)
		if s, _, dotted := strings.Cut(key, "."); dotted {
			note(s, n)
		}
	}
	return lines
}

// plainKey is a key without blanks and quotes around its parts.
func plainKey(key string) string {
	parts := strings.Split(key, ".")
	for i, p := range parts {
		parts[i] = strings.Trim(strings.TrimSpace(p), `"'`)
	}
	return strings.Join(parts, ".")
}

// didYouMean is ", did you mean x?" when one of the names is close to key.
func didYouMean(key string, names []string) string {
	best, least := "", 3 // more than two changes is another word
	for _, name := range names {
		if d := editDistance(key, name); d < least && d < len(name) {
			best, least = name, d
		}
	}
	if best == "" {
		return ""
	}
	return ", did you mean " + best + "?"
}

// editDistance is the Levenshtein distance of two short words; long ones are
// simply far apart.
func editDistance(a, b string) int {
	const longest = 64
	if len(a) > longest || len(b) > longest {
		return longest
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
