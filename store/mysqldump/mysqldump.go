// Package mysqldump reads the rows of a dump that mysqldump or mariadb-dump made
// of a MySQL database, as a stream: memory is bounded by one row, however large
// the dump is.
//
// It understands what these programs write and no more SQL than that: INSERT and
// REPLACE with many rows, USE, the columns of CREATE TABLE, comments, DELIMITER.
// Everything else is passed over. Conditional comments ("/*!40000 … */") are
// passed over too: what they hold is for the server. A dump may come from
// anywhere, so that every length has a bound, and what makes no sense is a
// *SyntaxError with the line.
//
// The package knows nothing of what tables mean. It has no goroutines.
package mysqldump

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// Bounds. mysqldump's own packets are at most 1 GiB, but a single row of a table
// without blobs is far below these.
const (
	MaxField   = 1 << 20 // bytes of one value
	MaxRow     = 4 << 20 // bytes of all values of a row
	MaxColumns = 512
	maxName    = 256 // bytes; MySQL's names have at most 64 characters
	maxTables  = 4096
)

// SyntaxError is a dump that cannot be read on.
type SyntaxError struct {
	Line int64
	Text string
}

func (e *SyntaxError) Error() string { return fmt.Sprintf("line %d of the dump: %s", e.Line, e.Text) }

// Row is one row of a table.
type Row struct {
	Database string // named by USE or in front of the table; "" when the dump does not say
	Table    string
	Columns  []string // lower-cased; as many as Values
	Values   []Value
	Line     int64 // where it begins
}

// Value is a field of a row: a text, a number as it was written, or bytes.
type Value struct {
	Null bool
	Text string
}

// Get finds the value of a column, named in lower case. A column that is not there
// is NULL.
func (r *Row) Get(column string) Value {
	for i, c := range r.Columns {
		if c == column {
			return r.Values[i]
		}
	}
	return Value{Null: true}
}

// tableName is a table of a database, both in lower case.
type tableName struct{ database, table string }

// Reader reads a dump. It is for one goroutine.
type Reader struct {
	in       *bufio.Reader
	line     int64
	want     func(table string) bool
	columns  map[tableName][]string // as CREATE TABLE said
	database string
	end      string // of a statement: ";", or what DELIMITER said
	complete bool

	// The INSERT that is being read.
	table  tableName
	listed []string // its columns
	inside bool     // behind the first row
}

const (
	readAhead     = 64 << 10
	byteOrderMark = "\ufeff"
)

// NewReader reads the rows of the tables that want, called with a name in lower
// case, says yes to; the others are passed over.
func NewReader(r io.Reader, want func(table string) bool) *Reader {
	in := bufio.NewReaderSize(r, readAhead)
	if b, _ := in.Peek(len(byteOrderMark)); string(b) == byteOrderMark { // an editor was at it
		in.Discard(len(byteOrderMark)) //nolint:errcheck // they were peeked
	}
	return &Reader{in: in, line: 1, want: want, columns: map[tableName][]string{}, end: ";"}
}

// Complete says whether the line was seen that mysqldump writes last. It leaves it
// out with --skip-comments.
func (r *Reader) Complete() bool { return r.complete }

// Next answers the next row, io.EOF after the last. Other errors are a
// *SyntaxError or those of the underlying reader.
func (r *Reader) Next() (*Row, error) {
	for {
		if !r.inside {
			if err := r.nextInsert(); err != nil {
				return nil, err
			}
		}
		row, err := r.row()
		if row != nil || err != nil {
			return row, err
		}
	}
}

// nextInsert goes to the first row of the next INSERT into a table that is wanted.
func (r *Reader) nextInsert() error {
	for !r.inside {
		if err := r.statement(); err != nil {
			return err
		}
	}
	return nil
}

