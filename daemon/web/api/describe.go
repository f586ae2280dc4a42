package api

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"

	"gtiv/protocol"
)

// Description is a declared call as people read it.
type Description struct {
	Method, Path string
	Aliases      []Endpoint
	Summary      string
	About        string
	Tag          string
	Who          Who
	Always200    bool
	Parameters   []Parameter
	Reply        []ReplyField
	Produces     string // content type of a call that answers no JSON, else ""
	Upload       bool   // the body is multipart/form-data with a file
	Codes        []CodeMeaning
	Curl         string
	ReplyExample string
	RequestName  string // of the Go type, for OpenAPI
	ReplyName    string
}

// Parameter is one field of a request.
type Parameter struct {
	Name, Type, Doc, Example string
	Required                 bool
	Enum                     []string
}

// CodeMeaning is a business code with its meaning and the HTTP status it comes
// with.
type CodeMeaning struct {
	Code    protocol.Code
	Status  int
	Meaning string
}

// Descriptions lists all calls as they were declared.
func (t *Table) Descriptions() []Description {
	list := make([]Description, 0, len(t.routes))
	for i := range t.routes {
		list = append(list, t.routes[i].describe())
	}
	return list
}

func (r *Route) describe() Description {
	d := Description{
		Method: r.Method, Path: r.Path, Aliases: r.Aliases, Summary: r.Summary, About: r.About, Tag: r.Tag,
		Who: r.Who, Always200: r.Always200, Reply: r.reply.fields, Produces: r.produces, Codes: r.codes(),
		RequestName: r.request.name, ReplyName: r.reply.name,
	}
	for _, f := range r.request.fields {
		d.Parameters = append(d.Parameters, Parameter{f.name, f.typeName(), f.doc, f.example, f.required, f.enum})
	}
	if d.Upload = r.upload != nil; d.Upload {
		d.Parameters = append([]Parameter{{Name: fileField, Type: "file", Required: true, Doc: "multipart/form-data"}}, d.Parameters...)
	}
	d.Curl = d.curl()
	if r.produces == "" {
		d.ReplyExample = exampleJSON(r.reply.fields, "")
	}
	return d
}

func (f *field) typeName() string {
	switch f.kind {
	case reflect.String:
		return "string"
	case reflect.Bool:
		return "boolean"
	}
	return "integer"
}

// codes lists what a call may answer: its own errors and those every call has.
func (r *Route) codes() []CodeMeaning {
	codes := slices.Clone(r.Errors)
	if r.Who == User || r.Who == Admin {
		codes = append(codes, protocol.CodeToken)
	}
	if r.Who == Admin {
		codes = append(codes, protocol.CodeForbidden)
	}
	if len(r.request.fields) > 0 {
		codes = append(codes, protocol.CodeBadValue)
	}
	codes = append(codes, protocol.CodeFailed)
	if r.FailCode != protocol.CodeOK {
		codes = []protocol.Code{r.FailCode}
	}
	slices.Sort(codes)
	var list []CodeMeaning
	for _, c := range slices.Compact(codes) {
		status := c.HTTPStatus()
		if c == protocol.CodeFailed {
			status = 500
		}
		if r.Always200 {
			status = 200
		}
		list = append(list, CodeMeaning{c, status, meaning(c)})
	}
	return list
}

// meaning is the sentence the documentation has for a code.
func meaning(c protocol.Code) string {
	switch c {
	case protocol.CodeFailed:
		return "It failed; the message says why."
	case protocol.CodeToken:
		return "No token, or one that is not valid."
	case protocol.CodeForbidden:
		return "The caller may not do this."
	case protocol.CodePassword:
		return "Wrong user name or password."
	case protocol.CodeTooOften:
		return "Too often; RetryAfter says how many seconds to wait."
	case protocol.CodeBadValue:
		return "A parameter is missing or not valid; the message names it."
	case protocol.CodeUnknown:
		return "There is no such thing."
	case protocol.CodeConflict:
		return "It is so already, or contradicts something else."
	case protocol.CodeNoRoom:
		return "No room or capacity left."
	case protocol.CodePhoneExists:
		return "The phone number is registered already."
	case protocol.CodeVerifyCode:
		return "The verification code is wrong."
	case protocol.CodeInviteCode:
		return "The invitation code is not valid."
	case protocol.CodeVerifyOften:
		return "Verification codes were asked for too often."
	case protocol.CodeVerifySend:
		return "The verification code could not be sent."
	}
	return "It failed."
}

