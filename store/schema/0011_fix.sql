-- Notices of a video go with it, and the replies of what was deleted are none.

CREATE INDEX notice_video ON notice (video_id) WHERE video_id > 0;

DELETE FROM notice WHERE video_id > 0 AND video_id IN (SELECT id FROM video WHERE deleted_at > 0);

UPDATE comment SET reply_num = 0 WHERE reply_num > 0 AND video_id IN (SELECT id FROM video WHERE deleted_at > 0);
