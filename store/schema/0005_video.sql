-- Short videos: the videos, who liked and collected them, comments, notices,
-- what a viewer saw, and the search. Times are Unix milliseconds; 0 means
-- "never" or "not set". Id 1 is the sample in the binary and has no row.

CREATE TABLE video (
	id            INTEGER PRIMARY KEY AUTOINCREMENT CHECK (id > 1),
	owner_id      INTEGER NOT NULL REFERENCES account (id),
	title         TEXT NOT NULL,
	key           TEXT NOT NULL DEFAULT '', -- directory of its files, "2026/<40 hex>"; '' until known, and once they are removed
	visibility    INTEGER NOT NULL DEFAULT 0 CHECK (visibility IN (0, 1, 2)), -- everybody, followers, the owner
	state         INTEGER NOT NULL DEFAULT 0 CHECK (state BETWEEN 0 AND 5),   -- queued, processing, ready, failed, review, hidden
	reason        TEXT NOT NULL DEFAULT '', -- why it failed or was hidden
	attempts      INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),
	width         INTEGER NOT NULL DEFAULT 0 CHECK (width >= 0),
	height        INTEGER NOT NULL DEFAULT 0 CHECK (height >= 0),
	duration_ms   INTEGER NOT NULL DEFAULT 0 CHECK (duration_ms >= 0),
	size_bytes    INTEGER NOT NULL DEFAULT 0 CHECK (size_bytes >= 0),
	bit_rate_kbps INTEGER NOT NULL DEFAULT 0 CHECK (bit_rate_kbps >= 0),
	source_hash   TEXT NOT NULL DEFAULT '', -- of the uploaded file
	source_name   TEXT NOT NULL DEFAULT '',
	support_num   INTEGER NOT NULL DEFAULT 0 CHECK (support_num >= 0),
	collect_num   INTEGER NOT NULL DEFAULT 0 CHECK (collect_num >= 0),
	share_num     INTEGER NOT NULL DEFAULT 0 CHECK (share_num >= 0),
	comment_num   INTEGER NOT NULL DEFAULT 0 CHECK (comment_num >= 0),
	play_num      INTEGER NOT NULL DEFAULT 0 CHECK (play_num >= 0),
	watch_ms      INTEGER NOT NULL DEFAULT 0 CHECK (watch_ms >= 0),
	score         REAL NOT NULL DEFAULT 0, -- rank in the feed, see store.videoScore; 0 until published
	created_at    INTEGER NOT NULL,
	published_at  INTEGER NOT NULL DEFAULT 0, -- when it was ready for the first time
	deleted_at    INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO sqlite_sequence (name, seq) VALUES ('video', 1);
CREATE UNIQUE INDEX video_key ON video (key) WHERE key <> '';
CREATE INDEX video_owner ON video (owner_id, published_at DESC, id DESC) WHERE deleted_at = 0;
CREATE INDEX video_source ON video (source_hash) WHERE source_hash <> '' AND deleted_at = 0;
CREATE INDEX video_work ON video (state, id) WHERE state <> 2 AND deleted_at = 0; -- for processing and moderators
CREATE INDEX video_gone ON video (id) WHERE deleted_at > 0 AND key <> '';        -- whose files are still to be removed
-- The pools of the feed: newest, most engaged, any.
CREATE INDEX video_fresh ON video (published_at DESC, id, owner_id) WHERE state = 2 AND visibility = 0 AND deleted_at = 0;
CREATE INDEX video_score ON video (score DESC, id, owner_id) WHERE state = 2 AND visibility = 0 AND deleted_at = 0;
CREATE INDEX video_any ON video (id, owner_id) WHERE state = 2 AND visibility = 0 AND deleted_at = 0;

