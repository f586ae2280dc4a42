//go:build linux

package daemon_test

import (
	"archive/zip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"
	"github.com/rogpeppe/go-internal/testscript"

	"gtiv/daemon/apptest"
	"gtiv/protocol"
	"gtiv/protocol/client"
)

// TestScripts runs the journeys of testdata/script. Beside the commands of
// testscript a script has these ($DATA is the data folder, $NAME the id of a
// person who registered):
//
//	serve [VAR=value…] [flags]    start the daemon, wait until it is ready
//	[!] halt                      SIGTERM, which must [not] end it with code 0
//	kill9                         kill -9
//	hup                           SIGHUP
//	waitlog REGEXP                wait for a line of the log
//	allow REGEXP                  lines of level ERROR that are wanted
//	[!] gtiv ARG…                 the program itself; then stdout, stderr
//	exits CODE ARG…               the same with an exact exit code
//	register NAME                 sign up; the token is kept
//	login NAME [as DEVICE]        another session of the same person
//	befriend A B                  A applies, B accepts
//	[!] get|post|delete WHO PATH [FLAG…] [NAME=text…] [NAME:=json…] [{json}]
//	                              call as WHO ("-": no token, "garbage": a wrong one);
//	                              must [not] be a success. Flags: -form, -lang=zh,
//	                              -port=2009, -tls, -empty, -to=FILE
//	expect PATH VALUE             of the last answer: "List.0.UserId", "List.len", "http",
//	                              "header.Name"; a VALUE after ~ is a regular expression
//	shape PATH NAME:type…         the fields are there and of this JSON type; "." is the top
//	keep VAR PATH                 keeps a value of the last answer in $VAR
//	until VALUE WHO PATH FIELD    GET until a field has a value
//	online WHO true|false         check-online until it answers this
//	app connect DEVICE            the Android app's long connection
//	app expect DEVICE FIELD=VALUE…  its next push: type from to content id time body
//	app reset DEVICE              the server resets the connection
//	app clean DEVICE              nothing went wrong on it and no push is left over
//	ws connect DEVICE [FEATURE…]  a WebSocket client, of features if some are named
//	ws expect DEVICE FIELD=VALUE… its next push; also conversation and seq
//	ws clean DEVICE               no push is left over
//	synced CONTENT,CONTENT…       the contents of the last answer's List are these, times ascending
//	roomsend WHO ROOM N           WHO sends m1 to mN to a room
//	newest CONTENT,CONTENT…       the same, times descending
//	bigsend A B BYTES CODE        A sends B a text whose push has so many bytes
//	guest PATH                    GET answers the same to nobody and to a wrong token: success
//	always METHOD PATH NAME:type… whoever asks and whatever, it is 200 with these fields
//	fetch URL REGEXP              a file that is there and matches
//	phonecode VAR PHONE           the code that waits, from the control socket
//	jsonvar VAR PATH              a value of the JSON that gtiv just printed
//	totp VAR SECRET STEPS         a code of the second factor, STEPS half minutes from now
//	unzip FILE DIR
//	clip FILE SECONDS [FLAG…]     a clip of 320x240, made by ffmpeg
//	[!] upload WHO FILE [NAME=text…]  POST /video-upload
//	changed VIDEO KEY             wait until its files are in another folder
//	[!] air KEY [FLAG…]           publish by RTMP until offair; "!": it is refused
//	offair [ended]                end that; "ended": the server has ended it
//	[!] plays URL…                there are pictures and sound at each
//	sql STATEMENT                 on the database, behind the daemon's back
//	reader connect|join|expect|quiet|online|close NAME …
//	                              a client in a live room, see readerUsage
func TestScripts(t *testing.T) {
	binary := gtivBinary(t)
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			w := newWorld(binary, env)
			env.Values[worldKey{}] = w
			env.Defer(w.close)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"serve": cmdServe, "halt": cmdHalt, "kill9": cmdKill, "hup": cmdHup, "waitlog": cmdWaitLog, "allow": cmdAllow,
			"gtiv": cmdGtiv, "exits": cmdExits,
			"register": cmdRegister, "login": cmdLogin, "befriend": cmdBefriend,
			"get": cmdCall(http.MethodGet), "post": cmdCall(http.MethodPost), "delete": cmdCall(http.MethodDelete),
			"expect": cmdExpect, "shape": cmdShape, "keep": cmdKeep, "until": cmdUntil, "online": cmdOnline,
			"app": cmdApp, "ws": cmdWS, "roomsend": cmdRoomSend, "newest": cmdNewest, "totp": cmdTOTP, "unzip": cmdUnzip, "synced": cmdSynced, "bigsend": cmdBigSend,
			"guest": cmdGuest, "always": cmdAlways, "fetch": cmdFetch, "phonecode": cmdPhoneCode, "jsonvar": cmdJSONVar,
			"reader": cmdReader, "clip": cmdClip, "upload": cmdUpload, "sql": cmdSQL, "changed": cmdChanged,
			"air": cmdAir, "offair": cmdOffAir, "plays": cmdPlays,
		},
	})
}

