package rtc

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/pion/sdp/v3"
	"github.com/pion/webrtc/v4"
)

const (
	maxBody       = 64 << 10
	maxSections   = 16 // m= lines of an offer
	maxCandidates = 64 // of one session, by PATCH

	typeSDP      = "application/sdp"
	typeFragment = "application/trickle-ice-sdpfrag"
)

// refusal is an answer that says why not.
type refusal struct {
	status  int
	Code    string `json:"error"`
	Message string `json:"message"`
}

func (r *refusal) Error() string { return r.Message }

func refuse(status int, code, format string, a ...any) *refusal {
	return &refusal{status, code, fmt.Sprintf(format, a...)}
}

// write answers with an error: a refusal as it is, others without what they say.
// readOffer reads the offer that a session begins with.
func readOffer(w http.ResponseWriter, r *http.Request) (*offer, error) {
	body, err := readBody(w, r, typeSDP)
	if err != nil {
		return nil, err
	}
	return parseOffer(body)
}

// WriteAbsent answers that there is nothing to watch, as other refusals are answered.
func WriteAbsent(w http.ResponseWriter, text string) {
	write(w, refuse(http.StatusNotFound, "absent", "%s", text))
}

func write(w http.ResponseWriter, err error) {
	var r *refusal
	if !errors.As(err, &r) {
		r = refuse(http.StatusInternalServerError, "internal", "the server failed")
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	if r.status == http.StatusServiceUnavailable {
		h.Set("Retry-After", "5")
	}
	w.WriteHeader(r.status)
	_ = json.NewEncoder(w).Encode(r) // the client is gone
}

// readBody reads a body of a type.
func readBody(w http.ResponseWriter, r *http.Request, want string) (string, error) {
	if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || t != want {
		return "", refuse(http.StatusUnsupportedMediaType, "content-type", "the body must be %s", want)
	}
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var big *http.MaxBytesError
	switch {
	case errors.As(err, &big):
		return "", refuse(http.StatusRequestEntityTooLarge, "too-big", "the body may have %d bytes", maxBody)
	case err != nil:
		return "", refuse(http.StatusBadRequest, "body", "the body could not be read")
	}
	return string(b), nil
}

// offer is what a client offers.
type offer struct {
	sdp          string
	ufrag        string
	video, audio bool
	speaks       bool // it sends sound
}

// parseOffer looks at an offer before the library does.
func parseOffer(body string) (*offer, error) {
	var d sdp.SessionDescription
	if err := d.UnmarshalString(body); err != nil || len(d.MediaDescriptions) == 0 {
		return nil, refuse(http.StatusBadRequest, "sdp", "this is no SDP offer")
	}
	if len(d.MediaDescriptions) > maxSections {
		return nil, refuse(http.StatusBadRequest, "sdp", "an offer may have %d sections", maxSections)
	}
	o, codec := &offer{sdp: body}, map[string]string{"video": "h264/90000", "audio": "opus/48000"}
	for _, m := range d.MediaDescriptions {
		want, ok := codec[m.MediaName.Media]
		if !ok {
			continue
		}
		if !has(m, want) {
			return nil, refuse(http.StatusNotAcceptable, "codec", "%s must be %s", m.MediaName.Media, strings.SplitN(want, "/", 2)[0])
		}
		o.video = o.video || m.MediaName.Media == "video"
		o.audio = o.audio || m.MediaName.Media == "audio"
		_, listens := m.Attribute("recvonly")
		_, inactive := m.Attribute("inactive")
		o.speaks = o.speaks || m.MediaName.Media == "audio" && !listens && !inactive
	}
	_, rest, _ := strings.Cut(body, "a=ice-ufrag:")
	o.ufrag, _, _ = strings.Cut(rest, "\n")
	o.ufrag = strings.TrimRight(o.ufrag, "\r")
	if !o.video && !o.audio {
		return nil, refuse(http.StatusNotAcceptable, "nothing", "the offer has neither pictures nor sound")
	}
	return o, nil
}

func has(m *sdp.MediaDescription, codec string) bool {
	for _, a := range m.Attributes {
		if a.Key == "rtpmap" && strings.Contains(strings.ToLower(a.Value), " "+codec) {
			return true
		}
	}
	return false
}

// fragment is what a client adds by PATCH (RFC 8840 9).
type fragment struct {
	ufrag      string
	candidates []webrtc.ICECandidateInit
}

func parseFragment(body string) (*fragment, error) {
	f, mid := &fragment{}, ""
	for line := range strings.Lines(body) {
		line = strings.TrimRight(line, "\r\n")
		switch {
		case strings.HasPrefix(line, "a=ice-ufrag:"):
			f.ufrag = strings.TrimPrefix(line, "a=ice-ufrag:")
		case strings.HasPrefix(line, "a=mid:"):
			mid = strings.TrimPrefix(line, "a=mid:")
		case strings.HasPrefix(line, "a=candidate:"):
			if len(f.candidates) >= maxCandidates {
				return nil, refuse(http.StatusBadRequest, "candidates", "a session may have %d candidates", maxCandidates)
			}
			m := mid
			f.candidates = append(f.candidates, webrtc.ICECandidateInit{Candidate: strings.TrimPrefix(line, "a="), SDPMid: &m})
		case line == "" || strings.HasPrefix(line, "a=") || strings.HasPrefix(line, "m="):
		default:
			return nil, refuse(http.StatusBadRequest, "sdp", "this is no fragment of SDP")
		}
	}
	return f, nil
}
