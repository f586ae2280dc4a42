-- What keeps uploads apart. Times are Unix milliseconds.

-- The resumable upload that a video came by; '' for others. One that is handed over
-- twice, because the process ended in between, is one video.
ALTER TABLE video ADD COLUMN upload_id TEXT NOT NULL DEFAULT '';
CREATE UNIQUE INDEX video_upload ON video (upload_id) WHERE upload_id <> '';

-- Whose files a folder had: they are served until they go.
ALTER TABLE media_gone ADD COLUMN video_id INTEGER NOT NULL DEFAULT 0;
