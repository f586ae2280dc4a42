package daemon

import (
	"net/netip"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"gtiv/daemon/filter"
	"gtiv/daemon/live"
)

// maxPortOffset keeps the highest port, 20999 of the relay, below 65536.
const maxPortOffset = 65535 - 20999

// Validate says everything that is wrong with c, as a *ConfigError, or nil.
func (c Config) Validate() error {
	if p := c.problems(); len(p) > 0 {
		return &ConfigError{Problems: p}
	}
	return nil
}

// checks collects problems; each method is one kind of rule.
type checks struct {
	config   reflect.Value
	problems []Problem
}

func (c Config) problems() []Problem {
	k := checks{config: reflect.ValueOf(&c).Elem()}
	k.site(c.Site)
	k.listen(c.Listen)
	k.bad((c.TLS.Cert == "") != (c.TLS.Key == ""), "tls.cert", "tls.cert and tls.key belong together; set both or none")
	k.limits(c)
	k.between("account.name_reserved", int64(c.Account.NameReserved), 0, int64(10*year), "between 0 and 87600h")
	k.between("account.password_min", int64(c.Account.PasswordMin), 1, 64, "between 1 and 64")
	k.between("account.argon_memory", int64(c.Account.ArgonMemory), 19<<20, 1<<30, "between 19MiB and 1GiB")
	k.between("chat.retention", int64(c.Chat.Retention), 0, int64(100*year), "0 (for ever) or up to 876000h")
	k.bad(c.Chat.Retention > 0 && c.Chat.Retention < Duration(time.Hour), "chat.retention", "less than 1h would lose messages before they are read")
	k.between("chat.recall_window", int64(c.Chat.RecallWindow), 0, int64(100*year), "0 (any time) or up to 876000h")
	k.bad(c.Chat.ConversationCap != 0 && c.Chat.ConversationCap < 100, "chat.conversation_cap", "must be 0 (no cap) or at least 100")
	k.moderation(c.Moderation)
	k.media(c)
	k.oneOf("log.level", c.Log.Level, "debug", "info", "warn", "error")
	k.oneOf("log.format", c.Log.Format, "text", "json")
	k.between("daemon.grace", int64(c.Daemon.Grace), int64(100*time.Millisecond), int64(50*time.Second), "between 100ms and 50s")
	return k.problems
}

const year = 365 * 24 * time.Hour

func (k *checks) site(s SiteConfig) {
	n := utf8.RuneCountInString(s.Name)
	k.bad(n < 1 || n > 64, "site.name", "must have 1 to 64 characters")
	k.bad(s.PublicURL != "" && !isSiteURL(s.PublicURL), "site.public_url", `must look like "https://example.org" or "https://example.org/videos", without query`)
	k.oneOf("site.registration", s.Registration, RegistrationOpen, RegistrationInvite, RegistrationClosed)
	k.oneOf("site.language", s.Language, "en", "zh")
	k.bad(s.AppURL != "" && !isWebURL(s.AppURL), "site.app_url", "must be an http or https address")
	k.bad(s.AppForceUpgrade && s.AppURL == "", "site.app_force_upgrade", "needs site.app_url, or users cannot upgrade")
	k.bad(len(s.AppVersion) > 64, "site.app_version", "must have at most 64 characters")
}

func (k *checks) listen(l ListenConfig) {
	for _, b := range l.Bind {
		_, err := netip.ParseAddr(b)
		k.bad(err != nil, "listen.bind", strconv.Quote(shorten(b))+" is not an IP address")
	}
	k.between("listen.port_offset", int64(l.PortOffset), 0, maxPortOffset, "between 0 and "+strconv.Itoa(maxPortOffset))
}

