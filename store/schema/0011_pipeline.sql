-- What keeps uploads apart. Times are Unix milliseconds.

-- The resumable upload that a video came by; '' for others. One that is handed over
-- twice, because the process ended in between, is one video.
ALTER TABLE video ADD COLUMN upload_id TEXT NOT NULL DEFAULT '';
CREATE UNIQUE INDEX video_upload ON video (upload_id) WHERE upload_id <> '';

-- Whose files a folder had: they are served until they go.
ALTER TABLE media_gone ADD COLUMN video_id INTEGER NOT NULL DEFAULT 0;

-- Notices go with their video.
CREATE INDEX notice_video ON notice (video_id) WHERE video_id > 0;
DELETE FROM notice WHERE video_id > 0 AND video_id NOT IN (SELECT id FROM video WHERE deleted_at = 0);
UPDATE comment SET reply_num = 0 WHERE gone = 1 AND video_id IN (SELECT id FROM video WHERE deleted_at > 0);