// world is what a script has made so far.
type world struct {
	s       *server
	env     *testscript.Env
	devices map[string]person
	apps    map[string]*device
	sockets map[string]*apptest.Client
	readers map[string]*apptest.Client
	last    *reply

	air      *exec.Cmd // an ffmpeg that publishes; nil none
	airEnded chan struct{}
}

// device is a connected app and how many of its pushes were looked at.
type device struct {
	app  *apptest.App
	seen int
}

type worldKey struct{}

func newWorld(binary string, env *testscript.Env) *world {
	data := filepath.Join(env.WorkDir, "d")
	env.Setenv("DATA", data)
	env.Setenv("PATH", filepath.Dir(binary)+string(os.PathListSeparator)+env.Getenv("PATH"))
	return &world{
		s: &server{binary: binary, dir: data, work: env.WorkDir}, env: env,
		devices: map[string]person{"-": {}, "garbage": {token: "garbage.of_any-kind"}}, apps: map[string]*device{},
		sockets: map[string]*apptest.Client{},
		readers: map[string]*apptest.Client{},
	}
}

// close ends everything a script left running, and fails it for what the log
// says.
func (w *world) close() {
	w.offAir()
	for _, d := range w.apps {
		d.app.Close()
	}
	for _, sockets := range []map[string]*apptest.Client{w.sockets, w.readers} {
		for _, c := range sockets {
			_ = c.Close()
		}
	}
	w.s.kill()
	t := w.env.T()
	for _, problem := range w.s.problems() {
		t.Log(problem)
		defer func() { t.Fatal("the log of the daemon shows a fault") }()
	}
	if f, ok := t.(interface{ Failed() bool }); ok && f.Failed() || len(w.s.problems()) > 0 {
		t.Log("log of the daemon:\n" + tail(w.s.log.String(), 10_000))
	}
}

func worldOf(ts *testscript.TestScript) *world { return ts.Value(worldKey{}).(*world) }

// who finds a device that must be known.
func (w *world) who(ts *testscript.TestScript, name string) person {
	p, ok := w.devices[name]
	if !ok {
		ts.Fatalf("nobody is called %s", name)
	}
	return p
}

// usage stops a script whose command is written wrongly.
func usage(ts *testscript.TestScript, ok bool, text string) {
	if !ok {
		ts.Fatalf("usage: %s", text)
	}
}

func cmdServe(ts *testscript.TestScript, neg bool, args []string) {
	w := worldOf(ts)
	w.s.env, w.s.flags = nil, nil
	for _, a := range args {
		if name, _, ok := strings.Cut(a, "="); ok && !strings.HasPrefix(name, "-") {
			w.s.env = append(w.s.env, a)
		} else {
			w.s.flags = append(w.s.flags, a)
		}
	}
	err := w.s.start()
	if neg && err == nil {
		ts.Fatalf("the daemon started")
	}
	if !neg {
		ts.Check(err)
	}
	ts.Setenv("OFFSET", strconv.Itoa(w.s.offset))
	for _, port := range []int{portComet, portSub, portTLS, portVideo, 2011, 2012, 2013, 2016, portImbiz} {
		ts.Setenv("P"+strconv.Itoa(port), strconv.Itoa(port+w.s.offset))
	}
	if w.s.running() {
		ts.Setenv("PID", strconv.Itoa(w.s.cmd.Process.Pid))
	}
}

