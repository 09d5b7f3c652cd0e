-- Who may use the API. Passwords are argon2id hashes; of tokens and sessions
-- only the SHA-256 is kept.
CREATE TABLE users (
	id         INTEGER PRIMARY KEY,
	uuid       TEXT    NOT NULL UNIQUE,
	name       TEXT    NOT NULL UNIQUE,
	summary    TEXT    NOT NULL,
	version    INTEGER NOT NULL CHECK (version > 0),
	created_at INTEGER,
	updated_at INTEGER,
	role       TEXT    NOT NULL CHECK (role IN ('viewer', 'operator', 'engineer', 'admin')),
	disabled   INTEGER NOT NULL CHECK (disabled IN (0, 1)),
	password   TEXT    NOT NULL
) STRICT;

-- A token without a user belongs to nobody.
CREATE TABLE tokens (
	id         INTEGER PRIMARY KEY,
	uuid       TEXT    NOT NULL UNIQUE,
	name       TEXT    NOT NULL UNIQUE,
	summary    TEXT    NOT NULL,
	version    INTEGER NOT NULL CHECK (version > 0),
	created_at INTEGER,
	updated_at INTEGER,
	user_uuid  TEXT    REFERENCES users (uuid) ON DELETE CASCADE,
	role       TEXT    NOT NULL CHECK (role IN ('viewer', 'operator', 'engineer', 'admin')),
	prefix     TEXT    NOT NULL,
	sum        TEXT    NOT NULL UNIQUE CHECK (length(sum) = 64),
	expires_at INTEGER,
	used_at    INTEGER
) STRICT;

CREATE INDEX tokens_user ON tokens (user_uuid);

CREATE TABLE sessions (
	id         INTEGER PRIMARY KEY,
	uuid       TEXT    NOT NULL UNIQUE,
	user_uuid  TEXT    NOT NULL REFERENCES users (uuid) ON DELETE CASCADE,
	sum        TEXT    NOT NULL UNIQUE CHECK (length(sum) = 64),
	"from"     TEXT    NOT NULL,
	created_at INTEGER NOT NULL,
	seen_at    INTEGER NOT NULL,
	expires_at INTEGER NOT NULL
) STRICT;

CREATE INDEX sessions_user ON sessions (user_uuid);
CREATE INDEX sessions_expiry ON sessions (expires_at);
