package api

import (
	"encoding/json"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"gtiv/protocol"
)

type bindRequest struct {
	UserID int64  `json:"UserId" required:"true"`
	Type   int    //
	Small  int32  `json:"small"`
	Text   string `json:"text"`
	On     bool
}

func bind(t *testing.T, method, target, contentType, body string) (bindRequest, error) {
	t.Helper()
	p, err := planOf(reflect.TypeFor[bindRequest]())
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	b := newBinder(p)
	var req bindRequest
	if err := readParams(b, httptest.NewRecorder(), r, DefaultMaxBody); err != nil {
		return req, err
	}
	return req, b.fill(reflect.ValueOf(&req).Elem())
}

func TestParametersAreReadFromEverywhere(t *testing.T) {
	const form, jsonType = "application/x-www-form-urlencoded", "application/json; charset=UTF-8"
	multi := "--x\r\nContent-Disposition: form-data; name=\"UserId\"\r\n\r\n10001\r\n" +
		"--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\nUserId\r\n" +
		"--x\r\nContent-Disposition: form-data; name=\"Text\"\r\n\r\na b\r\n--x--\r\n"
	tests := []struct {
		name, method, target, contentType, body string
		want                                    bindRequest
	}{
		{"query", "GET", "/?UserId=10001&Type=2&text=a+b%26&On=1", "", "", bindRequest{UserID: 10001, Type: 2, Text: "a b&", On: true}},
		{"query of a DELETE", "DELETE", "/?UserId=10001", "", "", bindRequest{UserID: 10001}},
		{"body of a DELETE", "DELETE", "/", jsonType, `{"UserId":"10001"}`, bindRequest{UserID: 10001}},
		{"body of a GET", "GET", "/", jsonType, `{"UserId":10001}`, bindRequest{UserID: 10001}},
		{"form", "POST", "/", form, "UserId=10001&text=%E4%BD%A0", bindRequest{UserID: 10001, Text: "你"}},
		{"multipart", "POST", "/", "multipart/form-data; boundary=x", multi, bindRequest{UserID: 10001, Text: "a b"}},
		{"JSON in a form's clothes", "POST", "/", form, `{"UserId":10001}`, bindRequest{UserID: 10001}},
		{"JSON without a type", "POST", "/", "", ` {"UserId":10001} `, bindRequest{UserID: 10001}},
		{"body wins over query", "POST", "/?UserId=1&Type=5", jsonType, `{"UserId":10001}`, bindRequest{UserID: 10001, Type: 5}},
		{"an empty form", "POST", "/?UserId=10001", form, "", bindRequest{UserID: 10001}},
		{"an empty JSON body", "POST", "/?UserId=10001", jsonType, "", bindRequest{UserID: 10001}},
		{"null body", "POST", "/?UserId=10001", jsonType, "null", bindRequest{UserID: 10001}},
		{"numbers as strings", "POST", "/", jsonType, `{"UserId":"10001","Type":"2"}`, bindRequest{UserID: 10001, Type: 2}},
		{"strings as numbers", "POST", "/", jsonType, `{"UserId":10001,"text":42}`, bindRequest{UserID: 10001, Text: "42"}},
		{"booleans as strings", "POST", "/", jsonType, `{"UserId":1,"On":"true"}`, bindRequest{UserID: 1, On: true}},
		{"booleans as numbers", "POST", "/", jsonType, `{"UserId":1,"On":1}`, bindRequest{UserID: 1, On: true}},
		{"other case", "POST", "/", jsonType, `{"userid":1,"TEXT":"x"}`, bindRequest{UserID: 1, Text: "x"}},
		{"exact case wins", "POST", "/", jsonType, `{"UserId":1,"userid":2}`, bindRequest{UserID: 1}},
		{"exact case wins, later", "POST", "/", jsonType, `{"userid":2,"UserId":1}`, bindRequest{UserID: 1}},
		{"the last of two", "POST", "/", jsonType, `{"UserId":1,"UserId":2}`, bindRequest{UserID: 2}},
		{"unknown and nested", "POST", "/", jsonType, `{"a":{"UserId":5,"b":["]}"]},"UserId":2,"c":null}`, bindRequest{UserID: 2}},
		{"escapes", "POST", "/", jsonType, `{"\u0055serId":2,"text":"a\"\\\u4f60\ud83d\ude00"}`, bindRequest{UserID: 2, Text: "a\"\\你😀"}},
		{"null is absent", "POST", "/", jsonType, `{"UserId":2,"text":null,"Type":null}`, bindRequest{UserID: 2}},
		{"empty number is absent", "POST", "/", jsonType, `{"UserId":2,"Type":""}`, bindRequest{UserID: 2}},
		{"exact beyond 2^53", "POST", "/", jsonType, `{"UserId":9007199254740993}`, bindRequest{UserID: 9007199254740993}},
		{"largest", "GET", "/?UserId=9223372036854775807", "", "", bindRequest{UserID: math.MaxInt64}},
		{"a whole decimal", "POST", "/", jsonType, `{"UserId":"1E+3","Type":2.0}`, bindRequest{UserID: 1000, Type: 2}},
		{"not UTF-8", "POST", "/", jsonType, "{\"UserId\":1,\"text\":\"a\xffb\"}", bindRequest{UserID: 1, Text: "a\uFFFDb"}},
		{"not UTF-8 in the query", "GET", "/?UserId=1&text=%ff", "", "", bindRequest{UserID: 1, Text: "\uFFFD"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := bind(t, tt.method, tt.target, tt.contentType, tt.body)
			if err != nil || got != tt.want {
				t.Errorf("got %+v, %v; want %+v", got, err, tt.want)
			}
		})
	}
}

