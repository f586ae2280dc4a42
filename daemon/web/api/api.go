// Package api turns typed declarations of HTTP calls into a table that serves
// them and into their documentation.
//
// A call is declared once, with Handle: method, path, who may call, what it
// takes and what it answers. Everything else is the same for all calls and lives
// here: parameters from query, form and JSON (params.go, bind.go), tokens,
// limits and deadlines (table.go), the head, the codes and the full shapes that
// the app needs on failure (reply.go), OpenAPI (openapi.go).
//
// The package has no goroutines and no locks; a Table does not change once it
// is made. It knows nothing of accounts or messages and imports only protocol.
package api

import (
	"context"
	"net/http"
	"net/netip"
	"reflect"
	"time"

	"gtiv/protocol"
)

// Who says who may call.
type Who int

// Who may call.
const (
	Anyone Who = iota // a token is not looked at
	Guest             // a token is optional; an invalid one counts as none
	User              // a valid token is needed
	Admin             // a valid token of an account with role 20 or more
)

// adminRole is the smallest role of an administrator (wire.md 15).
const adminRole = 20

func (w Who) String() string {
	return [...]string{"anyone", "guest", "user", "administrator"}[w]
}

// Defaults of a call.
const (
	// DefaultMaxBody bounds JSON and form bodies, in bytes.
	DefaultMaxBody = 64 << 10
	// DefaultDeadline bounds a call: the app gives up after ten seconds.
	DefaultDeadline = 9 * time.Second
)

// Principal is who calls. User 0 is a guest.
type Principal struct {
	User, Session int64
	Role          int
	Language      string
}

// Origin is where a call comes from.
type Origin struct {
	Address  netip.Addr
	Agent    string // at most 200 bytes
	Language string // that the client asked for, "" if it named none
}

// Call is one request on its way through a handler.
type Call struct {
	Request   *http.Request
	Principal Principal
	Origin    Origin
	Language  string // of the texts in the answer
	ID        string // of the request, also in the log and in X-Request-Id

	sent func()
}

// OnSent runs f once the answer of a call that succeeded is in the hands of the
// kernel, and not at all when the client hung up before.
func (c *Call) OnSent(f func()) { c.sent = f }

// Context ends with the call's deadline, and when the client hangs up.
func (c *Call) Context() context.Context { return c.Request.Context() }

// Endpoint is a method and a path.
type Endpoint struct{ Method, Path string }

// Route is one declared call. Make it with Handle or HandleRaw.
type Route struct {
	Endpoint
	Who      Who
	Summary  string
	Tag      string
	About    string
	Aliases  []Endpoint
	Errors   []protocol.Code
	MaxBody  int64
	Deadline time.Duration
	// Always200 answers every failure with status 200 and the full empty reply
	// (wire.md 2.4).
	Always200 bool
	// Light calls are served however many others are: they do next to nothing.
	Light bool
	// FailCode, if not 0, is the code of every failure (register, wire.md 2.3).
	FailCode protocol.Code

	fallback any // func(*Call, *Rep): fills the reply of a failure
	request  *plan
	reply    *shape
	produces string // content type of a raw call
	invoke   func(c *Call, b *binder) (any, error)
	fail     func(c *Call) any
	raw      func(c *Call, b *binder, w http.ResponseWriter) error
	upload   *receiver
}

// Option changes a Route.
type Option func(*Route)

// Tag groups calls in the documentation.
func Tag(name string) Option { return func(r *Route) { r.Tag = name } }

// About adds a paragraph to the documentation.
func About(text string) Option { return func(r *Route) { r.About = text } }

// Always200 marks a call whose client does not survive another status.
func Always200() Option { return func(r *Route) { r.Always200 = true } }

// Light marks a call that touches nothing slow, so that it is never turned away
// for the number of others.
func Light() Option { return func(r *Route) { r.Light = true } }

// FailCode makes every failure answer this one code.
func FailCode(c protocol.Code) Option { return func(r *Route) { r.FailCode = c } }

