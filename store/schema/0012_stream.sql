-- Live streams: what a room is published with, who may watch and who may stream.
ALTER TABLE live_room ADD COLUMN stream_key TEXT NOT NULL DEFAULT ''; -- 48 letters and digits; '' until it is asked for
ALTER TABLE live_room ADD COLUMN access TEXT NOT NULL DEFAULT 'open' CHECK (access IN ('open', 'followers', 'link'));
ALTER TABLE live_room ADD COLUMN link_epoch INTEGER NOT NULL DEFAULT 0; -- links signed for another one are good for nothing
ALTER TABLE live_room ADD COLUMN hearts INTEGER NOT NULL DEFAULT 0;
ALTER TABLE live_room ADD COLUMN told_at INTEGER NOT NULL DEFAULT 0;    -- when followers were told last that it is on air
ALTER TABLE live_room ADD COLUMN told_to INTEGER NOT NULL DEFAULT -1;   -- those up to this account were told; -1 all
CREATE UNIQUE INDEX live_room_key ON live_room (stream_key) WHERE stream_key <> '';
CREATE INDEX live_room_air ON live_room (id) WHERE state = 1;
CREATE INDEX follow_told ON follow (master_id, fan_id); -- in the order in which they are told
CREATE INDEX live_room_tell ON live_room (id) WHERE told_to >= 0;

-- Who may stream where not everybody may.
CREATE TABLE streamer (
	user_id    INTEGER PRIMARY KEY REFERENCES account (id),
	created_at INTEGER NOT NULL
) STRICT;

-- Servers that a room's stream is pushed to whenever it is on air.
CREATE TABLE live_push (
	live_id INTEGER NOT NULL REFERENCES live_room (id),
	url     TEXT NOT NULL CHECK (length(url) BETWEEN 1 AND 500), -- may hold a key of the other server
	PRIMARY KEY (live_id, url)
) STRICT, WITHOUT ROWID;
