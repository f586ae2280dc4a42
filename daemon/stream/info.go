package stream

import (
	"time"

	"gtiv/media"
)

// Figures are what is known of a stream on air.
type Figures struct {
	Began      time.Time
	Protocol   string // of the publisher
	Video      media.Codec
	Audio      media.Codec
	VideoKbps  int64
	AudioKbps  int64
	Fps        float64
	KeyEvery   time.Duration
	BFrames    bool
	Viewers    int
	VideoBytes int64
	AudioBytes int64
}

// sample is what had come at a time.
type sample struct {
	at    time.Time
	stats media.Stats
}

// sampleLocked notes what came until now, for the rates.
func (o *outputs) sampleLocked(now time.Time) {
	o.before, o.last = o.last, sample{now, o.stream.Stats()}
}

// Figures answers those of a room; false: it is not on air. Rates are those of the
// last seconds.
func (s *Server) Figures(room string) (Figures, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.outputs[room]
	if o == nil {
		return Figures{}, false
	}
	st := o.stream.Stats()
	from := o.before
	if from.at.IsZero() {
		from.at = o.stream.Began()
	}
	seconds := max(time.Since(from.at).Seconds(), 0.001)
	f := Figures{
		Began: o.stream.Began(), Video: st.Video, Audio: st.Audio, KeyEvery: time.Duration(st.KeyEvery) * time.Millisecond, BFrames: st.BFrames,
		VideoBytes: st.VideoBytes, AudioBytes: st.AudioBytes, Viewers: s.sessions.Viewers(room),
		VideoKbps: int64(float64(st.VideoBytes-from.stats.VideoBytes) * 8 / 1000 / seconds),
		AudioKbps: int64(float64(st.AudioBytes-from.stats.AudioBytes) * 8 / 1000 / seconds),
		Fps:       float64(st.Pictures-from.stats.Pictures) / seconds,
	}
	for _, v := range s.sessions.List(room) {
		if v.Publish {
			f.Protocol = v.Protocol
		}
	}
	return f, true
}
