package daemon

import (
	"net/netip"
	"time"

	"gtiv/daemon/live"
)

// Config is everything an operator can set. Default runs a working server;
// packaging/gtiv.toml documents every key and equals Default (a test holds
// them together).
//
// Fields tagged reload:"yes" take effect on SIGHUP, the others at the next
// start (see Changed).
type Config struct {
	Site       SiteConfig       `toml:"site"`
	Listen     ListenConfig     `toml:"listen"`
	TLS        TLSConfig        `toml:"tls"`
	Limits     LimitsConfig     `toml:"limits"`
	Gateway    GatewayConfig    `toml:"gateway"`
	Account    AccountConfig    `toml:"account"`
	Chat       ChatConfig       `toml:"chat"`
	Moderation ModerationConfig `toml:"moderation"`
	Video      VideoConfig      `toml:"video"`
	Live       LiveConfig       `toml:"live"`
	Media      MediaConfig      `toml:"media"`
	Qiniu      QiniuConfig      `toml:"qiniu"`
	Log        LogConfig        `toml:"log"`
	Daemon     DaemonConfig     `toml:"daemon"`
}

// The values of site.registration.
const (
	RegistrationOpen   = "open"   // everybody
	RegistrationInvite = "invite" // with an invitation code
	RegistrationClosed = "closed" // nobody; gtiv user add still works
)

// SiteConfig is what the site is called, where it is found and who may join.
type SiteConfig struct {
	// Name is shown on pages and in two-factor authenticator apps.
	Name string `toml:"name" reload:"yes"`
	// PublicURL is the address clients use, when it differs from the one their
	// requests arrive with: "https://example.org", perhaps with a path that a proxy
	// takes away. Empty: taken from the request.
	PublicURL string `toml:"public_url" reload:"yes"`
	// TrustedProxies are the networks whose X-Forwarded-* headers are believed.
	TrustedProxies []netip.Prefix `toml:"trusted_proxies" reload:"yes"`
	// Registration is one of the Registration constants.
	Registration string `toml:"registration" reload:"yes"`
	// Language is that of readers who never named one: "en" or "zh".
	Language string `toml:"language" reload:"yes"`
	// Review keeps new videos from everybody but their owners until an
	// administrator approves them.
	Review bool `toml:"review" reload:"yes"`
	// AppVersion is the newest version of the app, as /app/version tells it.
	AppVersion string `toml:"app_version" reload:"yes"`
	// AppURL is where the app is downloaded.
	AppURL string `toml:"app_url" reload:"yes"`
	// AppForceUpgrade asks older apps to upgrade before going on.
	AppForceUpgrade bool `toml:"app_force_upgrade" reload:"yes"`
}

// ListenConfig is where the daemon listens; its ports are fixed (design: 2004
// and up) and only shifted together. The flags of gtiv serve win.
type ListenConfig struct {
	// Bind are IP addresses; empty means all addresses of the host.
	Bind []string `toml:"bind"`
	// PortOffset is added to every port.
	PortOffset int `toml:"port_offset"`
}

// TLSConfig is the certificate of the ports that speak TLS. Without one the
// daemon makes a self-signed certificate under DIR/secrets.
type TLSConfig struct {
	// Cert is a PEM file with the certificate and its chain.
	Cert string `toml:"cert"`
	// Key is the PEM file of its private key.
	Key string `toml:"key"`
}

// LimitsConfig bounds what one account or address may do.
type LimitsConfig struct {
	// RegistrationsPerHour is per address (IPv6: per /64).
	RegistrationsPerHour int `toml:"registrations_per_hour" reload:"yes"`
	// LoginFailures may happen per account and per address before every
	// further try must wait, longer each time.
	LoginFailures int `toml:"login_failures" reload:"yes"`
	// SendsPerSecond is the lasting rate of messages per account.
	SendsPerSecond int `toml:"sends_per_second" reload:"yes"`
	// SendBurst is how many messages may come at once.
	SendBurst int `toml:"send_burst" reload:"yes"`
	// RoomSendsPerSecond is the lasting rate of messages into one group.
	RoomSendsPerSecond int `toml:"room_sends_per_second" reload:"yes"`
	// RoomMembers is the most members of a new group.
	RoomMembers int `toml:"room_members" reload:"yes"`
	// OwnedRooms is how many groups one account may own.
	OwnedRooms int `toml:"owned_rooms" reload:"yes"`
	// RoomsPerHour is how many groups one account may make in an hour.
	RoomsPerHour int `toml:"rooms_per_hour" reload:"yes"`
	// NewAccountMinutes is how long an account is new: until then it may send few
	// friend requests, and neither make groups, nor join them by link, nor write in
	// live rooms. 0 is off.
	NewAccountMinutes int `toml:"new_account_minutes" reload:"yes"`
	// MaxRequests is how many HTTP requests are worked on at a time.
	MaxRequests int `toml:"max_requests"`
}