// statement reads a statement, or passes over it. At the end of the dump, between
// two statements, it answers io.EOF.
func (r *Reader) statement() error {
	if err := r.space(); err != nil {
		return err
	}
	b, err := r.peek()
	if err != nil {
		return err
	}
	if !letter(b) {
		return r.skip()
	}
	word, err := r.word()
	if err != nil {
		return cut(err, r)
	}
	switch word {
	case "DELIMITER":
		return r.delimiter()
	case "USE":
		if r.database, err = r.spacedName(); err != nil {
			return cut(err, r)
		}
		return r.skip()
	case "CREATE":
		err = r.create()
	case "INSERT", "REPLACE":
		err = r.insert()
	default:
		return r.skip()
	}
	return cut(err, r)
}

// delimiter reads the end of statements from here on: a command of the client
// program that takes the rest of its line.
func (r *Reader) delimiter() error {
	var b strings.Builder
	for b.Len() <= 64 {
		c, err := r.byte()
		if err == io.EOF || c == '\n' {
			break
		}
		if err != nil {
			return err
		}
		b.WriteByte(c)
	}
	end := strings.TrimSpace(b.String())
	if end == "" || len(end) > 16 {
		return r.errorf("DELIMITER names no end of statements")
	}
	r.end = end
	return nil
}

// create reads the columns of a CREATE TABLE that is wanted.
func (r *Reader) create() error {
	if err := r.space(); err != nil {
		return err
	}
	if word, err := r.word(); err != nil || word != "TABLE" {
		return skipOr(err, r)
	}
	if err := r.space(); err != nil {
		return err
	}
	name, err := r.qualified("IF", "NOT", "EXISTS")
	if err != nil {
		return err
	}
	b, err := r.peekSpaced()
	if err != nil || b != '(' || !r.want(name.table) {
		return skipOr(err, r)
	}
	if r.columns[name] == nil && len(r.columns) >= maxTables {
		return r.errorf("more than %d tables", maxTables)
	}
	list, err := r.definitions()
	if err != nil {
		return err
	}
	r.columns[name] = list
	return r.skip()
}

// notColumns begin what is no column in a CREATE TABLE. MySQL's own dumps quote the
// names of columns, so that these words are never one.
var notColumns = map[string]bool{
	"PRIMARY": true, "KEY": true, "UNIQUE": true, "INDEX": true, "CONSTRAINT": true, "FULLTEXT": true, "SPATIAL": true, "FOREIGN": true,
	"CHECK": true, "PERIOD": true,
}

// definitions reads the names of the columns from the opening bracket to the
// closing one.
func (r *Reader) definitions() ([]string, error) {
	if _, err := r.byte(); err != nil {
		return nil, err
	}
	var list []string
	for {
		b, err := r.peekSpaced()
		if err != nil {
			return nil, err
		}
		name := ""
		switch {
		case b == '`' || b == '"':
			name, err = r.name()
		case letter(b):
			if name, err = r.name(); notColumns[strings.ToUpper(name)] {
				name = ""
			}
		}
		if err != nil {
			return nil, err
		}
		if name != "" {
			list = append(list, name)
		}
		if len(list) > MaxColumns {
			return nil, r.errorf("more than %d columns", MaxColumns)
		}
		last, err := r.definition()
		if err != nil || last {
			return list, err
		}
	}
}

// definition passes over the rest of one definition, its comma included. last says
// that it was the last one.
func (r *Reader) definition() (last bool, err error) {
	for depth := 0; ; {
		b, err := r.code()
		if err != nil {
			return false, err
		}
		switch {
		case b == '(':
			depth++
		case b == ')' && depth == 0:
			return true, nil
		case b == ')':
			depth--
		case b == ',' && depth == 0:
			return false, nil
		}
	}
}

// insert reads an INSERT up to its first row.
func (r *Reader) insert() error {
	if err := r.space(); err != nil {
		return err
	}
	name, err := r.qualified("LOW_PRIORITY", "DELAYED", "HIGH_PRIORITY", "IGNORE", "INTO")
	if err != nil || !r.want(name.table) {
		return skipOr(err, r)
	}
	list := r.columns[name]
	b, err := r.peekSpaced()
	if err == nil && b == '(' {
		list, err = r.list()
	}
	if err != nil {
		return err
	}
	if err := r.space(); err != nil {
		return err
	}
	if word, err := r.word(); err != nil || word != "VALUES" && word != "VALUE" {
		return errorOr(err, r, "an INSERT into %s that is not one of VALUES", name.table)
	}
	if list == nil {
		return r.errorf("the columns of the table %s are not known: make the dump with its CREATE TABLE, or with --complete-insert", name.table)
	}
	r.table, r.listed, r.inside = name, list, true
	return nil
}

