-- What a room remembers of those who are no members now: a mute does not end by
-- leaving, and whom an admin took out comes back only through one.
ALTER TABLE room_former ADD COLUMN banned_until INTEGER NOT NULL DEFAULT 0;
ALTER TABLE room_former ADD COLUMN by_site INTEGER NOT NULL DEFAULT 0 CHECK (by_site IN (0, 1));
ALTER TABLE room_former ADD COLUMN removed INTEGER NOT NULL DEFAULT 0 CHECK (removed IN (0, 1));
-- A mute by an admin of the site binds admins and owners of the room, too.
ALTER TABLE room_member ADD COLUMN by_site INTEGER NOT NULL DEFAULT 0 CHECK (by_site IN (0, 1));

-- Messages up to this number were before a live room was opened again.
ALTER TABLE live_room ADD COLUMN opened_seq INTEGER NOT NULL DEFAULT 0;

-- Accounts that were deleted while somebody invited them stayed members, even
-- the only owners. They leave: their rooms go to the oldest admin, else to the
-- oldest member, and end where nobody is left.
DELETE FROM room_member WHERE user_id IN (SELECT id FROM account WHERE deleted_at > 0);
DELETE FROM room_link WHERE room_id IN (SELECT id FROM room WHERE dissolved_at = 0 AND NOT EXISTS (SELECT 1 FROM room_member WHERE room_id = room.id));
DELETE FROM room_request WHERE room_id IN (SELECT id FROM room WHERE dissolved_at = 0 AND NOT EXISTS (SELECT 1 FROM room_member WHERE room_id = room.id));
UPDATE room SET dissolved_at = unixepoch() * 1000, banned_until = 0, member_num = 0
	WHERE dissolved_at = 0 AND NOT EXISTS (SELECT 1 FROM room_member WHERE room_id = room.id);
UPDATE room_member SET role = 30, banned_until = 0
	WHERE NOT EXISTS (SELECT 1 FROM room_member o WHERE o.room_id = room_member.room_id AND o.role = 30)
	AND user_id = (SELECT h.user_id FROM room_member h WHERE h.room_id = room_member.room_id ORDER BY h.role DESC, h.joined_at, h.joined_seq, h.user_id LIMIT 1);
UPDATE room SET member_num = (SELECT count(*) FROM room_member WHERE room_id = room.id) WHERE dissolved_at = 0;
