package web_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gtiv/daemon/web"
)

func TestTheFrontPageIsForPeopleAndPrograms(t *testing.T) {
	s := newSite(t)
	w := s.do("GET", "/", "")
	var text string
	if err := json.Unmarshal(w.Body.Bytes(), &text); err != nil || text == "" || w.Header().Get("Content-Type") != "application/json" {
		t.Errorf("program: %q", w.Body)
	}
	w = s.do("GET", "/", "", "Accept", "text/html,application/xhtml+xml")
	for _, want := range []string{"<h1>Test</h1>", `href="/docs"`, `href="video/"`, "<code>gtiv.example</code>", `lang="en"`} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("no %s in %s", want, w.Body)
		}
	}
	if w = s.do("GET", "/", "", "Accept", "text/html", "LanguageCode", "zh"); !strings.Contains(w.Body.String(), "服务器") {
		t.Error("not in Chinese")
	}
}

// loads is what a page would need to load, or run, anything.
var loads = regexp.MustCompile(`(?i)<script|<link|<img|<iframe| style=| on\w+=|(href|src)="?https?://|url\(|@import`)

func TestPagesLoadNothingFromAnywhere(t *testing.T) {
	s := newSite(t)
	for _, target := range []string{"/", "/docs", "/nowhere"} {
		w := s.do("GET", target, "", "Accept", "text/html")
		body := w.Body.String()
		csp := w.Header().Get("Content-Security-Policy")
		if !strings.HasPrefix(csp, "default-src 'none'; style-src 'sha256-") || strings.Contains(csp, "unsafe") {
			t.Errorf("%s: policy %q", target, csp)
		}
		if found := loads.FindString(body); found != "" {
			t.Errorf("%s loads something: %s", target, found)
		}
		if !strings.Contains(body, `name="viewport"`) || !strings.Contains(body, "prefers-color-scheme") || !strings.Contains(body, "<!doctype html>") {
			t.Errorf("%s: not for phones or the dark", target)
		}
	}
}

func TestThePageForVideosIsServed(t *testing.T) {
	s := newSite(t)
	w := s.do("GET", "/video/", "")
	h := w.Header()
	want := "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self' ws://gtiv.example:2015 wss://gtiv.example:2015; img-src 'self'; media-src 'self' blob:; base-uri 'none'; " +
		"form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
	if w.Code != 200 || h.Get("Content-Security-Policy") != want || h.Get("Referrer-Policy") != "no-referrer" ||
		h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Content-Type") != "text/html; charset=utf-8" || h.Get("Cache-Control") != "no-cache" {
		t.Errorf("%d %v", w.Code, h)
	}
	// Everything that it names is there, small on the wire and known again.
	names := regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllStringSubmatch(w.Body.String(), -1)
	if len(names) < 4 {
		t.Errorf("names %v", names)
	}
	for _, m := range append(names, []string{"", ""}) {
		at := "/video/" + m[1]
		if shared, ok := strings.CutPrefix(m[1], "../"); ok {
			at = "/" + shared
		}
		plain, packed := s.do("GET", at, ""), s.do("GET", at, "", "Accept-Encoding", "deflate, gzip")
		zipped, err := gzip.NewReader(packed.Body)
		if err != nil {
			t.Fatalf("%s: %d %v", at, packed.Code, err)
		}
		if body, err := io.ReadAll(zipped); err != nil || plain.Code != 200 || !bytes.Equal(body, plain.Body.Bytes()) || len(body) == 0 {
			t.Errorf("%s: %d, %v", at, plain.Code, err)
		}
		etag := packed.Header().Get("Etag")
		if again := s.do("GET", at, "", "Accept-Encoding", "gzip", "If-None-Match", etag); again.Code != 304 || again.Body.Len() != 0 || etag == plain.Header().Get("Etag") {
			t.Errorf("%s unchanged: %d, etags %s %s", at, again.Code, etag, plain.Header().Get("Etag"))
		}
		cache := "no-cache"
		if strings.Contains(m[1], "hls-") {
			cache = "public, max-age=31536000, immutable"
		}
		if got := plain.Header().Get("Cache-Control"); got != cache {
			t.Errorf("%s: cache %q", at, got)
		}
		if w := s.do("HEAD", at, ""); w.Code != 200 || w.Body.Len() != 0 {
			t.Errorf("HEAD %s: %d", at, w.Code)
		}
	}
	if w := s.do("GET", "/video", ""); w.Code != 308 || w.Header().Get("Location") != "video/" {
		t.Errorf("without the slash: %d %s", w.Code, w.Header().Get("Location"))
	}
	for _, at := range []string{"/video/index.html", "/video/nothing.js", "/video/../video/app.go"} {
		if w := s.do("GET", at, ""); w.Code == 200 {
			t.Errorf("%s: %d", at, w.Code)
		}
	}
	// Media of a public address elsewhere are allowed, and only those.
	if err := s.SetSite(web.Site{PublicURL: "https://v.example/gtiv"}); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"connect-src 'self' https://v.example ws://gtiv.example:2015", "img-src 'self' https://v.example;", "media-src 'self' blob: https://v.example;", "script-src 'self';"} {
		if csp := s.do("GET", "/video/", "").Header().Get("Content-Security-Policy"); !strings.Contains(csp, part) {
			t.Errorf("no %q in %q", part, csp)
		}
	}
}