func TestBadParametersAreNamedAndNotRepeated(t *testing.T) {
	const evil = "e3v1l"
	deep := strings.Repeat("[", 40) + strings.Repeat("]", 40)
	tests := []struct{ name, target, contentType, body, key, field string }{
		{"missing", "/", "", "", "missing", "UserId"},
		{"null", "/", "application/json", `{"UserId":null}`, "missing", "UserId"},
		{"no number", "/?UserId=" + evil, "", "", "notNumber", "UserId"},
		{"a fraction", "/?UserId=1.5", "", "", "notNumber", "UserId"},
		{"too large", "/?UserId=9223372036854775808", "", "", "notNumber", "UserId"},
		{"a huge exponent", "/?UserId=1e999999999", "", "", "notNumber", "UserId"},
		{"too large for the field", "/?UserId=1&small=2147483648", "", "", "outOfRange", "small"},
		{"no boolean", "/?UserId=1&On=" + evil, "", "", "notBool", "On"},
		{"an array", "/?UserId=1", "application/json", `{"text":["` + evil + `"]}`, "notPlain", "text"},
		{"an object", "/", "application/json", `{"UserId":{"` + evil + `":1}}`, "notPlain", "UserId"},
		{"wrong JSON", "/?UserId=1", "application/json", `{"` + evil, "badJSON", ""},
		{"more than one", "/?UserId=1", "application/json", `{}{}`, "badJSON", ""},
		{"an array of requests", "/?UserId=1", "application/json", `[{}]`, "badJSON", ""},
		{"just a string", "/?UserId=1", "application/json", `"` + evil + `"`, "badJSON", ""},
		{"too deep", "/?UserId=1", "application/json", `{"a":` + deep + `}`, "badJSON", ""},
		{"plain text", "/?UserId=1", "text/plain", evil, "badJSON", ""},
		{"a bad escape", "/?UserId=1&text=%zz", "", "", "badForm", ""},
		{"a bad multipart", "/?UserId=1", "multipart/form-data; boundary=x", evil, "badBody", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := bind(t, "POST", tt.target, tt.contentType, tt.body)
			e, ok := err.(*protocol.Error) //nolint:errorlint // must not be wrapped
			if !ok || e.Code != protocol.CodeBadValue || e.Key != tt.key {
				t.Fatalf("got %v, want key %s", err, tt.key)
			}
			for _, lang := range protocol.Languages() {
				text := e.Text(lang)
				if text == e.Key || !strings.Contains(text, tt.field) || strings.Contains(text, evil) {
					t.Errorf("text in %s: %q", lang, text)
				}
			}
		})
	}
}

