package daemon

import (
	"encoding"
	"errors"
	"fmt"
	"io"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"
)

const (
	maxConfigBytes = 1 << 20
	envPrefix      = "GTIV_"
	overrideFile   = "override.toml"
)

// Problem is one thing that is wrong with the configuration.
type Problem struct {
	Source string // "gtiv.toml:12", "GTIV_LOG_LEVEL", or "" when only the sum of all sources is wrong
	Key    string // "log.level"
	Value  string // as written, shortened; "" when there is none, or it is a secret
	Text   string // what is wrong with it
}

func (p Problem) String() string {
	var b strings.Builder
	if p.Source != "" {
		b.WriteString(p.Source + ": ")
	}
	b.WriteString(p.Key)
	if p.Value != "" {
		b.WriteString(" = " + p.Value)
	}
	if p.Key != "" {
		b.WriteString(": ")
	}
	b.WriteString(p.Text)
	return b.String()
}

// ConfigError is all that is wrong with a configuration.
type ConfigError struct{ Problems []Problem }

func (e *ConfigError) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	if len(lines) == 1 {
		return "configuration: " + lines[0]
	}
	return fmt.Sprintf("configuration: %d problems:\n  %s", len(lines), strings.Join(lines, "\n  "))
}

// Load reads the configuration: defaults, then the file at path, then
// override.toml in dataDir (what was changed at run time), then the variables
// GTIV_<SECTION>_<KEY> of environ, in the form of os.Environ. An empty path or
// dataDir is left out; override.toml may be missing, path may not.
//
// The error is a *ConfigError with every problem of all sources, except when a
// file cannot be read.
func Load(path, dataDir string, environ []string) (Config, error) {
	c := Default()
	l := loader{config: reflect.ValueOf(&c).Elem()}
	if path != "" {
		if err := l.file(path); err != nil {
			return Config{}, err
		}
	}
	if dataDir != "" {
		err := l.file(filepath.Join(dataDir, overrideFile))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return Config{}, err
		}
	}
	l.environ(environ)
	c.Site.PublicURL = strings.TrimSuffix(c.Site.PublicURL, "/")
	l.problems = append(l.problems, l.named(c.problems())...)
	if len(l.problems) > 0 {
		return Config{}, &ConfigError{Problems: l.problems}
	}
	return c, nil
}

// loader lays one source after the other over config.
type loader struct {
	config   reflect.Value // of a Config
	sources  map[string]string
	problems []Problem
}

func (l *loader) file(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("read configuration: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxConfigBytes+1))
	if err != nil {
		return fmt.Errorf("read configuration: %w", err)
	}
	l.text(path, string(text))
	return nil
}

// text lays the TOML text over the configuration. It decodes into plain values
// and assigns them one by one, so that one wrong value does not hide the next.
func (l *loader) text(name, text string) {
	if len(text) > maxConfigBytes {
		l.add(Problem{Source: name, Text: "larger than " + Size(maxConfigBytes).String()})
		return
	}
	var sections map[string]any
	md, err := toml.Decode(text, &sections)
	if err != nil {
		l.add(syntaxProblem(name, err))
		return
	}
	lines := keyLines(text)
	at := func(key string) string {
		if n := lines[key]; n > 0 {
			return name + ":" + strconv.Itoa(n)
		}
		return name
	}
	for _, key := range md.Keys() { // in the order of the file
		l.key(key, sections, at)
	}
}

func syntaxProblem(name string, err error) Problem {
	if pe, ok := errors.AsType[toml.ParseError](err); ok {
		return Problem{Source: name + ":" + strconv.Itoa(pe.Position.Line), Key: shorten(pe.LastKey), Text: pe.Message}
	}
	return Problem{Source: name, Text: err.Error()}
}

// key assigns one key that the file defines. Keys deeper than section.key
// belong to a table where a value is due; that one is reported instead.
func (l *loader) key(key toml.Key, sections map[string]any, at func(string) string) {
	name := strings.Join(key, ".")
	switch len(key) {
	case 1:
		if !l.sectionField(key[0]).IsValid() {
			l.add(Problem{Source: at(name), Key: shorten(name), Text: "unknown section" + didYouMean(key[0], l.sectionNames())})
		} else if _, ok := sections[key[0]].(map[string]any); !ok {
			l.add(Problem{Source: at(name), Key: name, Text: "is a section, not a value"})
		}
	case 2:
		section := l.sectionField(key[0])
		table, ok := sections[key[0]].(map[string]any)
		if !section.IsValid() || !ok {
			return // reported with the section
		}
		l.assign(Problem{Source: at(name), Key: name}, section, key[1], table[key[1]])
	}
}

func (l *loader) assign(p Problem, section reflect.Value, key string, value any) {
	field := fieldByName(section, key)
	if !field.IsValid() {
		p.Key = shorten(p.Key)
		p.Text = "unknown key" + didYouMean(key, fieldNames(section))
		l.add(p)
		return
	}
	if err := setField(field, value); err != nil {
		p.Value, p.Text = shown(field, value), err.Error()
		l.add(p)
		return
	}
	if l.sources == nil {
		l.sources = make(map[string]string)
	}
	l.sources[p.Key] = p.Source
}

// environ applies GTIV_<SECTION>_<KEY>. A variable of another name, such as
// GTIV_SOCKET, is not ours to judge; one of a known section is.
func (l *loader) environ(environ []string) {
	for _, kv := range slices.Sorted(slices.Values(environ)) {
		name, value, ok := strings.Cut(kv, "=")
		rest, ours := strings.CutPrefix(name, envPrefix)
		if !ok || !ours {
			continue
		}
		s, k, ok := strings.Cut(strings.ToLower(rest), "_")
		section := l.sectionField(s)
		if !ok || !section.IsValid() {
			continue
		}
		l.assign(Problem{Source: name, Key: s + "." + k}, section, k, envValue(value))
	}
}

// envValue marks a value that came as text whatever its type.
type envValue string

func (l *loader) add(p Problem) { l.problems = append(l.problems, p) }

// named adds to each problem the source that set its key last.
func (l *loader) named(problems []Problem) []Problem {
	for i, p := range problems {
		problems[i].Source = l.sources[p.Key]
	}
	return problems
}

func (l *loader) sectionField(name string) reflect.Value { return fieldByName(l.config, name) }

func (l *loader) sectionNames() []string { return fieldNames(l.config) }

func fieldByName(v reflect.Value, name string) reflect.Value {
	for f, value := range v.Fields() {
		if f.Tag.Get("toml") == name {
			return value
		}
	}
	return reflect.Value{}
}

func fieldNames(v reflect.Value) []string {
	var names []string
	for f := range v.Type().Fields() {
		names = append(names, f.Tag.Get("toml"))
	}
	return names
}

// setField puts a TOML value, or the text of a variable, into a field.
func setField(field reflect.Value, value any) error {
	if t, ok := field.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return setText(t, value)
	}
	switch field.Kind() {
	case reflect.String:
		return setAs(field, value, "a text", func(s string) (string, error) { return s, nil })
	case reflect.Bool:
		return setAs(field, value, "true or false", strconv.ParseBool)
	case reflect.Int:
		n, err := asInt(value)
		if err != nil {
			return err
		}
		field.SetInt(n)
		return nil
	case reflect.Slice:
		return setList(field, value)
	default:
		return fmt.Errorf("type %s cannot be configured", field.Type()) // a test sets every field
	}
}

