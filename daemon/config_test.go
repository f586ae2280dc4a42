package daemon_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/BurntSushi/toml"

	"gtiv/daemon"
	"gtiv/packaging"
)

func writeConfig(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDefaultIsValid(t *testing.T) {
	if err := daemon.Default().Validate(); err != nil {
		t.Fatal(err)
	}
}

// everyKey names each key of Config as section.key.
func everyKey() []string {
	var keys []string
	for s := range reflect.TypeFor[daemon.Config]().Fields() {
		for f := range s.Type.Fields() {
			keys = append(keys, s.Tag.Get("toml")+"."+f.Tag.Get("toml"))
		}
	}
	return keys
}

func TestShippedFileIsTheDefaultWithEveryKey(t *testing.T) {
	c, err := daemon.Load(writeConfig(t, "gtiv.toml", packaging.DefaultConfig), "", nil)
	if err != nil {
		t.Fatal(err)
	}
	if d := daemon.Default(); !reflect.DeepEqual(c, d) {
		t.Errorf("packaging/gtiv.toml:\n%+v\nDefault():\n%+v", c, d)
	}
	var tree map[string]map[string]any
	md, err := toml.Decode(packaging.DefaultConfig, &tree)
	if err != nil {
		t.Fatal(err)
	}
	var have []string
	for _, k := range md.Keys() {
		if len(k) == 2 {
			have = append(have, k.String())
		}
	}
	if want := everyKey(); !slices.Equal(have, want) {
		t.Errorf("keys of packaging/gtiv.toml\n have %v\n want %v", have, want)
	}
}

func TestShippedFileDocumentsEveryKeyAndWhetherItReloads(t *testing.T) {
	paragraphs := regexp.MustCompile(`(?m)((?:^#.*\n)*)^(\w+) = `)
	section := ""
	seen := 0
	for block := range strings.SplitSeq(packaging.DefaultConfig, "\n\n") {
		if s := regexp.MustCompile(`(?m)^\[(\w+)\]$`).FindStringSubmatch(block); s != nil {
			section = s[1]
		}
		m := paragraphs.FindStringSubmatch(block + "\n")
		if m == nil {
			continue
		}
		seen++
		comment, key := strings.Join(strings.Fields(strings.ReplaceAll(m[1], "#", "")), " "), section+"."+m[2]
		if len(comment) < 20 {
			t.Errorf("%s has no documentation: %q", key, comment)
		}
		if restart := strings.Contains(comment, "Restart needed."); restart != needsRestart(t, key) {
			t.Errorf("%s: the file says restart needed = %v, the program says %v", key, restart, !restart)
		}
	}
	if seen != len(everyKey()) {
		t.Errorf("%d keys documented of %d; put an empty line between keys", seen, len(everyKey()))
	}
}

func needsRestart(t *testing.T, key string) bool {
	t.Helper()
	for s := range reflect.TypeFor[daemon.Config]().Fields() {
		for f := range s.Type.Fields() {
			if s.Tag.Get("toml")+"."+f.Tag.Get("toml") == key {
				return f.Tag.Get("reload") != "yes"
			}
		}
	}
	t.Fatalf("unknown key %s", key)
	return false
}

func TestLaterSourcesWin(t *testing.T) {
	dir := t.TempDir()
	file := writeConfig(t, "gtiv.toml", "[site]\nname = \"file\"\nlanguage = \"zh\"\napp_version = \"9\"\n[log]\nlevel = \"warn\"\n")
	override := "[site]\nname = \"override\"\nlanguage = \"en\"\n"
	if err := os.WriteFile(filepath.Join(dir, "override.toml"), []byte(override), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := daemon.Load(file, dir, []string{"GTIV_SITE_NAME=env", "HOME=/root", "GTIV_SOCKET=/x", "garbage"})
	if err != nil {
		t.Fatal(err)
	}
	if c.Site.Name != "env" || c.Site.Language != "en" || c.Site.AppVersion != "9" || c.Log.Level != "warn" || c.Limits.SendBurst != 200 {
		t.Errorf("got %+v %+v", c.Site, c.Log)
	}
}

func TestEveryKindOfValueComesFromTheEnvironment(t *testing.T) {
	c, err := daemon.Load("", "", []string{
		"GTIV_SITE_TRUSTED_PROXIES=10.0.0.0/8, ::1", "GTIV_SITE_APP_FORCE_UPGRADE=true", "GTIV_SITE_APP_URL=https://x.test/a.apk",
		"GTIV_LISTEN_BIND=127.0.0.1", "GTIV_LISTEN_PORT_OFFSET=7", "GTIV_GATEWAY_IDLE=2m", "GTIV_ACCOUNT_ARGON_MEMORY=64MiB",
		"GTIV_SITE_PUBLIC_URL=https://x.test/",
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	if !slices.Equal(c.Site.TrustedProxies, want) || !c.Site.AppForceUpgrade || !slices.Equal(c.Listen.Bind, []string{"127.0.0.1"}) ||
		c.Listen.PortOffset != 7 || c.Gateway.Idle.Std() != 2*time.Minute || c.Account.ArgonMemory != 64<<20 || c.Site.PublicURL != "https://x.test" {
		t.Errorf("got %+v", c)
	}
}

// TestEveryKeyCanBeSet holds the setter and the field types together.
func TestEveryKeyCanBeSet(t *testing.T) {
	d := reflect.ValueOf(daemon.Default())
	for i, key := range everyKey() {
		s, k, _ := strings.Cut(key, ".")
		var value string
		for f, section := range d.Fields() {
			for g, v := range section.Fields() {
				if f.Tag.Get("toml") == s && g.Tag.Get("toml") == k {
					value = strings.Trim(fmt.Sprint(v.Interface()), "[]")
				}
			}
		}
		if _, err := daemon.Load("", "", []string{"GTIV_" + strings.ToUpper(s+"_"+k) + "=" + value}); err != nil {
			t.Errorf("key %d %s=%s: %v", i, key, value, err)
		}
	}
}

func TestAllProblemsAreReportedTogether(t *testing.T) {
	file := writeConfig(t, "gtiv.toml", strings.Join([]string{
		`[site]`,                       // 1
		`nam = "x"`,                    // 2
		`registration = "maybe"`,       // 3
		`trusted_proxies = ["10.0/8"]`, // 4
		`[logs]`,                       // 5
		`level = "info"`,               // 6
		`[limits]`,                     // 7
		`send_burst = "many"`,          // 8
		`[gateway]`,                    // 9
		`idle = 300`,                   // 10
		`handshake = "15"`,             // 11
		`[account]`,                    // 12
		`argon_memory = "64MB"`,        // 13
		`password_min = 0`,             // 14
		`[tls]`,                        // 15
		`cert = "a.pem"`,               // 16
		`[moderation]`,                 // 17
		`words = ["fine", "!?"]`,       // 18
		`action = "shout"`,             // 19
	}, "\n"))
	_, err := daemon.Load(file, "", []string{"GTIV_LOG_LEVEL=loud", "GTIV_LOG_COLOUR=red", "GTIV_SITE_APP_FORCE_UPGRADE=perhaps"})
	ce, ok := errors.AsType[*daemon.ConfigError](err)
	if !ok {
		t.Fatalf("got %v", err)
	}
	text := err.Error()
	for _, want := range []string{
		"gtiv.toml:2: site.nam: unknown key, did you mean name?",
		`gtiv.toml:3: site.registration = "maybe": must be "open" or "invite" or "closed"`,
		`gtiv.toml:4: site.trusted_proxies = [10.0/8]: item 1: not an address or a network like "10.0.0.0/8"`,
		"gtiv.toml:5: logs: unknown section, did you mean log?",
		`gtiv.toml:8: limits.send_burst = "many": must be a whole number`,
		"gtiv.toml:10: gateway.idle = 300: must be a text in quotes",
		`gtiv.toml:11: gateway.handshake = "15": not a duration`,
		`gtiv.toml:13: account.argon_memory = "64MB": not a size`,
		"gtiv.toml:14: account.password_min = 0: must be between 1 and 64",
		`gtiv.toml:16: tls.cert = "a.pem": tls.cert and tls.key belong together`,
		`gtiv.toml:18: moderation.words = [fine !?]: "!?" has neither letters nor digits`,
		`gtiv.toml:19: moderation.action = "shout": must be "refuse" or "mask"`,
		`GTIV_LOG_LEVEL: log.level = "loud": must be "debug"`,
		"GTIV_LOG_COLOUR: log.colour: unknown key",
		`GTIV_SITE_APP_FORCE_UPGRADE: site.app_force_upgrade = "perhaps": must be true or false`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("missing %q in\n%s", want, text)
		}
	}
	if len(ce.Problems) != 15 {
		t.Errorf("%d problems:\n%s", len(ce.Problems), text)
	}
}

func TestTheNameOfABucketIsChecked(t *testing.T) {
	for name, good := range map[string]bool{
		"media": true, "my.media-1": true, strings.Repeat("x", 63): true,
		"My": false, "ab": false, "my_media": false, "media/x": false, "-media": false, strings.Repeat("x", 64): false,
	} {
		file := writeConfig(t, "gtiv.toml", "[media]\nstore = \"s3\"\ns3_endpoint = \"https://s3.example.org\"\ns3_key = \"k\"\ns3_secret = \"s\"\ns3_bucket = \""+name+"\"\n")
		if _, err := daemon.Load(file, "", nil); (err == nil) != good {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestWrongFilesAreRefused(t *testing.T) {
	for name, text := range map[string]string{
		"line 2":                    "[site]\nname =\n",
		"is a section, not a value": "site = 3\n",
		"larger than 1MiB":          strings.Repeat("#", 1<<20+1),
		"already been defined":      "[site]\nname = \"a\"\nname = \"b\"\n",
		"must be a list":            "[listen]\nbind = \"127.0.0.1\"\n",
		"must be a whole number":    "[limits]\nsend_burst = 99999999999\n",
		"must be a text":            "[site.name]\nx = 1\n",
		"is not an IP address":      "[listen]\nbind = [\"localhost\"]\n",
		"without query":             "[site]\npublic_url = \"https://a.test/sub?x\"\n",
		"between 0 and 44536":       "[listen]\nport_offset = 44537\n",
	} {
		_, err := daemon.Load(writeConfig(t, "gtiv.toml", text), "", nil)
		if name == "line 2" {
			name = "gtiv.toml:2"
		}
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%.40q: got %v, want %q", text, err, name)
		}
	}
	if _, err := daemon.Load("/nonexistent/gtiv.toml", "", nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file that was asked for: %v", err)
	}
	if _, err := daemon.Load("", t.TempDir(), nil); err != nil {
		t.Errorf("a missing override.toml: %v", err)
	}
}

func TestPrintedConfigurationReadsBack(t *testing.T) {
	c := daemon.Default()
	c.Site.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	c.Listen.Bind = []string{"127.0.0.1", "::1"}
	c.Chat.Retention = daemon.Duration(90 * time.Minute)
	c.Account.ArgonMemory = 100 << 20
	back, err := daemon.Load(writeConfig(t, "gtiv.toml", c.TOML()), "", nil)
	if err != nil {
		t.Fatalf("%v\n%s", err, c.TOML())
	}
	if !reflect.DeepEqual(back, c) {
		t.Errorf("got %+v\nwant %+v", back, c)
	}
	if text := c.TOML(); !strings.Contains(text, `retention = "1h30m"`) || !strings.Contains(text, `argon_memory = "100MiB"`) {
		t.Errorf("hard to read:\n%s", text)
	}
}

func TestDurationsAndSizes(t *testing.T) {
	for in, want := range map[string]string{
		"15s": "15s", "300s": "5m", "720h": "720h", "30d": "720h", "0s": "0s", "0": "0s", "1h30m": "1h30m", "1h0m5s": "1h0m5s", "10m0s": "10m", "250ms": "250ms", "-3m": "-3m",
		"15": "", "": "", "d": "", "1.5d": "", "-1d": "", "106752d": "", "forever": "", "300000000h": "",
	} {
		var d daemon.Duration
		if err := d.UnmarshalText([]byte(in)); (err != nil) != (want == "") || err == nil && d.String() != want {
			t.Errorf("duration %q: got %v %v, want %q", in, d, err, want)
		}
	}
	for in, want := range map[string]string{
		"19MiB": "19MiB", "1024KiB": "1MiB", "5B": "5B", "0B": "0B", "2 GiB": "2GiB", "1025KiB": "1025KiB", "8388607TiB": "8388607TiB",
		"8388608TiB": "", "64": "", "64MB": "", "-1MiB": "", "": "", "MiB": "",
	} {
		var s daemon.Size
		if err := s.UnmarshalText([]byte(in)); (err != nil) != (want == "") || err == nil && s.String() != want {
			t.Errorf("size %q: got %v %v, want %q", in, s, err, want)
		}
	}
}

func TestSecretsAreNeverPrinted(t *testing.T) {
	s := daemon.Secret("hunter2")
	j, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	for _, out := range []string{fmt.Sprint(s), fmt.Sprintf("%v %+v", s, struct{ S daemon.Secret }{s}), string(j), s.LogValue().String()} {
		if strings.Contains(out, "hunter2") {
			t.Errorf("printed %q", out)
		}
	}
	if s.Reveal() != "hunter2" || daemon.Secret("").String() != "" {
		t.Error("a secret does not reveal itself")
	}
}

func TestChangedTellsWhatAReloadDoes(t *testing.T) {
	before, after := daemon.Default(), daemon.Default()
	after.Site.Name = "other"
	after.Site.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("::1/128")}
	after.Chat.Retention = 0
	after.Listen.PortOffset = 10
	after.TLS.Cert = "x"
	applied, restart := daemon.Changed(before, after)
	if want := []string{"site.name", "site.trusted_proxies", "chat.retention"}; !slices.Equal(applied, want) {
		t.Errorf("applied %v, want %v", applied, want)
	}
	if want := []string{"listen.port_offset", "tls.cert"}; !slices.Equal(restart, want) {
		t.Errorf("need restart %v, want %v", restart, want)
	}
	running := daemon.Reloaded(before, after)
	if applied, restart = daemon.Changed(running, after); len(applied) != 0 || len(restart) != 2 || running.Site.Name != "other" || running.TLS.Cert != "" {
		t.Errorf("after the reload: applied %v, restart %v, %+v", applied, restart, running)
	}
	if a, r := daemon.Changed(before, daemon.Default()); a != nil || r != nil {
		t.Errorf("equal configurations differ: %v %v", a, r)
	}
}

func TestConfigCommands(t *testing.T) {
	bad := writeConfig(t, "gtiv.toml", "[log]\nlevel = \"loud\"\n")
	var out bytes.Buffer
	check := daemon.ConfigCheckCmd{}
	if err := check.Run(&out); err != nil || !strings.Contains(out.String(), "good") {
		t.Errorf("check: %v %q", err, out.String())
	}
	check.Config = bad
	if err := check.Run(&out); err == nil || !strings.Contains(err.Error(), "log.level") {
		t.Errorf("check of a bad file: %v", err)
	}
	check.JSON = true
	out.Reset()
	err := check.Run(&out)
	var reply struct {
		OK       bool
		Problems []daemon.Problem
	}
	if e := json.Unmarshal(out.Bytes(), &reply); err == nil || err.Error() != "" || e != nil || reply.OK || len(reply.Problems) != 1 || reply.Problems[0].Key != "log.level" {
		t.Errorf("check --json: %v %s", err, out.String())
	}

	out.Reset()
	if err := (&daemon.ConfigDefaultCmd{}).Run(&out); err != nil || out.String() != packaging.DefaultConfig {
		t.Errorf("default: %v", err)
	}
	out.Reset()
	if err := (&daemon.ConfigDefaultCmd{JSON: true}).Run(&out); err != nil || !json.Valid(out.Bytes()) {
		t.Errorf("default --json: %v", err)
	}
	out.Reset()
	if err := (&daemon.ConfigPrintCmd{}).Run(t.Context(), &out); err != nil || out.String() != daemon.Default().TOML() {
		t.Errorf("print: %v\n%s", err, out.String())
	}
	out.Reset()
	p := daemon.ConfigPrintCmd{ConfigSource: daemon.ConfigSource{JSON: true}}
	var tree map[string]map[string]any
	if err := p.Run(t.Context(), &out); err != nil || json.Unmarshal(out.Bytes(), &tree) != nil || tree["gateway"]["idle"] != "5m" {
		t.Errorf("print --json: %v\n%s", err, out.String())
	}
}

// FuzzLoad: no file and no variable may crash the start, and what is accepted
// is valid and can be printed and read again.
func FuzzLoad(f *testing.F) {
	f.Add(packaging.DefaultConfig, "GTIV_LOG_LEVEL=debug")
	f.Add("[site]\nname = {a = 1}\n[[limits]]\n", "GTIV_SITE_=")
	f.Add("site.name = \"x\"\nsite . \"language\" = 'zh'\n", "GTIV_LISTEN_BIND=,,::1,")
	f.Add("[gateway]\nidle = \"\"\"\n300s\"\"\"\n", "GTIV__")
	f.Add("site = [1, {name = 2}]\n[listen]\nbind = [[], 1979-05-27]\n", "GTIV_CHAT_RETENTION=1d")
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text, env string) {
		path := filepath.Join(dir, "gtiv.toml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := daemon.Load(path, "", []string{env})
		if err != nil {
			if err.Error() == "" {
				t.Fatal("an error without text")
			}
			return
		}
		if err := c.Validate(); err != nil {
			t.Fatalf("accepted, yet: %v", err)
		}
		if err := os.WriteFile(path, []byte(c.TOML()), 0o600); err != nil {
			t.Fatal(err)
		}
		back, err := daemon.Load(path, "", nil)
		if err != nil || !reflect.DeepEqual(back, c) {
			t.Fatalf("does not read back: %v\n%s", err, c.TOML())
		}
	})
}
