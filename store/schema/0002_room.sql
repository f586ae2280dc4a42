-- Groups. Times are Unix milliseconds; 0 means "never" or "not set". A room's
-- messages are those of the conversation of kind 2 whose a is its id.

CREATE TABLE room (
	id           INTEGER PRIMARY KEY CHECK (id > 1000000000 AND id + 100 < 2147483648), -- op 100 + id is an int32
	name         TEXT NOT NULL CHECK (name <> ''),
	avatar       TEXT NOT NULL DEFAULT '',
	notice       TEXT NOT NULL DEFAULT '',
	member_limit INTEGER NOT NULL CHECK (member_limit > 0),
	member_num   INTEGER NOT NULL DEFAULT 0 CHECK (member_num >= 0),
	banned_until INTEGER NOT NULL DEFAULT 0, -- ordinary members are muted
	approval     INTEGER NOT NULL DEFAULT 0 CHECK (approval IN (0, 1)),    -- who comes by a link waits for an admin
	open_invite  INTEGER NOT NULL DEFAULT 0 CHECK (open_invite IN (0, 1)), -- members may invite strangers
	created_by   INTEGER NOT NULL,
	created_at   INTEGER NOT NULL,
	dissolved_at INTEGER NOT NULL DEFAULT 0 -- the row stays, so that ids are never used again
) STRICT;

CREATE TABLE room_member (
	room_id      INTEGER NOT NULL REFERENCES room (id),
	user_id      INTEGER NOT NULL REFERENCES account (id),
	role         INTEGER NOT NULL CHECK (role IN (10, 20, 30)),
	banned_until INTEGER NOT NULL DEFAULT 0,
	joined_at    INTEGER NOT NULL,
	joined_seq   INTEGER NOT NULL, -- messages up to this number were before their time
	PRIMARY KEY (room_id, user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX room_member_user ON room_member (user_id, role);
-- The lists of members go by role, those of one role by when they came.
CREATE INDEX room_member_order ON room_member (room_id, role DESC, joined_at, user_id);
CREATE UNIQUE INDEX room_member_owner ON room_member (room_id) WHERE role = 30;

CREATE TABLE room_link (
	code       TEXT PRIMARY KEY NOT NULL,
	room_id    INTEGER NOT NULL REFERENCES room (id),
	created_by INTEGER NOT NULL,
	created_at INTEGER NOT NULL,
	expires_at INTEGER NOT NULL DEFAULT 0,
	max_uses   INTEGER NOT NULL DEFAULT 0 CHECK (max_uses >= 0), -- 0: any number
	uses       INTEGER NOT NULL DEFAULT 0 CHECK (max_uses = 0 OR uses <= max_uses)
) STRICT, WITHOUT ROWID;
CREATE INDEX room_link_room ON room_link (room_id);

-- Who came by a link and waits for an admin.
CREATE TABLE room_request (
	room_id    INTEGER NOT NULL REFERENCES room (id),
	user_id    INTEGER NOT NULL REFERENCES account (id),
	message    TEXT NOT NULL,
	created_at INTEGER NOT NULL,
	PRIMARY KEY (room_id, user_id)
) STRICT, WITHOUT ROWID;

-- Whom a control message is about: the one who was muted or removed.
ALTER TABLE message ADD COLUMN target_id INTEGER NOT NULL DEFAULT 0;
