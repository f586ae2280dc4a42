package hls

import "gtiv/media"

// Notes say in words what of a stream does not go out by HLS.
func Notes(m *media.Stream) []string {
	st := m.Stats()
	if st.Video == media.AV1 {
		return []string{"HLS with MPEG-TS does not go: the pictures are AV1. Low-latency HLS does"}
	}
	if st.Video != "" && st.Video != media.H264 && st.Video != media.HEVC {
		return []string{"no HLS: the pictures are " + st.Video.Name()}
	}
	switch st.Audio {
	case "", media.AAC:
		return nil
	case media.Opus:
		return []string{"HLS with MPEG-TS has no sound: it is Opus. Low-latency HLS has it"}
	}
	return []string{"HLS has no sound: it is " + st.Audio.Name()}
}
