package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"time"
)

// row is one line of the table. Peer and Ratio are empty where there is nothing
// to compare with.
type row struct{ Figure, Target, Measured, Peer, Ratio string }

// The section of the file that -write replaces stands between these lines.
const (
	markBegin = "<!-- bench:begin -->"
	markEnd   = "<!-- bench:end -->"
)

func (b *bench) add(r row) {
	b.rows = append(b.rows, r)
	b.say("  %s: %s (target %s) peer %s ratio %s", r.Figure, r.Measured, orDash(r.Target), orDash(r.Peer), orDash(r.Ratio))
}

func orDash(s string) string {
	if s == "" {
		return "–"
	}
	return s
}

// table is the Markdown table of the rows.
func table(rows []row) string {
	var t strings.Builder
	t.WriteString("| Figure | Target | Measured | Peer, same run | Ratio |\n|---|---|---|---|---|\n")
	for _, r := range rows {
		fmt.Fprintf(&t, "| %s | %s | %s | %s | %s |\n", r.Figure, orDash(r.Target), orDash(r.Measured), orDash(r.Peer), orDash(r.Ratio))
	}
	return t.String()
}

// report prints the table with the machine, and writes it where -write says.
func (b *bench) report(began time.Time) error {
	if len(b.rows) == 0 {
		return nil
	}
	m, err := machine(b.scratch)
	if err != nil {
		return err
	}
	text := fmt.Sprintf("%s, %.0f s, `%s`.\n\n%s\n\n%s", began.Format("2006-01-02 15:04 MST"), time.Since(began).Seconds(),
		b.command(), m, table(b.rows))
	fmt.Print("\n" + text)
	if !b.write {
		return nil
	}
	return rewrite(b.file, text)
}

// command is what was run, without what only names places on this machine.
func (b *bench) command() string {
	c := "go run ./daemon/bench"
	if b.short {
		c += " -short"
	}
	if b.run != "" {
		c += " -run " + b.run
	}
	return c
}

// rewrite puts text between the markers of the file.
func rewrite(file, text string) error {
	old, err := os.ReadFile(file) //nolint:gosec // named by the person who runs it
	if err != nil {
		return err
	}
	head, rest, ok := bytes.Cut(old, []byte(markBegin))
	_, tail, ok2 := bytes.Cut(rest, []byte(markEnd))
	if !ok || !ok2 {
		return fmt.Errorf("%s has no lines %s and %s", file, markBegin, markEnd)
	}
	next := string(head) + markBegin + "\n" + text + markEnd + string(tail)
	if err := os.WriteFile(file, []byte(next), 0o644); err != nil { //nolint:gosec // a document
		return fmt.Errorf("write %s: %w", file, err)
	}
	return nil
}

// ratio writes ours/theirs, "" without theirs.
func ratio(ours, theirs float64) string {
	if theirs == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f", ours/theirs)
}

func kib(bytes float64) string { return fmt.Sprintf("%.1f KiB", bytes/1024) }
func mib(bytes float64) string { return fmt.Sprintf("%.1f MiB", bytes/(1<<20)) }

// ms writes a duration in milliseconds with as many digits as mean something.
func ms(d time.Duration) string {
	v := float64(d) / float64(time.Millisecond)
	if v < 10 {
		return fmt.Sprintf("%.2f ms", v)
	}
	return fmt.Sprintf("%.0f ms", v)
}