func TestThePagesOfLiveRoomsAreServed(t *testing.T) {
	s := newSite(t)
	for at, up := range map[string]string{"/live/": "./", "/live/1000000001/": "../", "/live/a.token-of_some/1000000001/": "../../"} {
		w := s.do("GET", at, "")
		csp := w.Header().Get("Content-Security-Policy")
		if w.Code != 200 || w.Header().Get("Content-Type") != "text/html; charset=utf-8" || !strings.Contains(csp, "script-src 'self';") || strings.Contains(csp, "worker") {
			t.Errorf("%s: %d %v", at, w.Code, w.Header())
		}
		names := regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllStringSubmatch(w.Body.String(), -1)
		if len(names) < 6 {
			t.Errorf("%s names %v", at, names)
		}
		for _, m := range names {
			if !strings.HasPrefix(m[1], up) {
				t.Errorf("%s names %s", at, m[1])
			}
			if file := s.do("GET", path.Join(at, m[1]), ""); file.Code != 200 || strings.HasPrefix(file.Header().Get("Content-Type"), "text/html") {
				t.Errorf("%s in %s: %d", m[1], at, file.Code)
			}
		}
	}
	for at, to := range map[string]string{"/live": "live/", "/live/1000000001": "1000000001/", "/live/tok/1000000001": "1000000001/"} {
		if w := s.do("GET", at, ""); w.Code != 308 || w.Header().Get("Location") != to {
			t.Errorf("%s: %d %s", at, w.Code, w.Header().Get("Location"))
		}
	}
	for _, at := range []string{
		"/live/_/", "/live/_/index.html", "/live/_/nothing.js", "/live/x/", "/live/0/", "/live/1/2/3/", "/live/12345678901/", "/live/1000000001.flv",
		"/live/tok/1000000001.flv", "/live/1000000001/index.m3u8", "/common/base.go", "/common/",
	} {
		if w := s.do("GET", at, ""); w.Code != 404 || w.Header().Get("Location") != "" {
			t.Errorf("%s: %d", at, w.Code)
		}
	}
	if w := s.do("POST", "/live/1000000001/", ""); w.Code != 404 {
		t.Errorf("POST: %d", w.Code)
	}
}

// wordsOf finds the words that a page has in English; each must have a Chinese one.
func wordsOf(t *testing.T, file string) map[string]bool {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	en, zh, _ := strings.Cut(string(b), "zh: {")
	for _, m := range regexp.MustCompile(`(\w+): "`).FindAllStringSubmatch(en, -1) {
		known[m[1]] = true
		if !regexp.MustCompile(`\b` + m[1] + `: "`).MatchString(zh) {
			t.Errorf("%s: no Chinese word for %s", file, m[1])
		}
	}
	return known
}