-- owner_id is the owner of the video: their list of who liked is one look-up.
CREATE TABLE video_support (
	user_id    INTEGER NOT NULL REFERENCES account (id),
	video_id   INTEGER NOT NULL REFERENCES video (id),
	owner_id   INTEGER NOT NULL,
	created_at INTEGER NOT NULL,
	PRIMARY KEY (user_id, video_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX video_support_time ON video_support (user_id, created_at DESC, video_id DESC);
CREATE INDEX video_support_owner ON video_support (owner_id, created_at DESC);
CREATE INDEX video_support_video ON video_support (video_id);

CREATE TABLE video_collect (
	user_id    INTEGER NOT NULL REFERENCES account (id),
	video_id   INTEGER NOT NULL REFERENCES video (id),
	owner_id   INTEGER NOT NULL,
	created_at INTEGER NOT NULL,
	PRIMARY KEY (user_id, video_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX video_collect_time ON video_collect (user_id, created_at DESC, video_id DESC);
CREATE INDEX video_collect_video ON video_collect (video_id);

CREATE TABLE tag (
	id   INTEGER PRIMARY KEY,
	key  TEXT NOT NULL UNIQUE CHECK (key <> ''), -- folded, see store.FoldName
	name TEXT NOT NULL                           -- as it was written first
) STRICT;

CREATE TABLE video_tag (
	tag_id   INTEGER NOT NULL REFERENCES tag (id),
	video_id INTEGER NOT NULL REFERENCES video (id),
	PRIMARY KEY (tag_id, video_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX video_tag_video ON video_tag (video_id);

-- Comments, and replies to them (parent_id > 0), one level deep. What was
-- deleted stays as an empty row, because replies hang on it.
CREATE TABLE comment (
	id         INTEGER PRIMARY KEY AUTOINCREMENT,
	video_id   INTEGER NOT NULL REFERENCES video (id),
	parent_id  INTEGER NOT NULL DEFAULT 0,
	user_id    INTEGER NOT NULL REFERENCES account (id),
	to_id      INTEGER NOT NULL DEFAULT 0, -- whom a reply answers
	content    TEXT NOT NULL,
	like_num   INTEGER NOT NULL DEFAULT 0 CHECK (like_num >= 0),
	reply_num  INTEGER NOT NULL DEFAULT 0 CHECK (reply_num >= 0),
	created_at INTEGER NOT NULL,
	gone       INTEGER NOT NULL DEFAULT 0 CHECK (gone IN (0, 1))
) STRICT;
CREATE INDEX comment_list ON comment (video_id, parent_id, id);
CREATE INDEX comment_user ON comment (user_id) WHERE gone = 0;

CREATE TABLE comment_like (
	user_id    INTEGER NOT NULL REFERENCES account (id),
	comment_id INTEGER NOT NULL REFERENCES comment (id),
	PRIMARY KEY (user_id, comment_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX comment_like_comment ON comment_like (comment_id);

-- What somebody is told. A like and a follow are told once, however often they
-- are taken back and made again.
CREATE TABLE notice (
	id         INTEGER PRIMARY KEY AUTOINCREMENT,
	user_id    INTEGER NOT NULL REFERENCES account (id),
	kind       TEXT NOT NULL CHECK (kind IN ('like', 'comment', 'reply', 'follow', 'mention', 'live', 'system')),
	actor_id   INTEGER NOT NULL DEFAULT 0,
	video_id   INTEGER NOT NULL DEFAULT 0,
	comment_id INTEGER NOT NULL DEFAULT 0,
	text       TEXT NOT NULL DEFAULT '', -- of kind system: a text key and arguments
	read       INTEGER NOT NULL DEFAULT 0 CHECK (read IN (0, 1)),
	created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX notice_list ON notice (user_id, id DESC, read);
CREATE UNIQUE INDEX notice_once ON notice (user_id, actor_id, kind, video_id) WHERE kind IN ('like', 'follow');

-- What the feed showed to whom, the newest 500 of each viewer.
CREATE TABLE video_seen (
	viewer_id INTEGER NOT NULL REFERENCES account (id),
	video_id  INTEGER NOT NULL,
	at        INTEGER NOT NULL,
	PRIMARY KEY (viewer_id, video_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX video_seen_time ON video_seen (viewer_id, at DESC);

CREATE TABLE not_interested (
	user_id  INTEGER NOT NULL REFERENCES account (id),
	video_id INTEGER NOT NULL,
	at       INTEGER NOT NULL,
	PRIMARY KEY (user_id, video_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX not_interested_time ON not_interested (user_id, at DESC);

-- The search holds words, and pairs of characters of scripts without spaces
-- (store.searchWords). It keeps no texts: they are where they belong.
CREATE VIRTUAL TABLE account_search USING fts5 (words, content = '', contentless_delete = 1, tokenize = "unicode61 remove_diacritics 0 categories 'L* M* N* Co'");
CREATE VIRTUAL TABLE video_search USING fts5 (words, content = '', contentless_delete = 1, tokenize = "unicode61 remove_diacritics 0 categories 'L* M* N* Co'");
CREATE VIRTUAL TABLE tag_search USING fts5 (words, content = '', contentless_delete = 1, tokenize = "unicode61 remove_diacritics 0 categories 'L* M* N* Co'");

-- The lists of follows are by time.
DROP INDEX follow_master;
CREATE INDEX follow_fans ON follow (master_id, created_at DESC, fan_id);
CREATE INDEX follow_masters ON follow (fan_id, created_at DESC, master_id);
