-- Rows of a dump of the original server that came in, by their table and number
-- there, so that none comes in twice, whatever became of it here since.
CREATE TABLE imported (
	kind   TEXT NOT NULL,
	old_id INTEGER NOT NULL,
	new_id INTEGER NOT NULL, -- its number here; 0 for what has none
	at     INTEGER NOT NULL,
	PRIMARY KEY (kind, old_id)
) STRICT, WITHOUT ROWID;

-- Passwords that are kept as the original kept them: the daemon hashes them, few
-- at a time.
CREATE INDEX account_unhashed ON account (id) WHERE substr(password_hash, 1, 5) = '$md5$';
