package store

import "context"

// counter is a number that is kept with every change and can be counted again.
// Its source answers id and n for all rows with n > 0.
type counter struct{ table, column, source string }

func counters() []counter {
	return []counter{
		{"account", "fans_num", `SELECT master_id AS id, count(*) AS n FROM follow GROUP BY master_id`},
		{"account", "follow_num", `SELECT fan_id AS id, count(*) AS n FROM follow GROUP BY fan_id`},
		{"account", "support_num", `SELECT owner_id AS id, count(*) AS n FROM video_support GROUP BY owner_id`},
		{"account", "collect_num", `SELECT owner_id AS id, count(*) AS n FROM video_collect GROUP BY owner_id`},
		{"account", "collect_video_num", `SELECT user_id AS id, count(*) AS n FROM video_collect GROUP BY user_id`},
		{"account", "create_video_num", `SELECT owner_id AS id, count(*) AS n FROM video WHERE state = 2 AND visibility <> 2 AND deleted_at = 0 GROUP BY owner_id`},
		{"video", "support_num", `SELECT video_id AS id, count(*) AS n FROM video_support GROUP BY video_id`},
		{"video", "collect_num", `SELECT video_id AS id, count(*) AS n FROM video_collect GROUP BY video_id`},
		{"video", "comment_num", `SELECT video_id AS id, count(*) AS n FROM comment WHERE gone = 0 GROUP BY video_id`},
		{"comment", "like_num", `SELECT comment_id AS id, count(*) AS n FROM comment_like GROUP BY comment_id`},
		{"comment", "reply_num", `SELECT parent_id AS id, count(*) AS n FROM comment WHERE gone = 0 AND parent_id > 0 GROUP BY parent_id`},
		{"room", "member_num", `SELECT room_id AS id, count(*) AS n FROM room_member GROUP BY room_id`},
	}
}

// CounterReport says how many rows have a wrong counter.
type CounterReport struct {
	Counter string // "account.fans_num"
	Wrong   int64
}

// RepairCounters counts everything of wire.md 15 again and reports what was
// wrong, nothing if all is right. With fix the counters are set right in the same
// write. It reads whole tables; for a large site the writer is busy for seconds.
func (s *Store) RepairCounters(ctx context.Context, fix bool) ([]CounterReport, error) {
	var report []CounterReport
	err := s.update(ctx, func(tx *Tx) error {
		report = nil
		for _, c := range counters() {
			wrong, err := tx.repair(c, fix)
			if err != nil {
				return err
			}
			if wrong > 0 {
				report = append(report, CounterReport{c.table + "." + c.column, wrong})
			}
		}
		return nil
	})
	return report, err
}

func (tx *Tx) repair(c counter, fix bool) (int64, error) {
	with := `WITH counted AS MATERIALIZED (` + c.source + `), wrong AS (SELECT r.id, coalesce(counted.n, 0) AS n FROM ` + c.table +
		` r LEFT JOIN counted ON counted.id = r.id WHERE r.` + c.column + ` <> coalesce(counted.n, 0)) `
	if !fix {
		var n int64
		err := tx.row(with + `SELECT count(*) FROM wrong`).Scan(&n)
		return n, err
	}
	if c.table == "room" {
		tx.s.w.rooms = newLRU[int64, *roomRow](maxCachedRooms)
	}
	return tx.changed(with + `UPDATE ` + c.table + ` SET ` + c.column + ` = wrong.n FROM wrong WHERE wrong.id = ` + c.table + `.id`)
}