func TestTooMuchIsRefused(t *testing.T) {
	long := `{"UserId":1,"text":"` + strings.Repeat("x", DefaultMaxBody) + `"}`
	if _, err := bind(t, "POST", "/", "application/json", long); err != errTooLarge {
		t.Errorf("a long body: %v", err)
	}
	r := httptest.NewRequest("POST", "/", struct{ *strings.Reader }{strings.NewReader(long)}) // of unknown length
	p, _ := planOf(reflect.TypeFor[bindRequest]())
	if err := readParams(newBinder(p), httptest.NewRecorder(), r, DefaultMaxBody); err != errTooLarge {
		t.Errorf("a long body of unknown length: %v", err)
	}
	var parts strings.Builder
	for range maxParts + 1 {
		parts.WriteString("--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nb\r\n")
	}
	if _, err := bind(t, "POST", "/", "multipart/form-data; boundary=x", parts.String()+"--x--\r\n"); err != errTooLarge {
		t.Errorf("many parts: %v", err)
	}
}

func TestRequestTypesThatCannotBeBoundAreRefused(t *testing.T) {
	for _, v := range []any{1, struct{ List []int }{}, struct{ F float64 }{}, struct{ P *int }{}} {
		if _, err := planOf(reflect.TypeOf(v)); err == nil {
			t.Errorf("%T was taken", v)
		}
	}
}

// FuzzJSON compares our walk over an object with encoding/json.
func FuzzJSON(f *testing.F) {
	for _, s := range []string{
		`{}`, `{"UserId":1}`, `{"a":{"b":[1,"}"]},"text":"x"}`, `{"text":"\u00e9\ud800"}`, ` { "On" : true , "Type":-1.5e3 } `,
		`{"text":"a","text":"b"}`, `{"a":[[[[]]]]}`, `null`, `[1]`, `{"text":"\\"}`, "{\"text\":\"\xff\"}", `{"":""}`,
	} {
		f.Add([]byte(s))
	}
	p, err := planOf(reflect.TypeFor[bindRequest]())
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		b := newBinder(p)
		err := jsonParams(b, body)
		var want map[string]json.RawMessage
		ok := json.Unmarshal(body, &want) == nil && want != nil
		if err == nil && !ok {
			t.Fatalf("taken: %q", body)
		}
		if err != nil && ok && !deep(body) {
			t.Fatalf("refused: %q: %v", body, err)
		}
		if err != nil {
			return
		}
		for i, fd := range p.fields {
			raw, there := want[fd.name]
			if there && b.slots[i].rank != rankExact {
				t.Fatalf("%s not seen in %q", fd.name, body)
			}
			if s := ""; there && raw[0] == '"' && json.Unmarshal(raw, &s) == nil && clean(b.slots[i].text) != s {
				t.Fatalf("%s is %q, want %q", fd.name, b.slots[i].text, s)
			}
		}
		var req bindRequest
		_ = b.fill(reflect.ValueOf(&req).Elem())
		if !utf8.ValidString(req.Text) {
			t.Fatalf("text is not UTF-8: %q", req.Text)
		}
	})
}

// deep tells whether a body may be refused for its depth.
func deep(body []byte) bool {
	return strings.Count(string(body), "[")+strings.Count(string(body), "{") > maxDepth
}

// FuzzParams feeds whole requests to the binder: nothing may panic.
func FuzzParams(f *testing.F) {
	f.Add("UserId=1&text=a+b", "application/json", []byte(`{"Type":2}`))
	f.Add("", "multipart/form-data; boundary=x", []byte("--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nb\r\n--x--"))
	f.Add("a=%zz", "application/x-www-form-urlencoded", []byte("UserId=1;a"))
	p, err := planOf(reflect.TypeFor[bindRequest]())
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(_ *testing.T, query, contentType string, body []byte) {
		r := &http.Request{
			Method: "POST", URL: &url.URL{Path: "/", RawQuery: query}, Header: http.Header{"Content-Type": {contentType}},
			Body: http.NoBody, ContentLength: int64(len(body)),
		}
		if len(body) > 0 {
			r.Body = httptest.NewRequest("POST", "/", strings.NewReader(string(body))).Body
		}
		b := newBinder(p)
		if readParams(b, httptest.NewRecorder(), r, DefaultMaxBody) == nil {
			var req bindRequest
			_ = b.fill(reflect.ValueOf(&req).Elem())
		}
	})
}
