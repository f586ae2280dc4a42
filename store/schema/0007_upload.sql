-- What uploads and their processing keep. Times are Unix milliseconds.

-- The uploaded file that takes the place of a video's own once it is processed; ''
-- for none. Until then the video is shown as it was.
ALTER TABLE video ADD COLUMN replacement TEXT NOT NULL DEFAULT '';
CREATE INDEX video_replacement ON video (replacement) WHERE replacement <> '';
CREATE INDEX video_replaced ON video (id) WHERE replacement <> '' AND deleted_at = 0;
CREATE INDEX video_kept ON video (id) WHERE source_hash <> '' AND key <> '' AND deleted_at = 0; -- uploaded files that are still there

-- Whether the smaller renditions and the master playlist are there.
ALTER TABLE video ADD COLUMN ladder INTEGER NOT NULL DEFAULT 0 CHECK (ladder IN (0, 1));

-- Folders of media that nothing refers to any more. They stay until "at", because
-- phones may be playing what is in them.
CREATE TABLE media_gone (
	key TEXT PRIMARY KEY,
	at  INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX media_gone_at ON media_gone (at);