// Errors lists codes a caller should expect, beside those all calls have.
func Errors(codes ...protocol.Code) Option {
	return func(r *Route) { r.Errors = append(r.Errors, codes...) }
}

// Alias serves the same call under another method or path.
func Alias(method, path string) Option {
	return func(r *Route) { r.Aliases = append(r.Aliases, Endpoint{method, path}) }
}

// MaxBody bounds the body, in bytes.
func MaxBody(n int64) Option { return func(r *Route) { r.MaxBody = n } }

// Deadline bounds the call.
func Deadline(d time.Duration) Option { return func(r *Route) { r.Deadline = d } }

// Fallback fills in the reply of a failed Always200 call, whose fields are zero
// and whose head tells the failure. It may change the head, too.
func Fallback[Rep any](fill func(c *Call, rep *Rep)) Option {
	return func(r *Route) { r.fallback = fill }
}

// headed is what every reply gets from the embedded protocol.Head.
type headed interface{ ReplyHead() *protocol.Head }

// Handle declares a call. Req is a flat struct of the parameters, Rep a struct
// that embeds protocol.Head. A handler may answer a nil reply: the empty one.
// Handle panics when the types do not fit: that is a mistake in the program.
func Handle[Req, Rep any](method, path string, who Who, summary string,
	h func(c *Call, req *Req) (*Rep, error), opts ...Option,
) Route {
	r := declare[Req](method, path, who, summary, opts)
	if _, ok := any(new(Rep)).(headed); !ok {
		panic(method + " " + path + ": the reply does not embed protocol.Head")
	}
	fill, ok := r.fallback.(func(*Call, *Rep))
	if r.fallback != nil && !ok {
		panic(method + " " + path + ": the fallback fills another type")
	}
	r.reply = shapeOf(reflect.TypeFor[Rep]())
	r.invoke = func(c *Call, b *binder) (any, error) {
		req := new(Req)
		if err := b.fill(reflect.ValueOf(req).Elem()); err != nil {
			return nil, err
		}
		rep, err := h(c, req)
		if err != nil {
			return nil, err
		}
		if rep == nil {
			rep = new(Rep)
		}
		return rep, nil
	}
	r.fail = func(c *Call) any { return new(Rep) }
	if fill != nil {
		r.fallback = func(c *Call, rep any) { fill(c, rep.(*Rep)) }
	}
	return r
}

// HandleRaw declares a call that answers something else than JSON, written to w.
// An error before the first byte is answered as everywhere; later ones cut the
// connection, so that nobody takes a part for the whole.
func HandleRaw[Req any](method, path string, who Who, summary, contentType string,
	h func(c *Call, req *Req, w http.ResponseWriter) error, opts ...Option,
) Route {
	r := declare[Req](method, path, who, summary, opts)
	r.reply = shapeOf(reflect.TypeFor[protocol.HeadReply]())
	r.produces = contentType
	r.fail = func(*Call) any { return new(protocol.HeadReply) }
	r.raw = func(c *Call, b *binder, w http.ResponseWriter) error {
		req := new(Req)
		if err := b.fill(reflect.ValueOf(req).Elem()); err != nil {
			return err
		}
		return h(c, req, w)
	}
	return r
}

func declare[Req any](method, path string, who Who, summary string, opts []Option) Route {
	r := Route{
		Endpoint: Endpoint{method, path}, Who: who, Summary: summary,
		MaxBody: DefaultMaxBody, Deadline: DefaultDeadline,
	}
	for _, o := range opts {
		o(&r)
	}
	p, err := planOf(reflect.TypeFor[Req]())
	if err != nil {
		panic(method + " " + path + ": " + err.Error())
	}
	r.request = p
	return r
}

// endpoints lists the route's own method and path and its aliases.
func (r *Route) endpoints() []Endpoint { return append([]Endpoint{r.Endpoint}, r.Aliases...) }