// replyFields lists the fields of a reply type in the order they are written.
func replyFields(t reflect.Type) []ReplyField {
	var list []ReplyField
	for i := range t.NumField() {
		sf := t.Field(i)
		if sf.Anonymous {
			list = append(list, replyFields(sf.Type)...)
			continue
		}
		if !sf.IsExported() {
			continue
		}
		f := ReplyField{
			Name: nameOf(sf), Doc: sf.Tag.Get("doc"), Example: sf.Tag.Get("example"), typ: sf.Type,
			Optional: strings.Contains(sf.Tag.Get("json"), ",omit"),
		}
		f.Type, f.Fields = describeType(sf.Type)
		list = append(list, f)
	}
	return list
}

func describeType(t reflect.Type) (name string, fields []ReplyField) {
	switch t.Kind() {
	case reflect.Pointer:
		return describeType(t.Elem())
	case reflect.Slice:
		item, fields := describeType(t.Elem())
		return "array of " + item, fields
	case reflect.Struct:
		return "object", replyFields(t)
	case reflect.String:
		return "string", nil
	case reflect.Bool:
		return "boolean", nil
	}
	return "integer", nil
}

// curl is the call as it is typed into a terminal.
func (d *Description) curl() string {
	var b strings.Builder
	b.WriteString("curl")
	if d.Method != "GET" && d.Method != "POST" {
		b.WriteString(" -X " + d.Method)
	}
	switch d.Who {
	case User, Admin:
		b.WriteString(` -H "Authorization: $TOKEN"`)
	}
	if d.Produces != "" {
		b.WriteString(" -OJ")
	}
	if d.Upload {
		for _, p := range d.Parameters {
			switch {
			case p.Type == "file":
				b.WriteString(" -F " + p.Name + "=@clip.mp4")
			case p.Required:
				b.WriteString(" -F " + p.Name + "=" + p.exampleText())
			}
		}
	} else if d.Method == "POST" {
		if body := d.exampleBody(); body != "{}" {
			b.WriteString(` -H "Content-Type: application/json" -d '` + body + `'`)
		} else {
			b.WriteString(" -X POST")
		}
	}
	b.WriteString(` "$SERVER` + d.Path + d.exampleQuery() + `"`)
	return b.String()
}

func (d *Description) exampleQuery() string {
	if d.Method == "POST" {
		return ""
	}
	var pairs []string
	for _, p := range d.Parameters {
		if p.Required {
			pairs = append(pairs, p.Name+"="+p.exampleText())
		}
	}
	if len(pairs) == 0 {
		return ""
	}
	return "?" + strings.Join(pairs, "&")
}

func (d *Description) exampleBody() string {
	var pairs []string
	for _, p := range d.Parameters {
		if p.Required {
			pairs = append(pairs, quote(p.Name)+":"+literal(p.Type, p.exampleText()))
		}
	}
	return "{" + strings.Join(pairs, ",") + "}"
}

func (p *Parameter) exampleText() string {
	switch {
	case p.Example != "":
		return p.Example
	case p.Type == "string":
		return "secret"
	case p.Type == "boolean":
		return "true"
	}
	return "1"
}

// literal writes an example as JSON of its type.
func literal(typ, text string) string {
	if typ == "string" {
		return quote(text)
	}
	if text == "" && typ == "boolean" {
		return "false"
	}
	if text == "" {
		return "0"
	}
	return text
}

func quote(s string) string {
	b, _ := json.Marshal(s) // strings always marshal
	return string(b)
}

// exampleJSON is a reply as it looks on success, indented.
func exampleJSON(fields []ReplyField, indent string) string {
	var lines []string
	for _, f := range fields {
		if f.Name == "RetryAfter" {
			continue
		}
		lines = append(lines, indent+"  "+quote(f.Name)+": "+f.exampleValue(indent+"  "))
	}
	return "{\n" + strings.Join(lines, ",\n") + "\n" + indent + "}"
}

func (f *ReplyField) exampleValue(indent string) string {
	text := f.Example
	if f.Name == "ApiMessage" {
		text = "Successed"
	}
	item, isList := strings.CutPrefix(f.Type, "array of ")
	value := literal(item, text)
	if item == "object" {
		value = exampleJSON(f.Fields, indent)
	}
	if isList {
		return "[" + value + "]"
	}
	return value
}