// GatewayConfig bounds the long connections of chat clients.
type GatewayConfig struct {
	// SessionsPerUser is the number of connections of one account; above it the oldest is closed.
	SessionsPerUser int `toml:"sessions_per_user"`
	// ConnectionsPerAddress is the number of connections from one address, and of
	// those that speak HTTP.
	ConnectionsPerAddress int `toml:"connections_per_address"`
	// MaxConnections bounds all of them; 0 is as many as the limit of open files allows.
	MaxConnections int `toml:"max_connections"`
	// Handshake is the time a client has to say who it is.
	Handshake Duration `toml:"handshake"`
	// Idle is the silence after which a connection is taken for dead.
	Idle Duration `toml:"idle"`
}

// AccountConfig is about accounts and their passwords.
type AccountConfig struct {
	// SingleDevice ends an account's other sessions at every login, whatever the
	// account itself chose.
	SingleDevice bool `toml:"single_device" reload:"yes"`
	// NameReserved is how long the user name of a deleted account cannot be taken.
	NameReserved Duration `toml:"name_reserved" reload:"yes"`
	// PhoneRegistration allows registering with a phone number; no SMS is
	// sent, the codes are read with "gtiv user code".
	PhoneRegistration bool `toml:"phone_registration" reload:"yes"`
	// PasswordMin is the fewest characters a new password may have.
	PasswordMin int `toml:"password_min" reload:"yes"`
	// ArgonMemory is the least memory one argon2id hash uses.
	ArgonMemory Size `toml:"argon_memory"`
}

// ChatConfig is about messages.
type ChatConfig struct {
	// Retention is how long messages are kept; 0 is for ever.
	Retention Duration `toml:"retention" reload:"yes"`
	// RecallWindow is how long after sending a message may be recalled; 0 is for ever.
	RecallWindow Duration `toml:"recall_window" reload:"yes"`
	// ConversationCap is the most messages one conversation keeps; 0 is no cap.
	ConversationCap int `toml:"conversation_cap" reload:"yes"`
	// RoomName is the most characters of a group's name.
	RoomName int `toml:"room_name" reload:"yes"`
	// RoomNotice is the most characters of a group's notice.
	RoomNotice int `toml:"room_notice" reload:"yes"`
}

// The values of moderation.action.
const (
	ActionRefuse = "refuse" // the text is not taken, and its writer is told
	ActionMask   = "mask"   // the words become asterisks
)

// ModerationConfig is about what people may write.
type ModerationConfig struct {
	// Words must not be in texts, greetings and nicknames.
	Words []string `toml:"words" reload:"yes"`
	// WordsFile has more of them, one a line. It is read again when it changes.
	WordsFile string `toml:"words_file" reload:"yes"`
	// Action is one of the Action constants.
	Action string `toml:"action" reload:"yes"`
}

// VideoConfig is about uploading and processing short videos.
type VideoConfig struct {
	// MaxUpload bounds one uploaded file.
	MaxUpload Size `toml:"max_upload" reload:"yes"`
	// Quota bounds all videos of one account; 0 is no limit.
	Quota Size `toml:"quota" reload:"yes"`
	// UploadsPerHour is per account; 0 is no limit.
	UploadsPerHour int `toml:"uploads_per_hour" reload:"yes"`
	// MaxDuration bounds the length of a video.
	MaxDuration Duration `toml:"max_duration"`
	// Ladder makes smaller renditions of 360 and 720 lines, as far as the video has
	// more.
	Ladder bool `toml:"ladder" reload:"yes"`
	// KeepSource keeps uploaded files after they were processed.
	KeepSource bool `toml:"keep_source" reload:"yes"`
	// Threads is how many threads ffmpeg may use; 0 is half the CPUs.
	Threads int `toml:"threads"`
	// FFmpeg and FFprobe are the programs; empty looks them up in PATH.
	FFmpeg  string `toml:"ffmpeg"`
	FFprobe string `toml:"ffprobe"`
}

// LiveConfig is about live streams.
type LiveConfig struct {
	// Who may stream: all, approved or nobody.
	Who string `toml:"who" reload:"yes"`
	// Viewers bounds all viewers; 0 is no limit.
	Viewers int `toml:"viewers" reload:"yes"`
	// ViewersPerStream bounds those of one stream; 0 is no limit.
	ViewersPerStream int `toml:"viewers_per_stream" reload:"yes"`
	// ViewersPerAddress bounds those from one address; 0 is no limit.
	ViewersPerAddress int `toml:"viewers_per_address" reload:"yes"`
	// RTMPConnections bounds connections of RTMP.
	RTMPConnections int `toml:"rtmp_connections"`
	// Silence is after how long without a byte a publisher counts as gone.
	Silence Duration `toml:"silence"`
	// Grace is how long a stream waits for a publisher who left to come back.
	Grace Duration `toml:"grace"`
	// PublicAddresses are those that WebRTC clients reach this host by, besides its
	// own.
	PublicAddresses []netip.Addr `toml:"public_addresses"`
	// RelayNetworks are networks that relays may reach although they are not public.
	RelayNetworks []netip.Prefix `toml:"relay_networks"`
	// RecordKeep is how long recordings are kept; 0 is for ever.
	RecordKeep Duration `toml:"record_keep" reload:"yes"`
	// RecordMaxBytes is about how long the file of a recording gets before the next
	// one begins; 0 is no limit.
	RecordMaxBytes Size `toml:"record_max_bytes" reload:"yes"`
	// RecordQuota bounds what the recordings of an account take; 0 is no limit.
	RecordQuota Size `toml:"record_quota" reload:"yes"`
}

