-- The first schema: accounts, login sessions, contacts, conversations and their
-- messages. Times are Unix milliseconds unless a name says otherwise; 0 means
-- "never" or "not set".

CREATE TABLE setting (
	key   TEXT PRIMARY KEY NOT NULL,
	value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE account (
	id                INTEGER PRIMARY KEY AUTOINCREMENT,
	username          TEXT NOT NULL CHECK (username <> ''),
	username_key      TEXT NOT NULL UNIQUE CHECK (username_key <> ''), -- folded, see store.FoldName
	tel_code          TEXT NOT NULL DEFAULT '',
	tel               TEXT NOT NULL DEFAULT '',
	password_hash     TEXT NOT NULL DEFAULT '', -- '' cannot log in
	role              INTEGER NOT NULL DEFAULT 10 CHECK (role IN (10, 20, 100)),
	nickname          TEXT NOT NULL,
	avatar            TEXT NOT NULL DEFAULT '',
	birthday          TEXT NOT NULL DEFAULT '',
	gender            INTEGER NOT NULL DEFAULT 0 CHECK (gender IN (0, 1, 2)),
	intro             TEXT NOT NULL DEFAULT '',
	language          TEXT NOT NULL DEFAULT '',
	version           INTEGER NOT NULL DEFAULT 1, -- grows with every change of the profile
	contacts_version  INTEGER NOT NULL DEFAULT 1, -- grows when the phone must fetch its contacts again
	fans_num          INTEGER NOT NULL DEFAULT 0 CHECK (fans_num >= 0),
	follow_num        INTEGER NOT NULL DEFAULT 0 CHECK (follow_num >= 0),
	collect_num       INTEGER NOT NULL DEFAULT 0 CHECK (collect_num >= 0),
	support_num       INTEGER NOT NULL DEFAULT 0 CHECK (support_num >= 0),
	collect_video_num INTEGER NOT NULL DEFAULT 0 CHECK (collect_video_num >= 0),
	create_video_num  INTEGER NOT NULL DEFAULT 0 CHECK (create_video_num >= 0),
	single_device     INTEGER NOT NULL DEFAULT 0 CHECK (single_device IN (0, 1)),
	totp_secret       BLOB,                        -- sealed with DIR/secrets; NULL is off
	totp_on           INTEGER NOT NULL DEFAULT 0 CHECK (totp_on IN (0, 1)), -- 0 with a secret: not confirmed yet
	totp_step         INTEGER NOT NULL DEFAULT 0,  -- last time step used: a code works once
	last_login        INTEGER NOT NULL DEFAULT 0,
	created_at        INTEGER NOT NULL,
	deleted_at        INTEGER NOT NULL DEFAULT 0,
	banned_until      INTEGER NOT NULL DEFAULT 0,
	ban_reason        TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE UNIQUE INDEX account_tel ON account (tel_code, tel) WHERE tel <> '';

-- The built-in account owns the sample video and cannot log in.
INSERT INTO account (id, username, username_key, nickname, created_at) VALUES (10000, 'gtiv', 'gtiv', 'gtiv', 0);

-- Names of deleted accounts, kept from reuse for a while.
CREATE TABLE reserved_name (
	username_key TEXT PRIMARY KEY NOT NULL,
	free_at      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE recovery_code (
	account_id INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
	code_hash  BLOB NOT NULL,
	PRIMARY KEY (account_id, code_hash)
) STRICT, WITHOUT ROWID;

CREATE TABLE login_session (
	id         INTEGER PRIMARY KEY AUTOINCREMENT,
	account_id INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
	token_hash BLOB NOT NULL UNIQUE CHECK (length(token_hash) = 32),
	agent      TEXT NOT NULL DEFAULT '',
	address    TEXT NOT NULL DEFAULT '',
	created_at INTEGER NOT NULL,
	last_seen  INTEGER NOT NULL,
	delivered  INTEGER NOT NULL DEFAULT 0, -- all messages up to this time were delivered; used when the delivery cursors are lost
	revoked_at INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX login_session_account ON login_session (account_id);

CREATE TABLE invite (
	code       TEXT PRIMARY KEY NOT NULL,
	note       TEXT NOT NULL DEFAULT '',
	created_by INTEGER NOT NULL DEFAULT 0,
	created_at INTEGER NOT NULL,
	expires_at INTEGER NOT NULL DEFAULT 0,
	max_uses   INTEGER NOT NULL CHECK (max_uses > 0),
	uses       INTEGER NOT NULL DEFAULT 0 CHECK (uses BETWEEN 0 AND max_uses),
	revoked_at INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

CREATE TABLE contact (
	user_id    INTEGER NOT NULL REFERENCES account (id),
	peer_id    INTEGER NOT NULL REFERENCES account (id),
	deleted    INTEGER NOT NULL DEFAULT 0 CHECK (deleted IN (0, 1)), -- 1: the peer removed me
	created_at INTEGER NOT NULL,
	PRIMARY KEY (user_id, peer_id),
	CHECK (user_id <> peer_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX contact_peer ON contact (peer_id);

CREATE TABLE block (
	user_id    INTEGER NOT NULL REFERENCES account (id),
	peer_id    INTEGER NOT NULL REFERENCES account (id),
	created_at INTEGER NOT NULL,
	PRIMARY KEY (user_id, peer_id),
	CHECK (user_id <> peer_id)
) STRICT, WITHOUT ROWID;

-- Friend applications, one per applicant and receiver.
CREATE TABLE application (
	receiver_id  INTEGER NOT NULL REFERENCES account (id),
	applicant_id INTEGER NOT NULL REFERENCES account (id),
	message      TEXT NOT NULL,
	created_at   INTEGER NOT NULL,
	PRIMARY KEY (receiver_id, applicant_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE follow (
	fan_id     INTEGER NOT NULL REFERENCES account (id),
	master_id  INTEGER NOT NULL REFERENCES account (id),
	created_at INTEGER NOT NULL,
	PRIMARY KEY (fan_id, master_id),
	CHECK (fan_id <> master_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX follow_master ON follow (master_id);
CREATE INDEX application_applicant ON application (applicant_id);

-- A conversation is a private pair (kind 1, a < b) or a room (kind 2, a = room).
-- The newest sequence number is that of its newest message; what expiry removed
-- is remembered in expired_seq and expired_time, so that numbers stay dense.
CREATE TABLE conversation (
	id           INTEGER PRIMARY KEY,
	kind         INTEGER NOT NULL CHECK (kind IN (1, 2)),
	a            INTEGER NOT NULL,
	b            INTEGER NOT NULL DEFAULT 0,
	expired_seq  INTEGER NOT NULL DEFAULT 0,
	expired_time INTEGER NOT NULL DEFAULT 0,
	UNIQUE (kind, a, b),
	CHECK (kind <> 1 OR (a < b AND a > 0))
) STRICT;
CREATE INDEX conversation_b ON conversation (b) WHERE b > 0;

CREATE TABLE message (
	id              INTEGER PRIMARY KEY, -- order of arrival, for expiry
	conversation_id INTEGER NOT NULL REFERENCES conversation (id),
	seq             INTEGER NOT NULL CHECK (seq > 0),
	server_msg_id   BLOB NOT NULL CHECK (length(server_msg_id) = 16), -- UUIDv7
	sender_id       INTEGER NOT NULL,
	type            INTEGER NOT NULL,
	time            INTEGER NOT NULL,
	gone            INTEGER NOT NULL DEFAULT 0 CHECK (gone IN (0, 1, 2)), -- 1 recalled, 2 deleted
	system          INTEGER NOT NULL DEFAULT 0 CHECK (system IN (0, 1)),  -- content is a text key and arguments
	hidden_from     INTEGER NOT NULL DEFAULT 0, -- who had blocked the sender
	edited          INTEGER NOT NULL DEFAULT 0,
	content         TEXT NOT NULL,
	client_msg_id   TEXT,
	reply_to        BLOB,
	mentions        TEXT,
	UNIQUE (conversation_id, seq)
) STRICT;
CREATE UNIQUE INDEX message_server ON message (server_msg_id);
CREATE UNIQUE INDEX message_client ON message (sender_id, client_msg_id) WHERE client_msg_id IS NOT NULL;

CREATE TABLE audit (
	id     INTEGER PRIMARY KEY,
	time   INTEGER NOT NULL,
	actor  TEXT NOT NULL,
	action TEXT NOT NULL,
	target TEXT NOT NULL,
	detail TEXT NOT NULL
) STRICT;

INSERT INTO sqlite_sequence (name, seq) SELECT 'account', 10000 WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'account');
