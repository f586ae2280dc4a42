package web_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"gtiv/daemon/web/api"
)

// contractField and contractEntry are the form of the contract's endpoints.json.
type contractField struct {
	Name, Type string
	In         string
	Required   bool
	Nested     []contractField
}

type contractEntry struct {
	Method, Path  string
	Auth          bool
	ClientCalls   bool `json:"client_calls"`
	BackendServes bool `json:"backend_serves"`
	Params        []contractField
	Response      []contractField
}

func (e contractEntry) key() string { return e.Method + " " + e.Path }

// bare are the entries whose reply is no object in the original; no client calls
// them, and ours is an object (wire.md 5).
const bare = "(body)"

// optional are reply fields that are missing on purpose, with the reason.
var optional = map[string]string{
	"Userinfo": "only on success: with it, register would store a profile after a failure (wire.md 2.3)",
}

func contract(t *testing.T) []contractEntry {
	t.Helper()
	b, err := os.ReadFile("testdata/endpoints.json")
	if err != nil {
		t.Fatal(err)
	}
	var list []contractEntry
	if err := json.Unmarshal(b, &list); err != nil {
		t.Fatal(err)
	}
	if len(list) < 60 {
		t.Fatalf("only %d entries", len(list))
	}
	return slices.DeleteFunc(list, func(e contractEntry) bool { return !e.ClientCalls && !e.BackendServes })
}

func TestTheCopyOfTheContractIsCurrent(t *testing.T) {
	original, err := os.ReadFile("../../../shared/contract/endpoints.json")
	if err != nil {
		t.Skip("the contract itself is not here")
	}
	ours, err := os.ReadFile("testdata/endpoints.json")
	if err != nil || !bytes.Equal(original, ours) {
		t.Error("testdata/endpoints.json differs from the contract")
	}
}

// built lists our calls by method and path, aliases included.
func built(s *site) map[string]api.Description {
	m := map[string]api.Description{}
	for _, d := range s.Calls() {
		m[d.Method+" "+d.Path] = d
		for _, a := range d.Aliases {
			m[a.Method+" "+a.Path] = d
		}
	}
	return m
}

func TestEveryContractEntryIsBuilt(t *testing.T) {
	have := built(newSite(t))
	for _, e := range contract(t) {
		if _, ok := have[e.key()]; !ok {
			t.Errorf("%s is not built", e.key())
		}
	}
}

func TestDeclarationsFitTheContract(t *testing.T) {
	have := built(newSite(t))
	for _, e := range contract(t) {
		d, ok := have[e.key()]
		if !ok {
			continue
		}
		if needs := d.Who == api.User || d.Who == api.Admin; needs != e.Auth {
			t.Errorf("%s: who may call is %s, the contract says auth %v", e.key(), d.Who, e.Auth)
		}
		for _, p := range e.Params {
			i := slices.IndexFunc(d.Parameters, func(q api.Parameter) bool { return q.Name == p.Name })
			if i < 0 {
				t.Errorf("%s: no parameter %s", e.key(), p.Name)
			} else if d.Parameters[i].Required && !p.Required {
				t.Errorf("%s: parameter %s must not be required", e.key(), p.Name)
			}
		}
		for _, problem := range compareFields(e.Response, d.Reply) {
			t.Errorf("%s: %s", e.key(), problem)
		}
	}
}

// compareFields checks that every field of the contract is declared with its
// type. More fields are allowed.
func compareFields(want []contractField, have []api.ReplyField) (problems []string) {
	for _, f := range want {
		if f.Name == bare {
			continue
		}
		i := slices.IndexFunc(have, func(h api.ReplyField) bool { return h.Name == f.Name })
		if i < 0 {
			problems = append(problems, "no field "+f.Name)
			continue
		}
		h := have[i]
		if h.Optional && optional[f.Name] == "" {
			problems = append(problems, f.Name+" may be missing")
		}
		if typ := contractType(f); typ != h.Type {
			problems = append(problems, fmt.Sprintf("%s is %s, want %s", f.Name, h.Type, typ))
		}
		if len(f.Nested) > 0 && f.Nested[0].Name != "(item)" {
			for _, p := range compareFields(f.Nested, h.Fields) {
				problems = append(problems, f.Name+"."+p)
			}
		}
	}
	return problems
}

func contractType(f contractField) string {
	names := map[string]string{"int": "integer", "bool": "boolean"}
	switch {
	case f.Type == "array" && f.Nested[0].Name == "(item)":
		return "array of " + contractType(f.Nested[0])
	case f.Type == "array":
		return "array of object"
	case names[f.Type] != "":
		return names[f.Type]
	}
	return f.Type
}

// sampleValues are what the calls are made with.
var sampleValues = map[string]string{
	"UserId": "10002", "userId": "10001", "ToUsers": "10002", "User": "10002", "RoomId": "1000000001", "UserIds": "10002",
	"Type": "1", "TelCode": "86", "Tel": "138", "VerifyCode": "123456", "LastMessageTime": "0", "videoId": "1", "page": "1", "action": "1",
	"Page": "1", "Rows": "15", "Field": "nickname", "Avatar": "file:///sdcard/a.jpg",
}

