package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"gtiv/protocol"
)

// Info heads the OpenAPI document.
type Info struct {
	Title, Version, Description string
	Tags                        []TagInfo // in the order to show them
}

// TagInfo describes a group of calls.
type TagInfo struct{ Name, Description string }

// object is a JSON object that keeps its order: the document is read by people,
// too.
type object []member

type member struct {
	name  string
	value any
}

// write appends the object; each part is encoded once, however deep it lies.
func (o object) write(b *bytes.Buffer) error {
	b.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(quote(m.name) + ":")
		if err := writeValue(b, m.value); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
	}
	b.WriteByte('}')
	return nil
}

func writeValue(b *bytes.Buffer, v any) error {
	switch v := v.(type) {
	case object:
		return v.write(b)
	case []object:
		b.WriteByte('[')
		for i, o := range v {
			if i > 0 {
				b.WriteByte(',')
			}
			if err := o.write(b); err != nil {
				return err
			}
		}
		b.WriteByte(']')
		return nil
	}
	text, err := json.Marshal(v)
	b.Write(text)
	return err
}

// OpenAPI is the OpenAPI 3.1 document of all calls, as JSON.
func (t *Table) OpenAPI(info Info) ([]byte, error) {
	s := &schemas{}
	var tags []object
	for _, tag := range info.Tags {
		tags = append(tags, object{{"name", tag.Name}, {"description", tag.Description}})
	}
	paths := t.openPaths(s)
	doc := object{
		{"openapi", "3.1.0"},
		{"info", object{
			{"title", info.Title}, {"version", info.Version}, {"description", info.Description},
		}},
		{"servers", []object{{{"url", "/"}}}},
		{"tags", tags},
		{"paths", paths},
		{"components", object{
			{"schemas", s.list},
			{"securitySchemes", object{{"token", object{
				{"type", "apiKey"}, {"in", "header"}, {"name", "Authorization"},
				{"description", "The token that logging in or registering answered, as it is."},
			}}}},
		}},
	}
	var compact, indented bytes.Buffer
	if err := doc.write(&compact); err != nil {
		return nil, fmt.Errorf("write openapi: %w", err)
	}
	if err := json.Indent(&indented, compact.Bytes(), "", " "); err != nil {
		return nil, fmt.Errorf("write openapi: %w", err)
	}
	return indented.Bytes(), nil
}

// openPaths groups the calls and their aliases by path.
func (t *Table) openPaths(s *schemas) object {
	type op struct {
		Endpoint
		route *Route
		alias bool
	}
	var ops []op
	for i := range t.routes {
		for n, e := range t.routes[i].endpoints() {
			ops = append(ops, op{e, &t.routes[i], n > 0})
		}
	}
	slices.SortFunc(ops, func(a, b op) int { return strings.Compare(a.Path+" "+a.Method, b.Path+" "+b.Method) })
	var paths object
	for _, o := range ops {
		if len(paths) == 0 || paths[len(paths)-1].name != o.Path {
			paths = append(paths, member{o.Path, object{}})
		}
		last := &paths[len(paths)-1]
		last.value = append(last.value.(object), member{strings.ToLower(o.Method), o.route.operation(s, o.Endpoint, o.alias)})
	}
	return paths
}

func (r *Route) operation(s *schemas, e Endpoint, alias bool) object {
	o := object{{"operationId", operationID(e)}, {"summary", r.Summary}}
	if text := r.description(alias); text != "" {
		o = append(o, member{"description", text})
	}
	if r.Tag != "" {
		o = append(o, member{"tags", []string{r.Tag}})
	}
	if alias {
		o = append(o, member{"deprecated", true})
	}
	o = append(o, member{"security", security(r.Who)})
	switch {
	case len(r.request.fields) == 0:
	case e.Method == "POST":
		o = append(o, member{"requestBody", r.requestBody(s)})
	default:
		o = append(o, member{"parameters", r.queryParameters()})
	}
	return append(o, member{"responses", r.responses(s)})
}

func (r *Route) description(alias bool) string {
	var parts []string
	if r.About != "" {
		parts = append(parts, r.About)
	}
	if alias {
		parts = append(parts, "The same as "+r.Method+" "+r.Path+".")
	}
	if r.Always200 {
		parts = append(parts, "Failures are answered with status 200 and the full reply, too: look at ApiCode.")
	}
	switch r.Who {
	case Guest:
		parts = append(parts, "The token is optional; one that is not valid counts as none.")
	case Admin:
		parts = append(parts, "For administrators only.")
	}
	return strings.Join(parts, "\n\n")
}

// operationID is unique and speakable: GET /user/video-master-info becomes
// getUserVideoMasterInfo.
func operationID(e Endpoint) string {
	id := strings.ToLower(e.Method)
	for word := range strings.FieldsFuncSeq(e.Path, func(c rune) bool { return c == '/' || c == '-' || c == '_' }) {
		id += strings.ToUpper(word[:1]) + word[1:]
	}
	return id
}

func security(w Who) any {
	token := object{{"token", []string{}}}
	switch w {
	case Anyone:
		return []object{}
	case Guest:
		return []object{{}, token}
	}
	return []object{token}
}