func cmdHalt(ts *testscript.TestScript, neg bool, _ []string) {
	if err := worldOf(ts).s.stop(); (err != nil) != neg {
		ts.Fatalf("the daemon ended with: %v", err)
	}
}

func cmdKill(ts *testscript.TestScript, _ bool, _ []string) { worldOf(ts).s.kill() }

func cmdHup(ts *testscript.TestScript, _ bool, _ []string) {
	ts.Check(worldOf(ts).s.cmd.Process.Signal(syscall.SIGHUP))
}

func cmdWaitLog(ts *testscript.TestScript, _ bool, args []string) {
	usage(ts, len(args) == 1, "waitlog REGEXP")
	re, err := regexp.Compile(args[0])
	ts.Check(err)
	poll(ts, "the log says "+args[0], func() bool { return re.MatchString(worldOf(ts).s.log.String()) })
}

// poll waits for something to come true.
func poll(ts *testscript.TestScript, what string, ok func() bool) {
	end := time.Now().Add(patience)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		if time.Now().After(end) {
			ts.Fatalf("it never came true that %s", what)
		}
		<-tick.C
	}
}

func cmdAllow(ts *testscript.TestScript, _ bool, args []string) {
	usage(ts, len(args) == 1, "allow REGEXP")
	re, err := regexp.Compile(args[0])
	ts.Check(err)
	w := worldOf(ts)
	w.s.allow = append(w.s.allow, re)
}

func cmdGtiv(ts *testscript.TestScript, neg bool, args []string) {
	err := ts.Exec(worldOf(ts).s.binary, args...)
	if (err != nil) != neg {
		ts.Fatalf("gtiv %s: %v", strings.Join(args, " "), err)
	}
}

func cmdExits(ts *testscript.TestScript, _ bool, args []string) {
	usage(ts, len(args) > 1, "exits CODE ARG…")
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	code := 0
	if err := ts.Exec(worldOf(ts).s.binary, args[1:]...); err != nil {
		var ee *exec.ExitError
		if !errors.As(err, &ee) {
			ts.Fatalf("gtiv: %v", err)
		}
		code = ee.ExitCode()
	}
	if code != want {
		ts.Fatalf("gtiv %s: exit code %d, want %d", strings.Join(args[1:], " "), code, want)
	}
}

func cmdRegister(ts *testscript.TestScript, _ bool, args []string) {
	usage(ts, len(args) > 0, "register NAME…")
	w := worldOf(ts)
	for _, name := range args {
		p, err := w.s.register(name)
		ts.Check(err)
		w.devices[name] = p
		ts.Setenv(name, strconv.FormatInt(p.id, 10))
	}
}

func cmdLogin(ts *testscript.TestScript, _ bool, args []string) {
	usage(ts, len(args) == 1 || len(args) == 3 && args[1] == "as", "login NAME [as DEVICE]")
	w := worldOf(ts)
	p, err := w.s.login(args[0], passwordOfAll)
	ts.Check(err)
	w.devices[args[len(args)-1]] = p
	ts.Setenv(args[0], strconv.FormatInt(p.id, 10))
}

func cmdBefriend(ts *testscript.TestScript, _ bool, args []string) {
	usage(ts, len(args) == 2, "befriend A B")
	w := worldOf(ts)
	ts.Check(w.s.befriend(w.who(ts, args[0]), w.who(ts, args[1])))
}

// callFlags builds a request from the words of a script.
func callFlags(ts *testscript.TestScript, r *request, args []string) (to string) {
	form := false
	fields := map[string]json.RawMessage{}
	values := url.Values{}
	for _, a := range args {
		name, value, _ := strings.Cut(a, "=")
		switch {
		case strings.HasPrefix(a, "{"):
			r.body, r.contentType = a, "application/json"
		case name == "-form":
			form = true
		case name == "-empty": // as the app's check-online (wire.md M10)
			r.contentType = "application/x-www-form-urlencoded"
		case name == "-lang":
			r.language = value
		case name == "-to":
			to = ts.MkAbs(value)
		case name == "-tls":
			r.scheme, r.port, r.client = "https", portTLS, insecureClient
		case name == "-port":
			port, err := strconv.Atoi(value)
			ts.Check(err)
			r.port = port
		case strings.HasSuffix(name, ":"):
			fields[name[:len(name)-1]] = json.RawMessage(value)
		default:
			text, _ := json.Marshal(value) // a string marshals
			fields[name] = text
			values.Set(name, value)
		}
	}
	if form {
		r.body, r.contentType = values.Encode(), "application/x-www-form-urlencoded"
	} else if len(fields) > 0 {
		body, err := json.Marshal(fields)
		ts.Check(err)
		r.body, r.contentType = string(body), "application/json"
	}
	return to
}