func valueOf(name string) string {
	if v := sampleValues[name]; v != "" {
		return v
	}
	return "text"
}

// request writes the contract's parameters in one of the ways a client may:
// query, form, JSON with strings, JSON with numbers.
func request(e contractEntry, way string) (target, body, contentType string) {
	values, object := url.Values{}, map[string]any{}
	for _, p := range e.Params {
		v := valueOf(p.Name)
		values.Set(p.Name, v)
		object[p.Name] = v
		if way == "numbers" && strings.Trim(v, "0123456789") == "" {
			object[p.Name] = json.Number(v)
		}
	}
	switch way {
	case "query":
		return e.Path + "?" + values.Encode(), "", ""
	case "form":
		return e.Path, values.Encode(), "application/x-www-form-urlencoded"
	}
	b, _ := json.Marshal(object) //nolint:errchkjson // strings and numbers
	return e.Path, string(b), "application/json"
}

// multipartOf is the one way of a call with a file.
func multipartOf(t *testing.T, e contractEntry) (body, contentType string) {
	t.Helper()
	var fields []string
	for _, p := range e.Params {
		switch p.Name {
		case "file":
			fields = append(fields, p.Name, "@content")
		case "obsDir":
			fields = append(fields, p.Name, "2026/00112233445566778899aabbccddeeff00112233")
		default:
			fields = append(fields, p.Name, valueOf(p.Name))
		}
	}
	return form(t, fields...)
}

func TestEveryBuiltEntryAnswersAsTheContractSays(t *testing.T) {
	s := newSite(t)
	have := built(s)
	for _, e := range contract(t) {
		if _, ok := have[e.key()]; !ok {
			continue
		}
		for _, way := range []string{"query", "form", "strings", "numbers"} {
			target, body, contentType := request(e, way)
			if slices.ContainsFunc(e.Params, func(p contractField) bool { return p.Type == "file" }) {
				target = e.Path
				body, contentType = multipartOf(t, e)
			}
			w := s.do(e.Method, target, body, "Content-Type", contentType)
			rep := object(t, w)
			if w.Code != 200 || rep["ApiCode"] != 0.0 {
				t.Errorf("%s by %s: %d %s", e.key(), way, w.Code, w.Body)
				continue
			}
			for _, problem := range compareJSON(e.Response, rep) {
				t.Errorf("%s by %s: %s in %s", e.key(), way, problem, w.Body)
			}
		}
	}
}

// compareJSON checks an answer itself.
func compareJSON(want []contractField, have map[string]any) (problems []string) {
	for _, f := range want {
		if f.Name == bare {
			continue
		}
		v, there := have[f.Name]
		if !there || v == nil {
			problems = append(problems, f.Name+" is missing or null")
			continue
		}
		got := jsonType(v)
		if got != f.Type {
			problems = append(problems, fmt.Sprintf("%s is %s, want %s", f.Name, got, f.Type))
			continue
		}
		items := []any{v}
		if list, ok := v.([]any); ok {
			items = list
		}
		for _, item := range items {
			if o, ok := item.(map[string]any); ok {
				problems = append(problems, compareJSON(f.Nested, o)...)
			} else if f.Type == "array" && jsonType(item) != f.Nested[0].Type {
				problems = append(problems, f.Name+" has items of type "+jsonType(item))
			}
		}
	}
	return problems
}

func jsonType(v any) string {
	switch v.(type) {
	case string:
		return "string"
	case float64:
		return "int"
	case bool:
		return "bool"
	case []any:
		return "array"
	case map[string]any:
		return "object"
	}
	return "null"
}

func TestCallsAreSortedAndLowerCase(t *testing.T) {
	calls := newSite(t).Calls()
	for i, d := range calls {
		if d.Path != strings.ToLower(d.Path) || d.Summary == "" || d.Tag == "" {
			t.Errorf("%s %s: %+v", d.Method, d.Path, d)
		}
		if i > 0 && calls[i-1].Path+" "+calls[i-1].Method >= d.Path+" "+d.Method {
			t.Errorf("%s %s is out of order or twice", d.Method, d.Path)
		}
	}
}

// always200 are the rows of wire.md 2.4 that have "crash" or "stuck" in either
// column, and login.
var always200 = []string{
	"GET /contacts/list", "GET /live/list", "GET /obstore/client_token", "GET /room/list", "GET /room/member_info",
	"GET /room/member_list", "GET /user/collect-videos", "GET /user/creation-videos", "GET /user/fans-list",
	"GET /user/follow-list", "GET /user/support-list", "GET /user/support-videos", "GET /user/video-master-info",
	"GET /video/home", "GET /video/info", "POST /room/invite", "POST /room/modify_avatar", "POST /user/login",
	"POST /user/register-by-username", "POST /user/search",
}

func TestTheRowsThatAlwaysAnswer200(t *testing.T) {
	var have []string
	for _, d := range newSite(t).Calls() {
		if d.Always200 {
			have = append(have, d.Method+" "+d.Path)
		}
	}
	slices.Sort(have)
	if !slices.Equal(have, always200) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(have, "\n"), strings.Join(always200, "\n"))
	}
}

