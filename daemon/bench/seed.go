package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"gtiv/store"

	"github.com/google/uuid"
	_ "modernc.org/sqlite" // the driver that package store uses
)

// person is an account with a login session.
type person struct {
	id    int64
	token string
}

// database is the file of a data folder.
func database(data string) string { return filepath.Join(data, "gtiv.db") }

// withStore opens the database of a data folder for f.
func withStore(ctx context.Context, data string, f func(*store.Store) error) error {
	s, err := store.Open(ctx, store.Config{Path: database(data)})
	if err != nil {
		return err
	}
	return errors.Join(f(s), s.Close())
}

// parallel runs f for 0..n-1 in 256 goroutines, so that writes share commits.
func parallel(n int, f func(i int) error) error {
	const workers = 256
	errs := make([]error, workers)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := w; i < n && errs[w] == nil; i += workers {
				errs[w] = f(i)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// people makes n accounts that are logged in. Their passwords cannot be used:
// hashing thousands of them would take minutes and is measured elsewhere.
func people(ctx context.Context, s *store.Store, n int) ([]person, error) {
	list := make([]person, n)
	return list, parallel(n, func(i int) error {
		name := fmt.Sprintf("bench%05d", i)
		a, err := s.CreateAccount(ctx, store.NewAccount{Username: name, Nickname: name, Role: 10})
		if err != nil {
			return fmt.Errorf("make account: %w", err)
		}
		secret := make([]byte, 32)
		_, _ = rand.Read(secret) // never fails
		list[i] = person{a.ID, base64.RawURLEncoding.EncodeToString(secret)}
		hash := sha256.Sum256([]byte(list[i].token))
		if _, _, err := s.Login(ctx, store.NewLogin{Account: a.ID, TokenHash: hash[:], Agent: "bench"}); err != nil {
			return fmt.Errorf("log in: %w", err)
		}
		return nil
	})
}

// pairs makes n pairs of friends, each with one message (the acceptance).
func pairs(ctx context.Context, s *store.Store, n int) (a, b []person, err error) {
	all, err := people(ctx, s, 2*n)
	if err != nil {
		return nil, nil, err
	}
	a, b = all[:n], all[n:]
	return a, b, parallel(n, func(i int) error {
		if _, err := s.Apply(ctx, a[i].id, b[i].id, "hello"); err != nil {
			return fmt.Errorf("apply: %w", err)
		}
		_, err := s.AcceptApplication(ctx, b[i].id, a[i].id, 0, store.NewMessage{Type: 8, Content: "ok", System: true})
		return err
	})
}

// message is the content of every message of the figures: 230 bytes.
var message = strings.Repeat("0123456789", 23)

// raw writes messages into a database of ours without package store: plain
// transactions over database/sql.
type raw struct {
	db    *sql.DB
	convs []int64
	seqs  []int64
	next  int
}

// openRaw opens the database with the settings of package store and finds the
// conversations to write into.
func openRaw(ctx context.Context, data string) (*raw, error) {
	db, err := sql.Open("sqlite", "file:"+database(data)+"?_txlock=immediate&_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)"+
		"&_pragma=synchronous(FULL)&_pragma=foreign_keys(1)&_pragma=cache_size(-8000)&_pragma=wal_autocheckpoint(2000)")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	r := &raw{db: db}
	return r, r.load(ctx)
}

func (r *raw) load(ctx context.Context) error {
	rows, err := r.db.QueryContext(ctx, `SELECT c.id, coalesce(max(m.seq), 0) FROM conversation c LEFT JOIN message m ON m.conversation_id = c.id GROUP BY c.id`)
	if err != nil {
		return fmt.Errorf("read conversations: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var id, seq int64
		if err := rows.Scan(&id, &seq); err != nil {
			return err
		}
		r.convs, r.seqs = append(r.convs, id), append(r.seqs, seq)
	}
	return rows.Err()
}

// batch writes n messages in one transaction, to the conversations in turn.
func (r *raw) batch(ctx context.Context, n int) error {
	tx, err := r.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	stmt, err := tx.PrepareContext(ctx, `INSERT INTO message (conversation_id, seq, server_msg_id, sender_id, type, time, content) VALUES (?, ?, ?, ?, 0, ?, ?)`)
	if err != nil {
		return errors.Join(err, tx.Rollback())
	}
	defer stmt.Close() //nolint:errcheck // ends with the transaction
	now := time.Now().UnixMilli()
	for range n {
		i := r.next % len(r.convs)
		r.next++
		r.seqs[i]++
		id, err := uuid.NewV7()
		if err == nil {
			_, err = stmt.ExecContext(ctx, r.convs[i], r.seqs[i], id[:], 10001, now, message)
		}
		if err != nil {
			return errors.Join(fmt.Errorf("insert: %w", err), tx.Rollback())
		}
	}
	return tx.Commit()
}

func (r *raw) close() error { return r.db.Close() }