func cmdCall(method string) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		usage(ts, len(args) >= 2, "get|post|delete WHO PATH …")
		w := worldOf(ts)
		r := request{method: method, path: args[1], token: w.who(ts, args[0]).token}
		to := callFlags(ts, &r, args[2:])
		rep, err := w.s.call(r)
		ts.Check(err)
		w.last = rep
		ts.Logf("%s", rep)
		if to != "" {
			if rep.status != http.StatusOK {
				ts.Fatalf("%s %s: %s", method, args[1], rep)
			}
			ts.Check(os.WriteFile(to, rep.body, 0o600))
			return
		}
		if rep.ok() == neg {
			ts.Fatalf("%s %s: %s", method, args[1], rep)
		}
	}
}

func matches(want, got string) bool {
	if re, ok := strings.CutPrefix(want, "~"); ok {
		return regexp.MustCompile(re).MatchString(got)
	}
	return want == got
}

func cmdExpect(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, len(args) == 2, "expect PATH VALUE")
	w := worldOf(ts)
	if got := w.last.value(args[0]); matches(args[1], got) == neg {
		ts.Fatalf("%s is %s, in %s", args[0], got, w.last)
	}
}

func cmdShape(ts *testscript.TestScript, _ bool, args []string) {
	usage(ts, len(args) >= 2, "shape PATH NAME:type…")
	w := worldOf(ts)
	for _, a := range args[1:] {
		name, kind, _ := strings.Cut(a, ":")
		path := strings.TrimPrefix(args[0]+"."+name, "..")
		v, ok := w.last.get(path)
		if !ok || kindOf(v) != kind {
			ts.Fatalf("%s is %s %v, want %s, in %s", path, kindOf(v), v, kind, w.last)
		}
	}
}

func cmdKeep(ts *testscript.TestScript, _ bool, args []string) {
	usage(ts, len(args) == 2, "keep VAR PATH")
	value := worldOf(ts).last.value(args[1])
	if value == "(missing)" || value == "" {
		ts.Fatalf("no %s in %s", args[1], worldOf(ts).last)
	}
	ts.Setenv(args[0], value)
}

func cmdUntil(ts *testscript.TestScript, _ bool, args []string) {
	usage(ts, len(args) == 4, "until VALUE WHO PATH FIELD")
	w := worldOf(ts)
	poll(ts, args[3]+" is "+args[0], func() bool {
		rep, err := w.s.call(request{method: http.MethodGet, path: args[2], token: w.who(ts, args[1]).token})
		ts.Check(err)
		w.last = rep
		return matches(args[0], rep.value(args[3]))
	})
}

func cmdOnline(ts *testscript.TestScript, _ bool, args []string) {
	usage(ts, len(args) == 2, "online WHO true|false")
	w := worldOf(ts)
	poll(ts, args[0]+" is online: "+args[1], func() bool {
		rep, err := w.s.call(request{
			method: http.MethodPost, path: "/imlogic/check-online", token: w.who(ts, args[0]).token,
			contentType: "application/x-www-form-urlencoded",
		})
		ts.Check(err)
		return rep.ok() && rep.value("Online") == args[1]
	})
}