func (k *checks) limits(c Config) {
	const many = 1_000_000
	k.between("limits.registrations_per_hour", int64(c.Limits.RegistrationsPerHour), 1, many, "between 1 and 1000000")
	k.between("limits.login_failures", int64(c.Limits.LoginFailures), 1, 1000, "between 1 and 1000")
	k.between("limits.sends_per_second", int64(c.Limits.SendsPerSecond), 1, many, "between 1 and 1000000")
	k.between("limits.send_burst", int64(c.Limits.SendBurst), 1, many, "between 1 and 1000000")
	k.between("limits.room_sends_per_second", int64(c.Limits.RoomSendsPerSecond), 1, many, "between 1 and 1000000")
	k.between("limits.room_members", int64(c.Limits.RoomMembers), 2, 10_000, "between 2 and 10000")
	k.between("limits.owned_rooms", int64(c.Limits.OwnedRooms), 1, many, "between 1 and 1000000")
	k.between("limits.rooms_per_hour", int64(c.Limits.RoomsPerHour), 1, many, "between 1 and 1000000")
	k.between("chat.room_name", int64(c.Chat.RoomName), 1, 100, "between 1 and 100")
	k.between("chat.room_notice", int64(c.Chat.RoomNotice), 1, 1000, "between 1 and 1000")
	k.between("limits.new_account_minutes", int64(c.Limits.NewAccountMinutes), 0, 30*24*60, "between 0 (off) and 43200 (30 days)")
	k.between("limits.max_requests", int64(c.Limits.MaxRequests), 16, many, "between 16 and 1000000")
	k.between("gateway.sessions_per_user", int64(c.Gateway.SessionsPerUser), 1, 1000, "between 1 and 1000")
	k.between("gateway.connections_per_address", int64(c.Gateway.ConnectionsPerAddress), 1, many, "between 1 and 1000000")
	k.between("gateway.max_connections", int64(c.Gateway.MaxConnections), 0, many, "between 0 (as many as files may be open) and 1000000")
	k.between("gateway.handshake", int64(c.Gateway.Handshake), int64(time.Second), int64(5*time.Minute), "between 1s and 5m")
	// The app sends a heartbeat every 30 s and notices nothing below that.
	k.between("gateway.idle", int64(c.Gateway.Idle), int64(45*time.Second), int64(time.Hour), "between 45s and 1h")
}

func (k *checks) moderation(m ModerationConfig) {
	k.bad(len(m.Words) > filter.MaxWords, "moderation.words", "has more than "+strconv.Itoa(filter.MaxWords)+" words")
	for _, w := range m.Words {
		if err := filter.Check(w); err != nil {
			k.bad(true, "moderation.words", strconv.Quote(shorten(w))+" "+err.Error())
		}
	}
	k.oneOf("moderation.action", m.Action, ActionRefuse, ActionMask)
}

func (k *checks) media(c Config) {
	const many = 1_000_000
	k.between("video.max_upload", int64(c.Video.MaxUpload), 1<<20, 16<<30, "between 1MiB and 16GiB")
	k.between("video.quota", int64(c.Video.Quota), 0, 1<<50, "0 (no limit) or up to 1024TiB")
	k.between("video.uploads_per_hour", int64(c.Video.UploadsPerHour), 0, many, "between 0 (no limit) and 1000000")
	k.between("video.max_duration", int64(c.Video.MaxDuration), int64(time.Second), int64(6*time.Hour), "between 1s and 6h")
	k.between("video.threads", int64(c.Video.Threads), 0, 256, "between 0 (half the CPUs) and 256")
	k.oneOf("live.who", c.Live.Who, live.WhoAll, live.WhoApproved, live.WhoNobody)
	k.between("live.viewers", int64(c.Live.Viewers), 0, many, "between 0 (no limit) and 1000000")
	k.between("live.viewers_per_stream", int64(c.Live.ViewersPerStream), 0, many, "between 0 (no limit) and 1000000")
	k.between("live.viewers_per_address", int64(c.Live.ViewersPerAddress), 0, many, "between 0 (no limit) and 1000000")
	k.between("live.rtmp_connections", int64(c.Live.RTMPConnections), 1, many, "between 1 and 1000000")
	k.between("live.grace", int64(c.Live.Grace), 0, int64(time.Minute), "between 0s and 1m")
	k.between("live.silence", int64(c.Live.Silence), int64(2*time.Second), int64(time.Minute), "between 2s and 1m")
	k.between("live.record_keep", int64(c.Live.RecordKeep), 0, int64(100*year), "0 (for ever) or up to 876000h")
	k.bad(c.Live.RecordKeep > 0 && c.Live.RecordKeep < Duration(time.Hour), "live.record_keep", "less than 1h would lose recordings before anybody sees them")
	k.between("live.record_max_bytes", int64(c.Live.RecordMaxBytes), 0, 1<<40, "0 (no limit) or up to 1024GiB")
	k.bad(c.Live.RecordMaxBytes > 0 && c.Live.RecordMaxBytes < 1<<20, "live.record_max_bytes", "must be 0 (no limit) or at least 1MiB")
	k.between("live.record_quota", int64(c.Live.RecordQuota), 0, 1<<50, "0 (no limit) or up to 1024TiB")
	k.oneOf("media.store", c.Media.Store, MediaDisk, MediaS3)
	k.between("media.chat_keep", int64(c.Media.ChatKeep), 0, int64(100*year), "0 (for ever) or up to 876000h")
	k.bad(c.Media.ChatKeep > 0 && c.Media.ChatKeep < Duration(24*time.Hour), "media.chat_keep", "must be 0 (for ever) or at least 24h")
	k.bad(c.Media.S3Endpoint != "" && !isBaseURL(c.Media.S3Endpoint), "media.s3_endpoint", `must look like "https://s3.example.org"`)
	if c.Media.Store == MediaS3 {
		k.bad(c.Media.S3Endpoint == "", "media.s3_endpoint", `is needed with media.store = "s3"`)
		k.bad(c.Media.S3Bucket == "", "media.s3_bucket", `is needed with media.store = "s3"`)
		k.bad(c.Media.S3Bucket != "" && !bucketName.MatchString(c.Media.S3Bucket), "media.s3_bucket",
			"must be the name of a bucket: 3 to 63 of a-z, 0-9, dots and hyphens, with a letter or digit at both ends")
		k.bad(c.Media.S3Key == "", "media.s3_key", `is needed with media.store = "s3"`)
		k.bad(c.Media.S3Secret == "", "media.s3_secret", `is needed with media.store = "s3"`)
	}
	if q := c.Qiniu; q != (QiniuConfig{}) {
		k.bad(q.AccessKey == "" || q.SecretKey == "" || q.Bucket == "" || q.BaseURL == "", "qiniu.access_key",
			"qiniu.access_key, secret_key, bucket and base_url belong together; set all or none")
	}
	k.bad(c.Qiniu.BaseURL != "" && !isWebURL(c.Qiniu.BaseURL), "qiniu.base_url", "must be an http or https address")
}