// trouble is everything that can go wrong with a call.
var trouble = []struct {
	name    string
	prepare func(*fakes)
	send    func(s *site, e contractEntry) *httptest.ResponseRecorder
}{
	{"no token", nil, func(s *site, e contractEntry) *httptest.ResponseRecorder { return s.sample(e, "Authorization", "") }},
	{"garbage token", nil, func(s *site, e contractEntry) *httptest.ResponseRecorder {
		return s.sample(e, "Authorization", "\x01😀 garbage")
	}},
	{"revoked token", nil, func(s *site, e contractEntry) *httptest.ResponseRecorder {
		return s.sample(e, "Authorization", "revoked")
	}},
	{"garbage body", nil, func(s *site, e contractEntry) *httptest.ResponseRecorder {
		return s.do(e.Method, e.Path, "\x00{{{", "Content-Type", "application/json")
	}},
	{"garbage query", nil, func(s *site, e contractEntry) *httptest.ResponseRecorder {
		return s.do(e.Method, e.Path+"?UserId=x&RoomId=[]&page=-9&videoId=1e99&%61=%00", "")
	}},
	{"missing parameters", nil, func(s *site, e contractEntry) *httptest.ResponseRecorder { return s.do(e.Method, e.Path, "") }},
	{"large body", nil, func(s *site, e contractEntry) *httptest.ResponseRecorder {
		return s.do(e.Method, e.Path, strings.Repeat("a=b&", 1<<15), "Content-Type", "application/x-www-form-urlencoded")
	}},
	{"internal error", func(f *fakes) { f.err = errInternal }, func(s *site, e contractEntry) *httptest.ResponseRecorder { return s.sample(e) }},
	{"refused", func(f *fakes) { f.err = errRefused }, func(s *site, e contractEntry) *httptest.ResponseRecorder { return s.sample(e) }},
	{"rate limited", func(f *fakes) { f.err = errTooOften }, func(s *site, e contractEntry) *httptest.ResponseRecorder { return s.sample(e) }},
	{"a bug", func(f *fakes) { f.panics = true }, func(s *site, e contractEntry) *httptest.ResponseRecorder { return s.sample(e) }},
}

// sample makes a good request.
func (s *site) sample(e contractEntry, headers ...string) *httptest.ResponseRecorder {
	target, body, contentType := request(e, map[string]string{"POST": "strings"}[e.Method])
	if e.Method != "POST" {
		target, body, contentType = request(e, "query")
	}
	return s.do(e.Method, target, body, append([]string{"Content-Type", contentType}, headers...)...)
}

func TestWhateverIsWrongTheseRowsAnswer200AndTheFullShape(t *testing.T) {
	for _, tr := range trouble {
		s := newSite(t)
		if tr.prepare != nil {
			tr.prepare(s.fakes)
		}
		for _, e := range contract(t) {
			if slices.Contains(always200, e.key()) {
				checkFull(t, tr.name, e, tr.send(s, e))
			}
		}
	}
}

func TestOverloadedTheseRowsAnswer200AndTheFullShape(t *testing.T) {
	s := newOverloaded(t)
	for _, e := range contract(t) {
		if slices.Contains(always200, e.key()) {
			checkFull(t, "overloaded", e, s.sample(e))
		}
	}
	if w := s.do("GET", "/user/info", ""); w.Code != 503 {
		t.Errorf("an ordinary call: %d", w.Code)
	}
	if w := s.do("POST", "/imlogic/check-online", ""); w.Code != 200 || object(t, w)["Online"] != true {
		t.Errorf("check-online, on which every phone would reconnect: %d %s", w.Code, w.Body)
	}
}

func checkFull(t *testing.T, what string, e contractEntry, w *httptest.ResponseRecorder) {
	t.Helper()
	rep := object(t, w)
	if w.Code != 200 || strings.Contains(w.Body.String(), "null") {
		t.Errorf("%s, %s: %d %s", e.key(), what, w.Code, w.Body)
	}
	if msg := rep["ApiMessage"]; msg == "" {
		t.Errorf("%s, %s: no text: %s", e.key(), what, w.Body)
	}
	want := slices.DeleteFunc(slices.Clone(e.Response), func(f contractField) bool {
		_, may := optional[f.Name]
		return may && rep["ApiCode"] != 0.0
	})
	for _, problem := range compareJSON(want, rep) {
		t.Errorf("%s, %s: %s in %s", e.key(), what, problem, w.Body)
	}
	apiCode := rep["ApiCode"]
	switch e.key() {
	case "POST /user/register-by-username":
		if _, profile := rep["Userinfo"]; (apiCode != 0.0 && apiCode != 1.0) || profile != (apiCode == 0.0) {
			t.Errorf("register, %s: %s", what, w.Body)
		}
	case "GET /video/home":
		if list, _ := rep["List"].([]any); len(list) == 0 || apiCode != 0.0 {
			t.Errorf("home, %s: the app stays on its splash screen: %s", what, w.Body)
		}
	}
}