func cmdApp(ts *testscript.TestScript, _ bool, args []string) {
	usage(ts, len(args) >= 2, "app connect|expect|reset|close|clean DEVICE …")
	w := worldOf(ts)
	name := args[1]
	if args[0] == "connect" {
		p := w.who(ts, name)
		app, err := apptest.DialApp(w.s.address(portComet), apptest.AppConfig{Token: p.token, User: p.id})
		ts.Check(err)
		if old := w.apps[name]; old != nil {
			old.app.Close()
		}
		w.apps[name] = &device{app: app}
		if !app.WaitLogin(patience) {
			ts.Fatalf("%s: no op 8: %v", name, app.Errors())
		}
		return
	}
	d := w.apps[name]
	if d == nil {
		ts.Fatalf("%s is not connected", name)
	}
	switch args[0] {
	case "expect":
		d.expect(ts, name, args[2:])
	case "reset":
		if !d.app.WaitError(apptest.Reset, patience) {
			ts.Fatalf("%s was not reset: %v", name, d.app.Errors())
		}
		for _, e := range d.app.Errors() {
			if e.Kind != apptest.Reset {
				ts.Fatalf("%s: %v", name, e)
			}
		}
	case "close":
		d.app.Close()
	case "clean":
		if errs, list := d.app.Errors(), d.app.Messages(); len(errs) > 0 || len(list) > d.seen {
			ts.Fatalf("%s: %v, pushes left: %+v", name, errs, list[d.seen:])
		}
	default:
		usage(ts, false, "app connect|expect|reset|close|clean DEVICE …")
	}
}

// expect looks at the next push, which must have these fields.
func (d *device) expect(ts *testscript.TestScript, name string, fields []string) {
	if !d.app.WaitMessages(d.seen+1, patience) {
		ts.Fatalf("%s got no push; %v", name, d.app.Errors())
	}
	m := d.app.Messages()[d.seen]
	d.seen++
	expectPush(ts, name, m.Body, fields, map[string]string{
		"type": strconv.Itoa(m.MsgType), "from": m.FromUser, "to": m.ToUsers, "content": m.Content,
		"id": m.ServerMsgID, "time": strconv.FormatInt(m.Time, 10), "body": m.Body, "op": fmt.Sprint(int(m.Op)),
	})
}

func expectPush(ts *testscript.TestScript, name, body string, fields []string, have map[string]string) {
	for _, f := range fields {
		field, want, _ := strings.Cut(f, "=")
		if got, ok := have[field]; !ok || !matches(want, got) {
			ts.Fatalf("%s of the push to %s is %q, want %q; %s", field, name, got, want, body)
		}
	}
}

func cmdWS(ts *testscript.TestScript, _ bool, args []string) {
	usage(ts, len(args) >= 2, "ws connect|expect|clean DEVICE …")
	w := worldOf(ts)
	name := args[1]
	if args[0] == "connect" {
		if old := w.sockets[name]; old != nil {
			_ = old.Close()
		}
		cfg := apptest.ClientConfig{Token: w.who(ts, name).token, Platform: "web", Timeout: patience}
		if len(args) > 2 {
			cfg.Features = args[2:]
		}
		c, err := apptest.Dial(context.Background(), "ws://"+w.s.address(portSub)+"/sub", cfg)
		ts.Check(err)
		w.sockets[name] = c
		return
	}
	c := w.sockets[name]
	usage(ts, c != nil, "ws connect DEVICE first")
	switch args[0] {
	case "expect":
		f, err := c.Read()
		if err != nil {
			ts.Fatalf("%s got no push: %v", name, err)
		}
		var m struct {
			MsgType                                               int
			FromUser, ToUsers, Content, ServerMsgId, Conversation string //nolint:revive // the wire's spelling
			Time                                                  int64
			Seq                                                   uint64
		}
		ts.Check(json.Unmarshal(f.Body, &m))
		expectPush(ts, name, string(f.Body), args[2:], map[string]string{
			"type": strconv.Itoa(m.MsgType), "from": m.FromUser, "to": m.ToUsers, "content": m.Content, "id": m.ServerMsgId,
			"time": strconv.FormatInt(m.Time, 10), "body": string(f.Body), "op": fmt.Sprint(int(f.Op)),
			"conversation": m.Conversation, "seq": fmt.Sprint(m.Seq),
		})
	case "clean":
		// What is left is in front of the answer to a heartbeat.
		ts.Check(c.Write(protocol.OpHeartbeat, 7, nil))
		f, err := c.Read()
		if err != nil || f.Op != protocol.OpHeartbeatReply {
			ts.Fatalf("%s: %v, a push is left: %d %s", name, err, f.Op, f.Body)
		}
	default:
		usage(ts, false, "ws connect|expect|clean DEVICE …")
	}
}

