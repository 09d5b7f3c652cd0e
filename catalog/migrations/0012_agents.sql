-- Agents, made by redeeming tokens. skew is in milliseconds; labels and plugins
-- are JSON.
CREATE TABLE agents (
	id            INTEGER PRIMARY KEY,
	uuid          TEXT    NOT NULL UNIQUE,
	name          TEXT    NOT NULL UNIQUE,
	summary       TEXT    NOT NULL,
	version       INTEGER NOT NULL CHECK (version > 0),
	created_at    INTEGER,
	updated_at    INTEGER,
	labels        TEXT    NOT NULL,
	dial          TEXT    NOT NULL,
	expires_at    INTEGER,
	address       TEXT    NOT NULL,
	release       TEXT    NOT NULL,
	os            TEXT    NOT NULL,
	plugins       TEXT    NOT NULL,
	skew          INTEGER NOT NULL,
	last_seen_at  INTEGER,
	last_error_at INTEGER,
	last_error    TEXT    NOT NULL,
	unseen        INTEGER NOT NULL DEFAULT 0 CHECK (unseen IN (0, 1))
) STRICT;

-- Tokens to join with: only digests of their secrets are kept, and which key
-- has redeemed them.
CREATE TABLE agent_tokens (
	id         INTEGER PRIMARY KEY,
	name       TEXT    NOT NULL UNIQUE,
	digest     TEXT    NOT NULL UNIQUE,
	labels     TEXT    NOT NULL,
	dial       TEXT    NOT NULL,
	created_at INTEGER NOT NULL,
	expires_at INTEGER NOT NULL,
	used_by    TEXT    NOT NULL DEFAULT ''
) STRICT;

-- Where a store is reached from.
ALTER TABLE stores ADD COLUMN agent TEXT NOT NULL DEFAULT '';
