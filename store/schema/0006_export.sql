-- What the export of an account and the end of old reports look for.

-- Who was a member of a room once: messages have no index by sender, so this is
-- where to look for what somebody wrote in rooms they left.
CREATE TABLE room_former (
	user_id INTEGER NOT NULL REFERENCES account (id),
	room_id INTEGER NOT NULL REFERENCES room (id),
	PRIMARY KEY (user_id, room_id)
) STRICT, WITHOUT ROWID;
INSERT INTO room_former (user_id, room_id)
	SELECT DISTINCT m.sender_id, r.id FROM room r
	JOIN conversation c ON c.kind = 2 AND c.a = r.id AND c.b = 0
	JOIN message m ON m.conversation_id = c.id
	JOIN account a ON a.id = m.sender_id AND a.deleted_at = 0
	WHERE NOT EXISTS (SELECT 1 FROM room_member WHERE room_id = r.id AND user_id = m.sender_id);

CREATE INDEX report_reporter ON report (reporter_id);
CREATE INDEX report_resolved_at ON report (resolved_at) WHERE resolved_at > 0;
