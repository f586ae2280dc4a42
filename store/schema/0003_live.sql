-- Live rooms and their chat. A room belongs to one account for ever: closing
-- marks it, so that its id is never given to somebody else.
CREATE TABLE live_room (
	id           INTEGER PRIMARY KEY CHECK (id BETWEEN 1000000001 AND 2147483547), -- one number space with group rooms; id + 100 is an op
	owner_id     INTEGER NOT NULL UNIQUE REFERENCES account (id),
	title        TEXT NOT NULL CHECK (length(title) BETWEEN 1 AND 60),
	cover        TEXT NOT NULL DEFAULT '',
	state        INTEGER NOT NULL DEFAULT 0 CHECK (state IN (0, 1)),  -- 1 on air
	closed       INTEGER NOT NULL DEFAULT 0 CHECK (closed IN (0, 1)),
	slow_seconds INTEGER NOT NULL DEFAULT 0 CHECK (slow_seconds BETWEEN 0 AND 3600),
	created_at   INTEGER NOT NULL,
	updated_at   INTEGER NOT NULL
) STRICT;
CREATE INDEX live_room_list ON live_room (state DESC, updated_at DESC) WHERE closed = 0;

-- The newest messages of each room. What was deleted stays as an empty row, so
-- that numbers are dense.
CREATE TABLE live_message (
	live_id       INTEGER NOT NULL REFERENCES live_room (id),
	seq           INTEGER NOT NULL CHECK (seq > 0),
	server_msg_id BLOB NOT NULL UNIQUE CHECK (length(server_msg_id) = 16), -- UUIDv7
	sender_id     INTEGER NOT NULL REFERENCES account (id),
	type          INTEGER NOT NULL,
	time          INTEGER NOT NULL,
	gone          INTEGER NOT NULL DEFAULT 0 CHECK (gone IN (0, 2)),     -- 2 deleted
	system        INTEGER NOT NULL DEFAULT 0 CHECK (system IN (0, 1)),   -- content is a text key and arguments
	content       TEXT NOT NULL,
	client_msg_id TEXT,
	PRIMARY KEY (live_id, seq)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX live_message_client ON live_message (sender_id, client_msg_id) WHERE client_msg_id IS NOT NULL;

CREATE INDEX live_message_sender ON live_message (sender_id); -- for an export of one's own data

CREATE INDEX live_message_time ON live_message (time) WHERE gone = 0; -- for expiry

CREATE TABLE live_mute (
	live_id INTEGER NOT NULL REFERENCES live_room (id),
	user_id INTEGER NOT NULL REFERENCES account (id),
	until   INTEGER NOT NULL CHECK (until > 0),
	PRIMARY KEY (live_id, user_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE live_moderator (
	live_id INTEGER NOT NULL REFERENCES live_room (id),
	user_id INTEGER NOT NULL REFERENCES account (id),
	PRIMARY KEY (live_id, user_id)
) STRICT, WITHOUT ROWID;

-- What nobody may write in a room.
CREATE TABLE live_word (
	live_id INTEGER NOT NULL REFERENCES live_room (id),
	word    TEXT NOT NULL CHECK (length(word) BETWEEN 1 AND 40), -- folded, see store.FoldName
	PRIMARY KEY (live_id, word)
) STRICT, WITHOUT ROWID;