// list reads the names of columns in brackets.
func (r *Reader) list() ([]string, error) {
	if _, err := r.byte(); err != nil {
		return nil, err
	}
	var list []string
	for {
		name, err := r.spacedName()
		if err != nil {
			return nil, err
		}
		if list = append(list, name); len(list) > MaxColumns {
			return nil, r.errorf("more than %d columns", MaxColumns)
		}
		switch b, err := r.byteSpaced(); {
		case err != nil:
			return nil, err
		case b == ')':
			return list, nil
		case b != ',':
			return nil, r.errorf("%q in a list of columns", b)
		}
	}
}

// qualified reads the name of a table, perhaps with that of its database, behind
// any of some words.
func (r *Reader) qualified(before ...string) (tableName, error) {
	for {
		b, err := r.peekSpaced()
		if err != nil {
			return tableName{}, err
		}
		quoted := b == '`' || b == '"'
		first, err := r.name()
		if err != nil {
			return tableName{}, err
		}
		if !quoted && contains(before, strings.ToUpper(first)) {
			continue
		}
		if b, err = r.peekSpaced(); err != nil || b != '.' {
			return tableName{r.database, first}, err
		}
		if _, err := r.byte(); err != nil {
			return tableName{}, err
		}
		second, err := r.spacedName()
		return tableName{first, second}, err
	}
}

func contains(list []string, s string) bool {
	for _, v := range list {
		if v == s {
			return true
		}
	}
	return false
}

// row reads the next row of the INSERT, nil behind its last one.
func (r *Reader) row() (*Row, error) {
	b, err := r.byteSpaced()
	if err != nil {
		return nil, cut(err, r)
	}
	if b == ',' {
		if b, err = r.byteSpaced(); err != nil {
			return nil, cut(err, r)
		}
		if b != '(' {
			return nil, r.errorf("%q where a row should begin", b)
		}
	}
	if b != '(' { // the end, or what comes behind rows
		r.inside = false
		r.back()
		return nil, r.skip()
	}
	row := &Row{Database: r.table.database, Table: r.table.table, Columns: r.listed, Line: r.line, Values: make([]Value, 0, len(r.listed))}
	size := 0
	for {
		v, err := r.value()
		if err != nil {
			return nil, cut(err, r)
		}
		row.Values = append(row.Values, v)
		if size += len(v.Text); size > MaxRow {
			return nil, r.errorf("a row of more than %d bytes", MaxRow)
		}
		if len(row.Values) > len(r.listed) {
			break
		}
		b, err := r.byteSpaced()
		if err != nil {
			return nil, cut(err, r)
		}
		if b == ')' {
			break
		}
		if b != ',' {
			return nil, r.errorf("%q behind a value", b)
		}
	}
	if len(row.Values) != len(r.listed) {
		return nil, r.errorf("a row of the table %s has not %d values, as many as there are columns", r.table.table, len(r.listed))
	}
	return row, nil
}

// skipOr passes over the rest of the statement if there is no error.
func skipOr(err error, r *Reader) error {
	if err != nil {
		return err
	}
	return r.skip()
}

func errorOr(err error, r *Reader, format string, args ...any) error {
	if err != nil {
		return err
	}
	return r.errorf(format, args...)
}

// cut turns the end of the dump inside a statement into an error.
func cut(err error, r *Reader) error {
	if err == io.EOF {
		return r.errorf("the dump ends in the middle of a statement: it is not complete")
	}
	return err
}

func (r *Reader) errorf(format string, args ...any) error {
	return &SyntaxError{Line: r.line, Text: fmt.Sprintf(format, args...)}
}