func cmdRoomSend(ts *testscript.TestScript, _ bool, args []string) {
	usage(ts, len(args) == 3, "roomsend WHO ROOM N")
	w := worldOf(ts)
	n, err := strconv.Atoi(args[2])
	ts.Check(err)
	for i := range n {
		rep, err := w.s.call(request{
			method: http.MethodPost, path: "/imlogic/push-room", token: w.who(ts, args[0]).token,
			contentType: "application/json", body: fmt.Sprintf(`{"Type":0,"RoomId":"%s","Message":"m%d"}`, args[1], i+1),
		})
		ts.Check(err)
		if !rep.ok() {
			ts.Fatalf("message %d: %s", i+1, rep)
		}
	}
}

func cmdNewest(ts *testscript.TestScript, _ bool, args []string) {
	usage(ts, len(args) == 1, "newest CONTENT,CONTENT…")
	w := worldOf(ts)
	before := int64(math.MaxInt64)
	want := strings.Split(args[0], ",")
	for i, text := range want {
		at := fmt.Sprintf("List.%d.", i)
		if got := w.last.value(at + "Content"); !matches(text, got) {
			ts.Fatalf("item %d is %s, want %s, in %s", i, got, text, w.last)
		}
		now, err := strconv.ParseInt(w.last.value(at+"Time"), 10, 64)
		ts.Check(err)
		if now >= before {
			ts.Fatalf("item %d is not older than the one before: %s", i, w.last)
		}
		before = now
	}
	if n := strconv.Itoa(len(want)); w.last.value("List.len") != n {
		ts.Fatalf("%s items, want %s: %s", w.last.value("List.len"), n, w.last)
	}
}

func cmdTOTP(ts *testscript.TestScript, _ bool, args []string) {
	usage(ts, len(args) == 3, "totp VAR SECRET STEPS")
	steps, err := strconv.Atoi(args[2])
	ts.Check(err)
	code, err := totp.GenerateCode(args[1], time.Now().Add(time.Duration(steps)*30*time.Second))
	ts.Check(err)
	ts.Setenv(args[0], code)
}

func cmdUnzip(ts *testscript.TestScript, _ bool, args []string) {
	usage(ts, len(args) == 2, "unzip FILE DIR")
	z, err := zip.OpenReader(ts.MkAbs(args[0]))
	ts.Check(err)
	defer z.Close()
	for _, f := range z.File {
		to := filepath.Join(ts.MkAbs(args[1]), filepath.FromSlash(f.Name))
		ts.Check(os.MkdirAll(filepath.Dir(to), 0o750))
		in, err := f.Open()
		ts.Check(err)
		text, err := io.ReadAll(io.LimitReader(in, 1<<20))
		ts.Check(err)
		ts.Check(os.WriteFile(to, text, 0o600))
	}
}

func cmdSynced(ts *testscript.TestScript, _ bool, args []string) {
	usage(ts, len(args) == 1, "synced CONTENT,CONTENT…")
	w := worldOf(ts)
	before := int64(0)
	for i, want := range strings.Split(args[0], ",") {
		at := fmt.Sprintf("List.%d.", i)
		if got := w.last.value(at + "Content"); !matches(want, got) {
			ts.Fatalf("item %d is %s, want %s, in %s", i, got, want, w.last)
		}
		now, err := strconv.ParseInt(w.last.value(at+"Time"), 10, 64)
		ts.Check(err)
		if now <= before {
			ts.Fatalf("item %d is not younger than the one before: %s", i, w.last)
		}
		before = now
	}
	if n := strconv.Itoa(strings.Count(args[0], ",") + 1); w.last.value("List.len") != n {
		ts.Fatalf("%s items, want %s: %s", w.last.value("List.len"), n, w.last)
	}
}

