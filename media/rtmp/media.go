package rtmp

import (
	"gtiv/media"
)

// Names in front of metadata, as AMF0 strings.
const (
	setDataFrame = "\x02\x00\x0d@setDataFrame"
	onMetaData   = "\x02\x00\x0aonMetaData"
)

// metadata is the metadata in a data message, nil if it is something else or makes
// no sense.
func metadata(body []byte) []byte {
	body = plain(body)
	if len(body) < len(onMetaData) || string(body[:len(onMetaData)]) != onMetaData {
		return nil
	}
	if _, err := decodeAMF(body); err != nil {
		return nil
	}
	return body
}

// plain takes away what says that metadata are to be kept, which only servers are told.
func plain(body []byte) []byte {
	if len(body) > len(setDataFrame) && string(body[:len(setDataFrame)]) == setDataFrame {
		return body[len(setDataFrame):]
	}
	return body
}

// push publishes a message of a peer. What makes no sense is left out: a decoder
// would do the same. Errors are those of Publisher.Push.
func push(p *media.Publisher, m message) error {
	kind, body := media.Kind(m.kind), m.body
	switch kind {
	case media.Audio, media.Video:
	case media.Data:
		if body = metadata(body); body == nil {
			return nil
		}
	default:
		return nil
	}
	parsed, err := media.ParseMessage(kind, body)
	if err != nil {
		return nil //nolint:nilerr // left out
	}
	return p.Push(parsed, m.time)
}

// playerStream is the id of the message stream that a player nearly always has, so
// that the bytes of a round can be the same for all.
const playerStream = 1

// chunks is a round as chunks for a player. It is shared: nobody changes it.
func chunks(r *media.Round) []byte { return r.Bytes(media.WireRTMP, makeChunks) }

func makeChunks(r *media.Round) []byte { return appendRound(nil, r, playerStream, false) }

// appendRound appends the messages of a round, for a server or for a player.
func appendRound(b []byte, r *media.Round, stream uint32, server bool) []byte {
	if b == nil {
		n := 0
		for _, m := range r.Messages {
			n += len(m.Body) + len(m.Body)/ourChunk*5 + 16
		}
		b = make([]byte, 0, n)
	}
	for _, m := range r.Messages {
		b = appendMedia(b, m, m.Time, stream, server)
	}
	return b
}

// appendHeaders appends what a decoder needs before the round.
func appendHeaders(b []byte, h *media.Headers, r *media.Round, stream uint32, server bool) []byte {
	for _, m := range h.List() {
		b = appendMedia(b, m, r.Time(), stream, server)
	}
	return b
}

func appendMedia(b []byte, m *media.Message, at int64, stream uint32, server bool) []byte {
	id, body := byte(chunkData), m.Body
	switch m.Kind {
	case media.Audio:
		id = chunkAudio
	case media.Video:
		id = chunkVideo
	case media.Data:
		// Metadata hold at once. With another time than 0 ffmpeg takes them for a
		// stream of texts.
		at = 0
		if body = plain(body); server {
			body = append([]byte(setDataFrame), body...)
		}
	}
	return appendMessage(b, id, message{byte(m.Kind), stream, uint32(at), body}, ourChunk) //nolint:gosec // modulo 2^32, as the format has it
}

// sender sends a stream to a player, or to a server that it is relayed to.
type sender struct {
	*link
	stream uint32
	server bool
}

// send sends a round, and before it headers if there are any.
func (s sender) send(r *media.Round, h *media.Headers) error {
	if h != nil {
		if b := appendHeaders(nil, h, r, s.stream, s.server); len(b) > 0 {
			if err := s.write(b); err != nil {
				return err
			}
		}
	}
	if s.stream == playerStream && !s.server {
		return s.write(chunks(r))
	}
	return s.write(appendRound(nil, r, s.stream, s.server))
}
