-- Live streams: what a room is published with, and who may watch it.
ALTER TABLE live_room ADD COLUMN stream_key TEXT NOT NULL DEFAULT ''; -- 48 letters and digits; '' until it is asked for
CREATE UNIQUE INDEX live_room_key ON live_room (stream_key) WHERE stream_key <> '';
CREATE INDEX live_room_air ON live_room (id) WHERE state = 1;
