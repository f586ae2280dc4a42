-- Moderation: reports, banned addresses, announcements to all.

-- A report names what it is about by kind and id. What is known of a message is
-- copied, because its sender can recall it. One person has one open report of a
-- thing.
CREATE TABLE report (
	id           INTEGER PRIMARY KEY AUTOINCREMENT,
	reporter_id  INTEGER NOT NULL REFERENCES account (id),
	kind         TEXT NOT NULL CHECK (kind IN ('user', 'message', 'room', 'video', 'live')),
	target       TEXT NOT NULL CHECK (target <> ''),
	reason       TEXT NOT NULL CHECK (reason <> ''),
	created_at   INTEGER NOT NULL,
	sender_id    INTEGER NOT NULL DEFAULT 0, -- of the message
	content      TEXT NOT NULL DEFAULT '',   -- of the message
	message_time INTEGER NOT NULL DEFAULT 0,
	resolved_at  INTEGER NOT NULL DEFAULT 0, -- 0: open
	resolved_by  TEXT NOT NULL DEFAULT '',
	action       TEXT NOT NULL DEFAULT '',   -- what was done about it
	note         TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE UNIQUE INDEX report_once ON report (reporter_id, kind, target) WHERE resolved_at = 0;
CREATE INDEX report_open ON report (id) WHERE resolved_at = 0;
CREATE INDEX report_resolved ON report (id) WHERE resolved_at > 0;

CREATE TABLE address_ban (
	prefix     TEXT PRIMARY KEY NOT NULL CHECK (prefix <> ''), -- "192.0.2.0/24"
	reason     TEXT NOT NULL DEFAULT '',
	created_by TEXT NOT NULL DEFAULT '',
	created_at INTEGER NOT NULL,
	expires_at INTEGER NOT NULL DEFAULT 0 -- 0: never
) STRICT, WITHOUT ROWID;

-- An announcement goes to every account up to last_account, by ascending id. It
-- has been sent to all up to done_to.
CREATE TABLE announcement (
	id           INTEGER PRIMARY KEY AUTOINCREMENT,
	text         TEXT NOT NULL CHECK (text <> ''),
	created_by   TEXT NOT NULL DEFAULT '',
	created_at   INTEGER NOT NULL,
	last_account INTEGER NOT NULL,
	accounts     INTEGER NOT NULL, -- how many there were, more or less
	done_to      INTEGER NOT NULL DEFAULT 0 CHECK (done_to <= last_account),
	sent         INTEGER NOT NULL DEFAULT 0 CHECK (sent >= 0),
	finished_at  INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX announcement_unfinished ON announcement (id) WHERE finished_at = 0;
