package store

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

const (
	bigPairs    = 1000 // conversations of user 10001
	bigMessages = 1_000_000
)

// bigDatabase has 2,001 accounts: 10001 is a contact of 1,000 others and has
// bigMessages/bigPairs messages with each.
func bigDatabase(b *testing.B, messages int) string {
	b.Helper()
	path := filepath.Join(b.TempDir(), "big.db")
	s, err := Open(b.Context(), Config{Path: path})
	if err != nil {
		b.Fatal(err)
	}
	err = s.update(b.Context(), func(tx *Tx) error { return fillBig(tx) })
	const step = 50_000
	for done := 0; done < messages && err == nil; done += step {
		err = s.update(b.Context(), func(tx *Tx) error {
			// Ids as UUIDv7 makes them: they begin with the time.
			return tx.exec(`WITH RECURSIVE n (i) AS (SELECT ?1 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?1 + ?2)
				INSERT INTO message (conversation_id, seq, server_msg_id, sender_id, type, time, content, client_msg_id)
				SELECT i % ?3 + 1, i / ?3 + 1, unhex(printf('%012x', 1700000000000 + i) || hex(randomblob(10))),
					iif(i % 2, 10001, 10002 + i % ?3), 0, 1700000000000 + i, printf('%0230d', i), hex(randomblob(16)) FROM n`,
				done, min(step, messages-done), bigPairs)
		})
	}
	if err == nil {
		err = s.Close()
	}
	if err != nil {
		b.Fatal(err)
	}
	return path
}

func fillBig(tx *Tx) error {
	for _, q := range []string{
		`WITH RECURSIVE n (i) AS (SELECT 10001 UNION ALL SELECT i + 1 FROM n WHERE i < 12001)
			INSERT INTO account (id, username, username_key, nickname, created_at) SELECT i, 'u' || i, 'u' || i, 'u', 0 FROM n`,
		`INSERT INTO contact (user_id, peer_id, created_at) SELECT 10001, id, 0 FROM account WHERE id BETWEEN 10002 AND 11001`,
		`INSERT INTO contact (user_id, peer_id, created_at) SELECT id, 10001, 0 FROM account WHERE id BETWEEN 10002 AND 11001`,
		`INSERT INTO conversation (id, kind, a, b) SELECT id - 10001, 1, 10001, id FROM account WHERE id BETWEEN 10002 AND 11001`,
	} {
		if err := tx.exec(q); err != nil {
			return err
		}
	}
	return nil
}

// BenchmarkBig measures with a million stored messages: opening, sending with
// 256 writers over 1,000 conversations, and the sync of a user who has them all.
func BenchmarkBig(b *testing.B) {
	path := bigDatabase(b, bigMessages)
	b.Run("open", func(b *testing.B) {
		for b.Loop() {
			s, err := Open(b.Context(), Config{Path: path})
			if err != nil {
				b.Fatal(err)
			}
			b.StopTimer()
			if err := s.Close(); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
		}
	})
	s, err := Open(b.Context(), Config{Path: path})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	b.Run("positions", func(b *testing.B) {
		for b.Loop() {
			if list, err := s.PrivatePositions(b.Context(), 10001); err != nil || len(list) != bigPairs {
				b.Fatal(len(list), err)
			}
		}
	})
	b.Run("sync", func(b *testing.B) { benchSync(b, s) })
	b.Run("seqAt", func(b *testing.B) {
		for i := int64(0); b.Loop(); i++ {
			if _, err := s.SeqAt(b.Context(), i%bigPairs+1, 1700000000000+bigMessages/2); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("send", func(b *testing.B) { benchBigSend(b, s) })
	b.Run("expire", func(b *testing.B) {
		gone := 0
		for b.Loop() {
			n, err := s.ExpireMessages(b.Context(), 1<<60, 500)
			if err != nil {
				b.Fatal(err)
			}
			gone += n
		}
		b.ReportMetric(float64(gone)/b.Elapsed().Seconds(), "msgs/s")
	})
}

// benchSync reads what is new in every conversation: one message in each.
func benchSync(b *testing.B, s *Store) {
	for b.Loop() {
		list, err := s.PrivatePositions(b.Context(), 10001)
		if err != nil {
			b.Fatal(err)
		}
		for _, p := range list {
			if _, err := s.Incoming(b.Context(), p.Conversation, 10001, p.Last-2, 50); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func benchBigSend(b *testing.B, s *Store) {
	content := fmt.Sprintf("%0230d", 1)
	work := make(chan int64)
	var wg sync.WaitGroup
	var mu sync.Mutex
	var worst time.Duration
	for range 256 {
		wg.Go(func() {
			for i := range work {
				begin := time.Now()
				_, err := s.SendPrivate(context.Background(), NewMessage{From: 10001, To: 10002 + i%bigPairs, Content: content, ClientMsgID: fmt.Sprint(begin.UnixNano(), "-", i)})
				if err != nil {
					b.Error(err)
				}
				took := time.Since(begin)
				mu.Lock()
				worst = max(worst, took)
				mu.Unlock()
			}
		})
	}
	for i := int64(0); b.Loop(); i++ {
		work <- i
	}
	close(work)
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msgs/s")
	b.ReportMetric(float64(worst.Milliseconds()), "worst-ms")
}