func (r *Route) queryParameters() []object {
	var list []object
	for i := range r.request.fields {
		f := &r.request.fields[i]
		p := object{{"name", f.name}, {"in", "query"}, {"required", f.required}}
		if f.doc != "" {
			p = append(p, member{"description", f.doc})
		}
		list = append(list, append(p, member{"schema", f.schema()}))
	}
	return list
}

func (r *Route) requestBody(s *schemas) object {
	ref := object{{"schema", s.request(r.request)}}
	if r.upload != nil {
		file := object{
			{"type", "object"}, {"required", []string{fileField}},
			{"properties", object{{fileField, object{{"type", "string"}, {"format", "binary"}}}}},
		}
		return object{
			{"required", true},
			{"content", object{{"multipart/form-data", object{{"schema", object{{"allOf", []object{s.request(r.request), file}}}}}}}},
		}
	}
	required := slices.ContainsFunc(r.request.fields, func(f field) bool { return f.required })
	return object{
		{"required", required},
		{"content", object{{"application/json", ref}, {"application/x-www-form-urlencoded", ref}}},
	}
}

// responses lists the reply, and behind it the statuses of failures.
func (r *Route) responses(s *schemas) object {
	content := object{{"application/json", object{{"schema", s.reply(r.reply.typ)}}}}
	if r.produces != "" {
		content = object{{r.produces, object{{"schema", object{{"type", "string"}, {"format", "binary"}}}}}}
	}
	byStatus := map[int][]string{}
	for _, c := range r.codes() {
		byStatus[c.Status] = append(byStatus[c.Status], fmt.Sprintf("%d: %s", c.Code, c.Meaning))
	}
	text := "ApiCode 0: success."
	if r.Always200 {
		text = strings.Join(append([]string{text}, byStatus[200]...), "\n\n")
	}
	list := object{{"200", object{{"description", text}, {"content", content}}}}
	if r.Always200 {
		return list
	}
	head := object{{"application/json", object{{"schema", s.reply(reflect.TypeFor[protocol.HeadReply]())}}}}
	for status := 400; status < 600; status++ {
		if texts := byStatus[status]; len(texts) > 0 {
			list = append(list, member{strconv.Itoa(status), object{
				{"description", "ApiCode " + strings.Join(texts, "\n\n")}, {"content", head},
			}})
		}
	}
	return list
}

// schema is the JSON Schema of a parameter.
func (f *field) schema() object {
	o := scalar(f.kind, f.bits)
	if len(f.enum) > 0 {
		o = append(o, member{"enum", f.enum})
	}
	if f.example != "" {
		o = append(o, member{"examples", []any{json.RawMessage(literal(f.typeName(), f.example))}})
	}
	return o
}

func scalar(k reflect.Kind, bits int) object {
	switch k {
	case reflect.String:
		return object{{"type", "string"}}
	case reflect.Bool:
		return object{{"type", "boolean"}}
	}
	return object{{"type", "integer"}, {"format", "int" + strconv.Itoa(bits)}}
}

// schemas collects the named schemas, each once.
type schemas struct{ list object }

func (s *schemas) add(name string, make func() object) object {
	ref := object{{"$ref", "#/components/schemas/" + name}}
	if slices.ContainsFunc(s.list, func(m member) bool { return m.name == name }) {
		return ref
	}
	s.list = append(s.list, member{name, nil}) // holds the place while its fields are added
	i := len(s.list) - 1
	s.list[i].value = make()
	return ref
}

func (s *schemas) request(p *plan) object {
	return s.add(p.name, func() object {
		var props object
		var required []string
		for i := range p.fields {
			f := &p.fields[i]
			o := f.schema()
			if f.doc != "" {
				o = append(o, member{"description", f.doc})
			}
			props = append(props, member{f.name, o})
			if f.required {
				required = append(required, f.name)
			}
		}
		return objectSchema(props, required)
	})
}

func (s *schemas) reply(t reflect.Type) object {
	return s.add(t.Name(), func() object {
		var props object
		var required []string
		for _, f := range replyFields(t) {
			o := s.value(f.typ)
			if f.Doc != "" {
				o = append(slices.Clone(o), member{"description", f.Doc})
			}
			props = append(props, member{f.Name, o})
			if !f.Optional {
				required = append(required, f.Name)
			}
		}
		return objectSchema(props, required)
	})
}

func (s *schemas) value(t reflect.Type) object {
	switch t.Kind() {
	case reflect.Pointer:
		return s.value(t.Elem())
	case reflect.Slice:
		return object{{"type", "array"}, {"items", s.value(t.Elem())}}
	case reflect.Struct:
		return s.reply(t)
	}
	bits := 0
	if t.Kind() != reflect.String && t.Kind() != reflect.Bool {
		bits = t.Bits()
	}
	return scalar(t.Kind(), bits)
}

func objectSchema(props object, required []string) object {
	o := object{{"type", "object"}, {"properties", props}}
	if len(required) > 0 {
		o = append(o, member{"required", required})
	}
	return o
}
