package chat

import (
	"encoding/json"
	"strings"

	"gtiv/protocol"
)

// checkContent looks into messages whose content is JSON: a phone that is
// handed a photo without a size crashes (wire.md 8.2).
func checkContent(t protocol.MessageType, content string) error {
	switch t {
	case protocol.TypePhoto:
		return checkMedia(content, []string{"uri"}, []string{"w", "h"})
	case protocol.TypeVoice:
		return checkMedia(content, []string{"uri"}, []string{"duration"})
	case protocol.TypeVideo, protocol.TypeShare:
		return checkMedia(content, []string{"uri", "cover"}, []string{"w", "h"})
	}
	return nil
}

// checkMedia wants a JSON object with these texts and these numbers in it.
func checkMedia(content string, texts, numbers []string) error {
	bad := badValue("Message", "badMedia")
	var m map[string]json.RawMessage
	if err := json.Unmarshal([]byte(content), &m); err != nil || m == nil {
		return bad
	}
	for _, k := range texts {
		var s *string
		if json.Unmarshal(m[k], &s) != nil || s == nil {
			return bad
		}
	}
	for _, k := range numbers {
		var n json.Number // a number, or a text that holds one
		if v := strings.TrimSpace(string(m[k])); v == "" || v == "null" || json.Unmarshal(m[k], &n) != nil || n == "" {
			return bad
		}
	}
	return nil
}
