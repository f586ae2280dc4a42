package record

import "testing"

func TestTheIndexOfALongFileIsFolded(t *testing.T) {
	for _, n := range []int{1, 10, 1361, 20000} {
		s := &scan{}
		for i := range n {
			s.pieces = append(s.pieces, pieceInfo{size: 10, at: int64(i) * 100, ticks: 100, key: i%3 == 0})
		}
		s.pieces = append(s.pieces, pieceInfo{size: 5, at: -1}) // of the other track alone
		const most = 1361
		list := s.fold(most)
		var size, at int64
		for _, e := range list {
			if e.at != at || e.at%300 != 0 {
				t.Fatalf("%d pieces: an entry begins at %d, the one before ended at %d", n, e.at, at)
			}
			size, at = size+e.size, at+e.ticks
		}
		if len(list) > most || size != int64(n)*10+5 || at != int64(n)*100 {
			t.Errorf("%d pieces: %d entries with %d bytes up to %d", n, len(list), size, at)
		}
	}
}
