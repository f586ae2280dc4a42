package stream

import (
	"gtiv/media"
	"gtiv/media/hls"
	"gtiv/media/rtc"
)

// Notes say in words which outputs cannot carry the stream of a room, or not all of
// it, and why; nil: all can, or it is not on air.
func (s *Server) Notes(room string) []string {
	o := s.find(room)
	if o == nil {
		return nil
	}
	list := hls.Notes(o.stream)
	if s.rtc != nil {
		if err := rtc.Refuses(o.stream); err != nil {
			list = append(list, "no WebRTC: "+err.Error())
		} else if n := s.rtc.SoundNote(o.stream); n != "" {
			list = append(list, "WebRTC has "+n)
		}
	}
	st := o.stream.Stats()
	for _, c := range []media.Codec{st.Video, st.Audio} {
		switch c {
		case media.HEVC, media.AV1, media.VP9, media.Opus, media.FLAC:
			list = append(list, "RTMP and FLV carry "+c.Name()+" for players only that know Enhanced RTMP")
		}
	}
	return list
}