// bucketName is what S3 allows.
var bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)

func (k *checks) bad(wrong bool, key, text string) {
	if !wrong {
		return
	}
	field := configField(k.config, key)
	k.problems = append(k.problems, Problem{Key: key, Value: shown(field, plain(field)), Text: text})
}

func (k *checks) between(key string, v, low, high int64, text string) {
	k.bad(v < low || v > high, key, "must be "+text)
}

func (k *checks) oneOf(key, v string, allowed ...string) {
	text := "must be "
	for i, a := range allowed {
		if i > 0 {
			text += " or "
		}
		text += strconv.Quote(a)
	}
	k.bad(!slices.Contains(allowed, v), key, text)
}

// configField is the field of "section.key"; a wrong key is a programming
// error that every test of this package would meet.
func configField(config reflect.Value, key string) reflect.Value {
	for f, section := range config.Fields() {
		prefix := f.Tag.Get("toml") + "."
		if len(key) > len(prefix) && key[:len(prefix)] == prefix {
			if v := fieldByName(section, key[len(prefix):]); v.IsValid() {
				return v
			}
		}
	}
	panic("daemon: no configuration key " + key)
}

// plain is a field's value in the form the file has it.
func plain(field reflect.Value) any {
	if t, ok := field.Interface().(interface{ String() string }); ok {
		return t.String()
	}
	return field.Interface()
}

func isWebURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != "" && u.User == nil
}

func isBaseURL(s string) bool {
	u, err := url.Parse(s)
	return isSiteURL(s) && err == nil && (u.Path == "" || u.Path == "/")
}

// isSiteURL is isBaseURL, perhaps with a path.
func isSiteURL(s string) bool {
	u, err := url.Parse(s)
	return isWebURL(s) && err == nil && u.RawQuery == "" && !u.ForceQuery && u.Fragment == ""
}

// Changed compares two configurations and names the keys that differ: applied
// are those a reload puts into effect, needRestart those that wait for the next
// start. Both are sorted as in the file.
func Changed(before, after Config) (applied, needRestart []string) {
	b, a := reflect.ValueOf(before), reflect.ValueOf(after)
	for section, old := range b.Fields() {
		current := a.FieldByIndex(section.Index)
		for f := range old.Type().Fields() {
			if reflect.DeepEqual(old.FieldByIndex(f.Index).Interface(), current.FieldByIndex(f.Index).Interface()) {
				continue
			}
			key := section.Tag.Get("toml") + "." + f.Tag.Get("toml")
			if f.Tag.Get("reload") == "yes" {
				applied = append(applied, key)
			} else {
				needRestart = append(needRestart, key)
			}
		}
	}
	return applied, needRestart
}

// Reloaded is the running configuration after a reload: the keys of after that
// take effect at once, and those of running for the rest.
func Reloaded(running, after Config) Config {
	r, a := reflect.ValueOf(&running).Elem(), reflect.ValueOf(after)
	for section, current := range r.Fields() {
		fresh := a.FieldByIndex(section.Index)
		for f := range current.Type().Fields() {
			if f.Tag.Get("reload") == "yes" {
				current.FieldByIndex(f.Index).Set(fresh.FieldByIndex(f.Index))
			}
		}
	}
	return running
}
