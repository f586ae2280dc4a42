package store

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"
	"unicode"
)

// The indexes of the search.
const (
	accountSearch = "account_search"
	videoSearch   = "video_search"
	tagSearch     = "tag_search"
)

// searchVersion names the form of searchWords. When it changes, everything is
// indexed again at the next start.
const searchVersion = "1"

// Bounds of what is indexed and looked for.
const (
	maxIndexedRunes = 1000
	maxQueryRunes   = 64
)

// unspaced are the scripts that write no spaces between words; Hangul is among
// them because its words have endings.
var unspaced = []*unicode.RangeTable{
	unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar,
}

// searchWord is a run of letters and digits of a text, of one kind of script.
type searchWord struct {
	runes    []rune
	unspaced bool
}

// splitWords finds the words of a text, folded like names.
func splitWords(text string, most int) []searchWord {
	var list []searchWord
	open := false
	for i, r := range []rune(FoldName(text)) {
		if i >= most {
			break
		}
		if !unicode.In(r, unicode.L, unicode.N, unicode.M) {
			open = false
			continue
		}
		kind := unicode.In(r, unspaced...)
		if open && unicode.Is(unicode.M, r) {
			kind = list[len(list)-1].unspaced // a mark belongs to its letter
		}
		if !open || list[len(list)-1].unspaced != kind {
			list = append(list, searchWord{unspaced: kind})
			open = true
		}
		last := &list[len(list)-1]
		last.runes = append(last.runes, r)
	}
	return list
}

// searchWords is the form of texts in an index: words as they are; of scripts
// without spaces every pair of neighbours, and the last character alone, so that
// single characters are found by what begins with them.
func searchWords(texts ...string) string {
	var b strings.Builder
	for _, text := range texts {
		for _, w := range splitWords(text, maxIndexedRunes) {
			if !w.unspaced {
				b.WriteString(string(w.runes) + " ")
				continue
			}
			for i := range w.runes {
				b.WriteString(string(w.runes[i:min(i+2, len(w.runes))]) + " ")
			}
		}
	}
	return b.String()
}

// searchQuery is the FTS5 query for what somebody typed: all words must be
// there, those with spaces between them by how they begin. "" when there is
// nothing to look for. Words are letters and digits only, so that quoting them is
// safe.
func searchQuery(q string) string {
	var parts []string
	for _, w := range splitWords(q, maxQueryRunes) {
		if !w.unspaced || len(w.runes) == 1 {
			parts = append(parts, `"`+string(w.runes)+`"*`)
			continue
		}
		pairs := make([]string, 0, len(w.runes)-1)
		for i := range len(w.runes) - 1 {
			pairs = append(pairs, string(w.runes[i:i+2]))
		}
		parts = append(parts, `"`+strings.Join(pairs, " ")+`"`)
	}
	return strings.Join(parts, " AND ")
}

// index puts texts in place of what an index has of a row.
func (tx *Tx) index(table string, id int64, texts ...string) error {
	return tx.exec(`INSERT OR REPLACE INTO `+table+` (rowid, words) VALUES (?, ?)`, id, searchWords(texts...))
}

// indexVideo lets a video be found, if others may.
func (tx *Tx) indexVideo(v *Video) error {
	if v.listed() {
		return tx.index(videoSearch, v.ID, v.Title)
	}
	return tx.exec(`DELETE FROM video_search WHERE rowid = ?`, v.ID)
}

