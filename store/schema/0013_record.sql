-- Recordings of live streams. Times are Unix milliseconds.

-- Whether, and in which format, the room's streams are recorded; '' not.
ALTER TABLE live_room ADD COLUMN record TEXT NOT NULL DEFAULT '' CHECK (record IN ('', 'mp4', 'flv'));

-- One row for each file. What is deleted stays until the file is gone.
CREATE TABLE recording (
	id          INTEGER PRIMARY KEY AUTOINCREMENT,  -- in the file's name: never used again
	room_id     INTEGER NOT NULL REFERENCES live_room (id),
	owner_id    INTEGER NOT NULL REFERENCES account (id),
	title       TEXT NOT NULL,                      -- of the room, at the beginning
	format      TEXT NOT NULL CHECK (format IN ('mp4', 'flv')),
	state       INTEGER NOT NULL DEFAULT 0 CHECK (state IN (0, 1, 2)), -- 0 recording, 1 done, 2 failed: there is no file
	reason      TEXT NOT NULL DEFAULT '',           -- text key: why it ended early, or failed
	began       INTEGER NOT NULL,
	ended       INTEGER NOT NULL DEFAULT 0,
	duration_ms INTEGER NOT NULL DEFAULT 0,
	bytes       INTEGER NOT NULL DEFAULT 0,
	video_id    INTEGER NOT NULL DEFAULT 0,         -- the short video it was published as
	deleted_at  INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX recording_room ON recording (room_id, id) WHERE deleted_at = 0;
CREATE INDEX recording_owner ON recording (owner_id, bytes) WHERE deleted_at = 0;
CREATE INDEX recording_running ON recording (id) WHERE state = 0 AND deleted_at = 0;
CREATE INDEX recording_ended ON recording (ended) WHERE state > 0 AND deleted_at = 0;
CREATE INDEX recording_gone ON recording (id) WHERE deleted_at > 0;