func setText(t encoding.TextUnmarshaler, value any) error {
	switch v := value.(type) {
	case string:
		return t.UnmarshalText([]byte(v))
	case envValue:
		return t.UnmarshalText([]byte(v))
	}
	return fmt.Errorf("must be a text in quotes")
}

// setAs assigns a plain string or bool.
func setAs[T any](field reflect.Value, value any, what string, parse func(string) (T, error)) error {
	v, ok := value.(T)
	if s, env := value.(envValue); env {
		var err error
		v, err = parse(string(s))
		ok = err == nil
	}
	if !ok {
		return fmt.Errorf("must be %s", what)
	}
	field.Set(reflect.ValueOf(v))
	return nil
}

func asInt(value any) (int64, error) {
	n, ok := value.(int64)
	if s, env := value.(envValue); env {
		var err error
		n, err = strconv.ParseInt(string(s), 10, 64)
		ok = err == nil
	}
	if !ok || n < math.MinInt32 || n > math.MaxInt32 {
		return 0, fmt.Errorf("must be a whole number")
	}
	return n, nil
}

// setList fills a list; in a variable its items are separated by commas.
func setList(field reflect.Value, value any) error {
	items, ok := value.([]any)
	if s, env := value.(envValue); env {
		ok = true
		for item := range strings.SplitSeq(string(s), ",") {
			if item = strings.TrimSpace(item); item != "" {
				items = append(items, item)
			}
		}
	}
	if !ok {
		return fmt.Errorf("must be a list, [\"a\", \"b\"]")
	}
	list := reflect.MakeSlice(field.Type(), len(items), len(items))
	for i, item := range items {
		if err := setItem(list.Index(i), item); err != nil {
			return fmt.Errorf("item %d: %w", i+1, err)
		}
	}
	field.Set(list)
	return nil
}

func setItem(field reflect.Value, item any) error {
	if p, ok := field.Addr().Interface().(*netip.Prefix); ok {
		return setPrefix(p, item)
	}
	return setField(field, item)
}

// setPrefix reads a network, or one address for the network of it alone.
func setPrefix(p *netip.Prefix, item any) error {
	s, _ := item.(string)
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		*p = netip.PrefixFrom(a, a.BitLen())
		return nil
	}
	v, err := netip.ParsePrefix(s)
	if err != nil {
		return fmt.Errorf(`not an address or a network like "10.0.0.0/8"`)
	}
	*p = v.Masked()
	return nil
}

// shown is a value as a problem shows it: quoted if text, short, never a secret.
func shown(field reflect.Value, value any) string {
	if _, secret := field.Interface().(Secret); secret {
		return redacted
	}
	switch v := value.(type) {
	case string:
		return shorten(strconv.Quote(v))
	case envValue:
		return shorten(strconv.Quote(string(v)))
	}
	return shorten(fmt.Sprintf("%v", value))
}

// shorten bounds what a message repeats, and keeps it on one line.
func shorten(s string) string {
	const maxShown = 80
	s = strings.Map(func(r rune) rune {
		if !strconv.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
	if r := []rune(s); len(r) > maxShown {
		return string(r[:maxShown]) + "…"
	}
	return s
}
