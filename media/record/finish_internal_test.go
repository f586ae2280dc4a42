package record

import "testing"

func TestTheIndexOfALongFileIsFolded(t *testing.T) {
	for _, n := range []int{1, 10, 1361, 20000} {
		s := &scan{}
		for i := range n {
			at := int64(i) * 100
			p := pieceInfo{size: 10, key: i%3 == 0, of: [maxTracks]span{{true, at, at + 100, 8}}}
			if i%4 != 3 { // some have no sound
				p.of[1] = span{true, at * 2, at*2 + 200, 0}
			}
			s.pieces = append(s.pieces, p)
		}
		s.pieces = append(s.pieces, pieceInfo{size: 5, of: [maxTracks]span{1: {true, int64(n) * 200, int64(n)*200 + 50, 0}}}) // sound alone
		const most = 1361
		list := s.fold(most)
		var size int64
		for i, e := range list {
			size += e.size
			if i > 0 && (e.of[0].at < list[i-1].of[0].end || e.of[1].at < list[i-1].of[1].end) || e.of[0].at%300 != 0 || !e.key {
				t.Fatalf("%d pieces: %+v", n, list[max(i-1, 0):i+1])
			}
		}
		last := list[len(list)-1]
		if len(list) > most || size != int64(n)*10+5 || last.of[0].end != int64(n)*100 || last.of[1].end != int64(n)*200+50 {
			t.Errorf("%d pieces: %d entries with %d bytes up to %+v", n, len(list), size, last)
		}
	}
}