// The scripts of the pages never make markup of texts, nor do they name other hosts.
func TestThePagesWithScriptsAreCareful(t *testing.T) {
	careless := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacent|document\.write|\beval\(|new Function|https?://|setAttribute\("style"| style="| on\w+="`)
	words := regexp.MustCompile(`(?:^|[^.\w])(?:t|field|item|sideButton|toggle|iconButton)\("(\w+)"[,)]`)
	svg := "http://www.w3.org/2000/svg" // a name, not an address
	common := wordsOf(t, "pages/common/text.js")
	for folder, least := range map[string]int{"common": 5, "video": 7, "live": 7} {
		files, err := filepath.Glob("pages/" + folder + "/*")
		if err != nil || len(files) < least {
			t.Fatal(files, err)
		}
		known := maps.Clone(common)
		if folder != "common" {
			maps.Copy(known, wordsOf(t, "pages/"+folder+"/text.js"))
		}
		for _, file := range files {
			if strings.Contains(file, "hls") || strings.Contains(file, "mpegts") {
				continue // others'
			}
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if text := strings.ReplaceAll(string(b), svg, ""); careless.MatchString(text) {
				t.Errorf("%s: %s", file, careless.FindString(text))
			}
			for _, m := range words.FindAllStringSubmatch(string(b), -1) {
				if strings.HasSuffix(file, ".js") && !known[m[1]] {
					t.Errorf("%s: there is no word %s", file, m[1])
				}
			}
		}
	}
}

func TestTheDocumentationHasEveryCall(t *testing.T) {
	s := newSite(t)
	w := s.do("GET", "/docs", "")
	body := w.Body.String()
	for _, d := range s.Calls() {
		if !strings.Contains(body, "<code>"+d.Path+"</code> <span class=\"dim\">"+htmlText(d.Summary)) {
			t.Errorf("%s %s is missing", d.Method, d.Path)
		}
		for _, p := range d.Parameters {
			if p.Doc != "" && !strings.Contains(body, htmlText(p.Doc)) {
				t.Errorf("%s: %s is not explained", d.Path, p.Name)
			}
		}
	}
	if again := s.do("GET", "/docs", "", "If-None-Match", w.Header().Get("Etag")); again.Code != 304 || again.Body.Len() != 0 {
		t.Errorf("unchanged: %d", again.Code)
	}
}

func htmlText(s string) string {
	return strings.NewReplacer("&", "&amp;", "'", "&#39;", `"`, "&#34;", "<", "&lt;", ">", "&gt;", "+", "&#43;").Replace(s)
}

// TestOpenAPIIsSound checks the structure that OpenAPI 3.1 asks for: what a
// validator would find in a document of this kind.
func TestOpenAPIIsSound(t *testing.T) {
	s := newSite(t)
	doc := object(t, s.do("GET", "/openapi.json", ""))
	info := part(t, doc, "info")
	if doc["openapi"] != "3.1.0" || info["title"] != "Test" || info["version"] != "1.0" {
		t.Errorf("%v %v", doc["openapi"], info)
	}
	tags := map[any]bool{}
	for _, tag := range doc["tags"].([]any) {
		tags[tag.(map[string]any)["name"]] = true
	}
	schemas := part(t, doc, "components", "schemas")
	ids, n := map[any]bool{}, 0
	for path, item := range part(t, doc, "paths") {
		for method, v := range item.(map[string]any) {
			n++
			op := v.(map[string]any)
			where := method + " " + path
			if !slices.Contains([]string{"get", "post", "delete"}, method) || !strings.HasPrefix(path, "/") {
				t.Errorf("%s: no method or path", where)
			}
			if op["operationId"] == "" || ids[op["operationId"]] || op["summary"] == "" || op["security"] == nil {
				t.Errorf("%s: %v", where, op)
			}
			ids[op["operationId"]] = true
			for _, tag := range op["tags"].([]any) {
				if !tags[tag] {
					t.Errorf("%s: tag %v is not declared", where, tag)
				}
			}
			checkOperation(t, where, method, op)
		}
	}
	want := 0
	for _, d := range s.Calls() {
		want += 1 + len(d.Aliases)
	}
	if n != want {
		t.Errorf("%d operations, want %d", n, want)
	}
	checkSchemas(t, doc, schemas)
}

func checkOperation(t *testing.T, where, method string, op map[string]any) {
	t.Helper()
	if params, ok := op["parameters"].([]any); ok {
		if method == "post" {
			t.Errorf("%s: parameters in the query", where)
		}
		for _, p := range params {
			p := p.(map[string]any)
			if p["in"] != "query" || p["name"] == "" || p["schema"] == nil {
				t.Errorf("%s: parameter %v", where, p)
			}
		}
	}
	if body, ok := op["requestBody"].(map[string]any); ok {
		content := part(t, body, "content")
		files := strings.Contains(fmt.Sprint(content["multipart/form-data"]), "format:binary")
		if !files && (content["application/json"] == nil || content["application/x-www-form-urlencoded"] == nil) {
			t.Errorf("%s: body %v", where, body)
		}
	}
	responses := part(t, op, "responses")
	if responses["200"] == nil {
		t.Errorf("%s: no reply", where)
	}
	for status, r := range responses {
		r := r.(map[string]any)
		if !regexp.MustCompile(`^[1-5]\d\d$`).MatchString(status) || r["description"] == "" || r["content"] == nil {
			t.Errorf("%s: response %s %v", where, status, r)
		}
	}
}

// checkSchemas checks that every reference leads somewhere, every schema is
// used, and types are those of JSON Schema.
func checkSchemas(t *testing.T, doc any, schemas map[string]any) {
	t.Helper()
	used := map[string]bool{}
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, item := range v {
				walk(item)
			}
		case map[string]any:
			if ref, ok := v["$ref"].(string); ok {
				name := strings.TrimPrefix(ref, "#/components/schemas/")
				if schemas[name] == nil {
					t.Errorf("%s leads nowhere", ref)
				}
				used[name] = true
			}
			if props, ok := v["properties"].(map[string]any); ok {
				required, _ := v["required"].([]any)
				for _, name := range required {
					if props[name.(string)] == nil {
						t.Errorf("%v is required and not declared", name)
					}
				}
			}
			for _, item := range v {
				walk(item)
			}
		}
	}
	walk(doc)
	for name, v := range schemas {
		if !used[name] {
			t.Errorf("schema %s is not used", name)
		}
		for field, f := range part(t, v.(map[string]any), "properties") {
			f := f.(map[string]any)
			if typ, _ := f["type"].(string); f["$ref"] == nil && !slices.Contains([]string{"string", "integer", "boolean", "array", "object"}, typ) {
				t.Errorf("%s.%s: type %v", name, field, f["type"])
			}
		}
	}
}

func part(t *testing.T, v map[string]any, path ...string) map[string]any {
	t.Helper()
	for _, name := range path {
		next, ok := v[name].(map[string]any)
		if !ok {
			t.Fatalf("no object %s", name)
		}
		v = next
	}
	return v
}
