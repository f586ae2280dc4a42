-- Files that an administrator imported in bulk, so that doing it again imports
-- nothing twice: uploaded files are gone once they are processed.
CREATE TABLE video_import (
	owner_id INTEGER NOT NULL,
	hash     TEXT NOT NULL, -- SHA-256 of the file
	title    TEXT NOT NULL, -- that it was given then
	video_id INTEGER NOT NULL REFERENCES video (id),
	PRIMARY KEY (owner_id, hash, title)
) STRICT, WITHOUT ROWID;