// The values of media.store.
const (
	MediaDisk = "disk"
	MediaS3   = "s3"
)

// MediaConfig is about where files are kept: videos, pictures, voice messages.
type MediaConfig struct {
	// Store is one of MediaDisk and MediaS3.
	Store string `toml:"store"`
	// MinFree is left free on the disk of the data folder; 0 is 512 MiB, or a
	// sixteenth of a small disk.
	MinFree Size `toml:"min_free"`
	// ChatKeep is how long pictures, voice and videos of chats are kept; 0 is for
	// ever.
	ChatKeep Duration `toml:"chat_keep"`
	// ChatPerDay bounds what an account uploads for chats in a day; 0 is no limit.
	ChatPerDay Size `toml:"chat_per_day"`
	// S3Endpoint is the address of an S3-compatible service.
	S3Endpoint  string `toml:"s3_endpoint"`
	S3Region    string `toml:"s3_region"`
	S3Bucket    string `toml:"s3_bucket"`
	S3Prefix    string `toml:"s3_prefix"`
	S3PathStyle bool   `toml:"s3_path_style"`
	S3Key       string `toml:"s3_key"`
	S3Secret    Secret `toml:"s3_secret"`
}

// QiniuConfig are the credentials of an account at Qiniu: with them the
// unmodified app sends pictures, voice and videos through it.
type QiniuConfig struct {
	AccessKey string `toml:"access_key"`
	SecretKey Secret `toml:"secret_key"`
	Bucket    string `toml:"bucket"`
	// BaseURL is where files in the bucket are read.
	BaseURL string `toml:"base_url"`
}

// LogConfig is about the log on standard error.
type LogConfig struct {
	// Level is debug, info, warn or error.
	Level string `toml:"level" reload:"yes"`
	// Format is text or json.
	Format string `toml:"format"`
}

// DaemonConfig is about the process itself.
type DaemonConfig struct {
	// Grace is what running requests get to finish when the daemon stops.
	Grace Duration `toml:"grace" reload:"yes"`
}

// Default is a working server: everything open that a new site needs, every
// limit at a value that no person reaches by hand.
func Default() Config {
	return Config{
		Site: SiteConfig{
			Name:           "gtiv",
			TrustedProxies: []netip.Prefix{},
			Registration:   RegistrationOpen,
			Language:       "en",
			AppVersion:     "0.1.2",
		},
		Listen: ListenConfig{Bind: []string{}},
		Limits: LimitsConfig{
			RegistrationsPerHour: 20,
			LoginFailures:        10,
			SendsPerSecond:       20,
			SendBurst:            200,
			RoomSendsPerSecond:   50,
			RoomMembers:          500,
			OwnedRooms:           100,
			RoomsPerHour:         120,
			MaxRequests:          1024,
		},
		Gateway: GatewayConfig{
			SessionsPerUser:       16,
			ConnectionsPerAddress: 256,
			Handshake:             Duration(15 * time.Second),
			Idle:                  Duration(300 * time.Second),
		},
		Account: AccountConfig{
			NameReserved:      Duration(720 * time.Hour),
			PhoneRegistration: true,
			PasswordMin:       6,
			ArgonMemory:       19 << 20,
		},
		Chat: ChatConfig{
			Retention:       Duration(720 * time.Hour),
			RecallWindow:    Duration(3 * time.Minute),
			ConversationCap: 100_000,
			RoomName:        20,
			RoomNotice:      200,
		},
		Moderation: ModerationConfig{Words: []string{}, Action: ActionRefuse},
		Video: VideoConfig{
			MaxUpload: 200 << 20, Quota: 10 << 30, UploadsPerHour: 60, MaxDuration: Duration(10 * time.Minute), Ladder: true,
		},
		Live: LiveConfig{
			Who: live.WhoAll, ViewersPerAddress: 256, RTMPConnections: 2000, Silence: Duration(10 * time.Second), Grace: Duration(5 * time.Second), PublicAddresses: []netip.Addr{}, RelayNetworks: []netip.Prefix{},
			RecordKeep: Duration(720 * time.Hour), RecordMaxBytes: 2 << 30, RecordQuota: 20 << 30,
		},
		Media:  MediaConfig{Store: MediaDisk, ChatKeep: Duration(720 * time.Hour), ChatPerDay: 1 << 30},
		Log:    LogConfig{Level: "info", Format: "text"},
		Daemon: DaemonConfig{Grace: Duration(10 * time.Second)},
	}
}