// indexAll makes the indexes when they were made in another form, or never: a
// migration cannot, because SQL does not know our words. It runs before the
// writer starts.
func (s *Store) indexAll(ctx context.Context) error {
	var have string
	err := s.conn.QueryRowContext(ctx, `SELECT coalesce((SELECT value FROM setting WHERE key = 'search'), '')`).Scan(&have)
	if err != nil || have == searchVersion {
		return err
	}
	var old bool // else it is a new database
	if err := s.conn.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM account WHERE id > ?)`, BuiltInAccount).Scan(&old); err != nil {
		return err
	}
	if old {
		s.progress("making the search index")
	}
	steps := []func(tx *Tx) error{func(tx *Tx) error {
		for _, t := range []string{accountSearch, videoSearch, tagSearch} {
			if err := tx.exec(`DELETE FROM ` + t); err != nil {
				return err
			}
		}
		return nil
	}}
	for table, query := range map[string]string{
		accountSearch: `SELECT id, username || ' ' || nickname FROM account WHERE id > ? AND deleted_at = 0 AND id <> 10000 ORDER BY id LIMIT 2000`,
		videoSearch:   `SELECT id, title FROM video WHERE id > ? AND state = 2 AND visibility <> 2 AND deleted_at = 0 ORDER BY id LIMIT 2000`,
		tagSearch:     `SELECT id, name FROM tag WHERE id > ? ORDER BY id LIMIT 2000`,
	} {
		steps = append(steps, func(tx *Tx) error { return tx.indexTable(table, query) })
	}
	steps = append(steps, func(tx *Tx) error {
		return tx.exec(`INSERT INTO setting (key, value) VALUES ('search', ?) ON CONFLICT DO UPDATE SET value = excluded.value`, searchVersion)
	})
	r := &request{done: make(chan struct{}), fn: func(tx *Tx) error {
		for _, step := range steps {
			if err := step(tx); err != nil {
				return err
			}
		}
		return nil
	}}
	s.commit([]*request{r})
	if r.err != nil {
		return fmt.Errorf("make search index: %w", r.err)
	}
	return nil
}

// indexTable indexes all rows of a query, in parts behind an id.
func (tx *Tx) indexTable(table, query string) error {
	type entry struct {
		id   int64
		text string
	}
	for last := int64(0); ; {
		rows, err := tx.rows(query, last)
		list, err := collect(rows, err, func(r scanner) (entry, error) {
			var e entry
			err := r.Scan(&e.id, &e.text)
			return e, err
		})
		if err != nil || len(list) == 0 {
			return err
		}
		for _, e := range list {
			if err := tx.index(table, e.id, e.text); err != nil {
				return err
			}
		}
		last = list[len(list)-1].id
	}
}

// searched bounds how many hits are looked at for one page: who may not be seen
// is left out of them.
const searched = 200

// SearchAccounts finds accounts by the beginnings of the words of their names,
// those made last first, with ids below before (0: any). next is the before of
// the next page, 0 at the end.
func (s *Store) SearchAccounts(ctx context.Context, q string, before int64, limit int) (list []Account, next int64, err error) {
	query, ok := ftsQuery(q, &before)
	if !ok {
		return nil, 0, nil
	}
	rows, err := s.viewRows(ctx, `SELECT x.rowid, a.deleted_at = 0 AND a.banned_until <= ?1, `+accountColumns+`
		FROM (SELECT rowid FROM account_search WHERE account_search MATCH ?2 AND rowid < ?3 ORDER BY rowid DESC LIMIT ?4) x
		CROSS JOIN account a ON a.id = x.rowid ORDER BY x.rowid DESC`, s.now().UnixMilli(), query, before, searched)
	return hits(rows, err, limit, func(r scanner, id *int64, visible *bool) (Account, error) { return scanAccount(r, id, visible) })
}

// SearchVideos finds videos by their titles, newest first, like SearchAccounts.
func (s *Store) SearchVideos(ctx context.Context, viewer int64, q string, before int64, limit int) (list []VideoShown, next int64, err error) {
	query, ok := ftsQuery(q, &before)
	if !ok {
		return nil, 0, nil
	}
	rows, err := s.viewRows(ctx, `SELECT x.rowid, `+videoVisible+`, `+shownColumns+`
		FROM (SELECT rowid FROM video_search WHERE video_search MATCH ?3 AND rowid < ?4 ORDER BY rowid DESC LIMIT ?5) x
		CROSS JOIN video v ON v.id = x.rowid CROSS JOIN account a ON a.id = v.owner_id ORDER BY x.rowid DESC`,
		viewer, s.now().UnixMilli(), query, before, searched)
	return hits(rows, err, limit, scanHit)
}

// TaggedVideos lists the videos with a tag, newest first, like SearchVideos.
func (s *Store) TaggedVideos(ctx context.Context, viewer int64, tag string, before int64, limit int) (list []VideoShown, next int64, err error) {
	if before <= 0 {
		before = 1 << 62
	}
	rows, err := s.viewRows(ctx, `SELECT g.video_id, `+videoVisible+`, `+shownColumns+` FROM tag t CROSS JOIN video_tag g ON g.tag_id = t.id
		CROSS JOIN video v ON v.id = g.video_id CROSS JOIN account a ON a.id = v.owner_id
		WHERE t.key = ?3 AND g.video_id < ?4 ORDER BY g.video_id DESC LIMIT ?5`, viewer, s.now().UnixMilli(), FoldName(tag), before, searched)
	return hits(rows, err, limit, scanHit)
}

func scanHit(r scanner, id *int64, visible *bool) (VideoShown, error) {
	var v VideoShown
	var err error
	v.Account, err = scanAccount(r, append(append([]any{id, visible}, v.fields()...), &v.Follows, &v.Supported, &v.Collected)...)
	return v, err
}

// Tag is a tag with how many videos have it, at most tagCounted.
type Tag struct {
	ID     int64
	Name   string
	Videos int64
}

const tagCounted = 1000

// SearchTags finds tags by the beginnings of their names, like SearchAccounts.
func (s *Store) SearchTags(ctx context.Context, q string, before int64, limit int) (list []Tag, next int64, err error) {
	query, ok := ftsQuery(q, &before)
	if !ok {
		return nil, 0, nil
	}
	rows, err := s.viewRows(ctx, `SELECT x.rowid, EXISTS (SELECT 1 FROM video_tag WHERE tag_id = t.id), t.id, t.name,
		(SELECT count(*) FROM (SELECT 1 FROM video_tag WHERE tag_id = t.id LIMIT `+strconv.Itoa(tagCounted)+`))
		FROM (SELECT rowid FROM tag_search WHERE tag_search MATCH ?1 AND rowid < ?2 ORDER BY rowid DESC LIMIT ?3) x
		CROSS JOIN tag t ON t.id = x.rowid ORDER BY x.rowid DESC`, query, before, searched)
	return hits(rows, err, limit, func(r scanner, id *int64, visible *bool) (Tag, error) {
		var t Tag
		err := r.Scan(id, visible, &t.ID, &t.Name, &t.Videos)
		return t, err
	})
}

func ftsQuery(q string, before *int64) (query string, ok bool) {
	if *before <= 0 {
		*before = 1 << 62
	}
	query = searchQuery(q)
	return query, query != ""
}

// hits reads a page of those that are visible.
func hits[T any](rows *sql.Rows, err error, limit int, scan func(r scanner, id *int64, visible *bool) (T, error)) (list []T, next int64, _ error) {
	if err != nil {
		return nil, 0, mapError(err)
	}
	defer rows.Close() //nolint:errcheck // Err says more
	list = []T{}
	looked := 0
	for rows.Next() {
		var id int64
		var visible bool
		v, err := scan(rows, &id, &visible)
		if err != nil {
			return nil, 0, mapError(err)
		}
		if visible && len(list) == limit {
			return list, next, nil // next is the last one shown or left out before it
		}
		if visible {
			list = append(list, v)
		}
		looked++
		next = id
	}
	if err := rows.Err(); err != nil {
		return nil, 0, mapError(err)
	}
	if looked < searched {
		next = 0
	}
	return list, next, nil
}