func cmdBigSend(ts *testscript.TestScript, _ bool, args []string) {
	usage(ts, len(args) == 4, "bigsend A B BYTES CODE")
	w := worldOf(ts)
	from, to := w.who(ts, args[0]), w.who(ts, args[1])
	size, err := strconv.Atoi(args[2])
	ts.Check(err)
	empty := protocol.MessageJSON(&protocol.Message{
		ChatType: protocol.ChatPrivate, FromUser: from.id, ToUsers: strconv.FormatInt(to.id, 10),
		ServerMsgID: "00000000-0000-0000-0000-000000000000", Time: 1_000_000_000_000,
	}, false)
	rep, err := w.s.send(from, to.id, strings.Repeat("x", size-len(empty)), "")
	ts.Check(err)
	if rep.value("ApiCode") != args[3] {
		ts.Fatalf("a push of %d bytes: %s", size, rep)
	}
}

func cmdGuest(ts *testscript.TestScript, _ bool, args []string) {
	usage(ts, len(args) == 1, "guest PATH")
	w := worldOf(ts)
	var first string
	for _, who := range []string{"-", "garbage"} {
		rep, err := w.s.call(request{method: http.MethodGet, path: args[0], token: w.devices[who].token, port: portVideo})
		ts.Check(err)
		if !rep.ok() {
			ts.Fatalf("%s as %q: %s", args[0], who, rep)
		}
		if first == "" {
			first = string(rep.body)
		}
		if first != string(rep.body) {
			ts.Fatalf("%s as %q: %s, without a token %s", args[0], who, rep, first)
		}
	}
}

// cmdAlways asks as nobody, with a wrong token and as every device, without
// parameters, with foolish ones, and with a body that cannot be read.
func cmdAlways(ts *testscript.TestScript, _ bool, args []string) {
	usage(ts, len(args) > 2, "always METHOD PATH NAME:type…")
	w := worldOf(ts)
	for name, p := range w.devices {
		for _, r := range []request{
			{},
			{path: "?UserId=x&userId=-1&RoomId=x&page=99999999999999999999&videoId=0&Type=x"},
			{path: "?UserId=1&userId=1&RoomId=1&page=2&videoId=1&username=x&Username=x&password=y&UserIds=1&Avatar=a&Type=2"},
			{path: "?%zz"},
			{body: `{"a":`, contentType: "application/json"},
			{body: `[null]`, contentType: "application/json"},
			{body: strings.Repeat("x", 100_000), contentType: "application/json"},
			{body: "%zz=1", contentType: "application/x-www-form-urlencoded"},
		} {
			r.method, r.path, r.token = strings.ToUpper(args[0]), args[1]+r.path, p.token
			rep, err := w.s.call(r)
			ts.Check(err)
			what := fmt.Sprintf("%s %s %.30s as %s: %s", r.method, r.path, r.body, name, rep)
			if rep.status != http.StatusOK {
				ts.Fatalf("%s", what)
			}
			for _, field := range append([]string{"ApiCode:number", "ApiMessage:string"}, args[2:]...) {
				path, kind, _ := strings.Cut(field, ":")
				if v, ok := rep.get(path); !ok || kindOf(v) != kind {
					ts.Fatalf("%s is %s in %s", path, kindOf(v), what)
				}
			}
		}
	}
}

func cmdFetch(ts *testscript.TestScript, _ bool, args []string) {
	usage(ts, len(args) == 2, "fetch URL REGEXP")
	res, err := worldOf(ts).s.http.Get(args[0])
	ts.Check(err)
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	ts.Check(err)
	if res.StatusCode != http.StatusOK || !regexp.MustCompile(args[1]).Match(body) {
		ts.Fatalf("%s: HTTP %d, %d bytes: %.200q", args[0], res.StatusCode, len(body), body)
	}
}

func cmdPhoneCode(ts *testscript.TestScript, _ bool, args []string) {
	usage(ts, len(args) == 2, "phonecode VAR PHONE")
	w := worldOf(ts)
	c := client.New(client.Find("", w.s.dir))
	defer c.Close()
	list, err := c.Codes(context.Background())
	ts.Check(err)
	for _, code := range list.List {
		if code.Phone == args[1] {
			ts.Setenv(args[0], code.Code)
			return
		}
	}
	ts.Fatalf("no code waits for %s", args[1])
}

func cmdJSONVar(ts *testscript.TestScript, _ bool, args []string) {
	usage(ts, len(args) == 2, "jsonvar VAR PATH")
	r := &reply{}
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &r.json))
	ts.Setenv(args[0], r.value(args[1]))
}
