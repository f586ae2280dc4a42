package web_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestTheFrontPageIsForPeopleAndPrograms(t *testing.T) {
	s := newSite(t)
	w := s.do("GET", "/", "")
	var text string
	if err := json.Unmarshal(w.Body.Bytes(), &text); err != nil || text == "" || w.Header().Get("Content-Type") != "application/json" {
		t.Errorf("program: %q", w.Body)
	}
	w = s.do("GET", "/", "", "Accept", "text/html,application/xhtml+xml")
	for _, want := range []string{"<h1>Test</h1>", `href="/docs"`, "<code>gtiv.example</code>", `lang="en"`} {
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
