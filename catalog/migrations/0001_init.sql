-- Times are integers: milliseconds since 1970-01-01T00:00:00Z; NULL is "never".
-- Each table has its own id so that VACUUM cannot renumber rows: id is the
-- order of insertion and breaks ties.

CREATE TABLE targets (
	id         INTEGER PRIMARY KEY,
	uuid       TEXT    NOT NULL UNIQUE,
	name       TEXT    NOT NULL UNIQUE,
	summary    TEXT    NOT NULL,
	version    INTEGER NOT NULL CHECK (version > 0),
	created_at INTEGER,
	updated_at INTEGER,
	plugin     TEXT    NOT NULL,
	agent      TEXT    NOT NULL,
	endpoint   TEXT    NOT NULL
) STRICT;

CREATE TABLE stores (
	id         INTEGER PRIMARY KEY,
	uuid       TEXT    NOT NULL UNIQUE,
	name       TEXT    NOT NULL UNIQUE,
	summary    TEXT    NOT NULL,
	version    INTEGER NOT NULL CHECK (version > 0),
	created_at INTEGER,
	updated_at INTEGER,
	plugin     TEXT    NOT NULL,
	endpoint   TEXT    NOT NULL
) STRICT;

CREATE TABLE schedules (
	id         INTEGER PRIMARY KEY,
	uuid       TEXT    NOT NULL UNIQUE,
	name       TEXT    NOT NULL UNIQUE,
	summary    TEXT    NOT NULL,
	version    INTEGER NOT NULL CHECK (version > 0),
	created_at INTEGER,
	updated_at INTEGER,
	timespec   TEXT    NOT NULL,
	timezone   TEXT    NOT NULL
) STRICT;

CREATE TABLE retention (
	id         INTEGER PRIMARY KEY,
	uuid       TEXT    NOT NULL UNIQUE,
	name       TEXT    NOT NULL UNIQUE,
	summary    TEXT    NOT NULL,
	version    INTEGER NOT NULL CHECK (version > 0),
	created_at INTEGER,
	updated_at INTEGER,
	expiry     INTEGER NOT NULL CHECK (expiry > 0)
) STRICT;

CREATE TABLE jobs (
	id             INTEGER PRIMARY KEY,
	uuid           TEXT    NOT NULL UNIQUE,
	name           TEXT    NOT NULL UNIQUE,
	summary        TEXT    NOT NULL,
	version        INTEGER NOT NULL CHECK (version > 0),
	created_at     INTEGER,
	updated_at     INTEGER,
	target_uuid    TEXT    NOT NULL REFERENCES targets (uuid) ON DELETE RESTRICT,
	store_uuid     TEXT    NOT NULL REFERENCES stores (uuid) ON DELETE RESTRICT,
	schedule_uuid  TEXT    NOT NULL REFERENCES schedules (uuid) ON DELETE RESTRICT,
	retention_uuid TEXT    NOT NULL REFERENCES retention (uuid) ON DELETE RESTRICT,
	priority       INTEGER NOT NULL DEFAULT 50 CHECK (priority BETWEEN 0 AND 100),
	paused         INTEGER NOT NULL DEFAULT 0 CHECK (paused IN (0, 1)),
	compression    TEXT    NOT NULL DEFAULT '',
	unencrypted    INTEGER NOT NULL DEFAULT 0 CHECK (unencrypted IN (0, 1)),
	timeout        INTEGER NOT NULL DEFAULT 0 CHECK (timeout >= 0)
) STRICT;

CREATE INDEX jobs_target ON jobs (target_uuid);
CREATE INDEX jobs_store ON jobs (store_uuid);
CREATE INDEX jobs_schedule ON jobs (schedule_uuid);
CREATE INDEX jobs_retention ON jobs (retention_uuid);

-- target_uuid and store_uuid are history and outlive what they name. The
-- generated target_held and store_held carry the foreign keys: they hold the
-- target and the store of every archive that still has bytes somewhere, and
-- let go when it is purged. target_name and store_name are the last names.
CREATE TABLE archives (
	id             INTEGER PRIMARY KEY,
	uuid           TEXT    NOT NULL UNIQUE,
	target_uuid    TEXT    NOT NULL,
	target_name    TEXT    NOT NULL,
	store_uuid     TEXT    NOT NULL,
	store_name     TEXT    NOT NULL,
	job_uuid       TEXT    NOT NULL,
	store_key      TEXT    NOT NULL,
	manifest_key   TEXT    NOT NULL,
	taken_at       INTEGER NOT NULL,
	expires_at     INTEGER,
	notes          TEXT    NOT NULL,
	status         TEXT    NOT NULL CHECK (status IN ('valid', 'expired', 'purging', 'purged', 'invalid')),
	purge_reason   TEXT    NOT NULL,
	plugin         TEXT    NOT NULL,
	plugin_version TEXT    NOT NULL,
	plugin_digest  TEXT    NOT NULL,
	compression    TEXT    NOT NULL,
	encrypted      INTEGER NOT NULL CHECK (encrypted IN (0, 1)),
	raw_size       INTEGER NOT NULL,
	raw_digest     TEXT    NOT NULL,
	stored_size    INTEGER NOT NULL,
	stored_digest  TEXT    NOT NULL,
	seal           TEXT    NOT NULL,
	frames         INTEGER NOT NULL,
	target_held    TEXT GENERATED ALWAYS AS (CASE status WHEN 'purged' THEN NULL ELSE target_uuid END) STORED
		REFERENCES targets (uuid) ON DELETE RESTRICT,
	store_held     TEXT GENERATED ALWAYS AS (CASE status WHEN 'purged' THEN NULL ELSE store_uuid END) STORED
		REFERENCES stores (uuid) ON DELETE RESTRICT
) STRICT;

CREATE INDEX archives_taken ON archives (taken_at, id);
CREATE INDEX archives_status ON archives (status, taken_at, id);
CREATE INDEX archives_target ON archives (target_uuid, taken_at, id);
CREATE INDEX archives_store ON archives (store_uuid, taken_at, id);
CREATE INDEX archives_job ON archives (job_uuid, taken_at, id);
CREATE INDEX archives_expiry ON archives (expires_at) WHERE status = 'valid';
CREATE INDEX archives_newest ON archives (target_uuid, taken_at, id) WHERE status = 'valid';
CREATE INDEX archives_target_held ON archives (target_held) WHERE target_held IS NOT NULL;
CREATE INDEX archives_store_held ON archives (store_held) WHERE store_held IS NOT NULL;

-- Everything a task names is a copy, so that history outlives what it names.
-- The big columns are last: reading the others does not touch their pages.
CREATE TABLE tasks (
	id              INTEGER PRIMARY KEY,
	uuid            TEXT    NOT NULL UNIQUE,
	owner           TEXT    NOT NULL,
	op              TEXT    NOT NULL CHECK (op IN ('backup', 'restore', 'purge', 'test-store')),
	status          TEXT    NOT NULL CHECK (status IN ('pending', 'running', 'done', 'failed', 'canceled')),
	priority        INTEGER NOT NULL DEFAULT 50 CHECK (priority BETWEEN 0 AND 100),
	job_uuid        TEXT    NOT NULL,
	job_name        TEXT    NOT NULL,
	archive_uuid    TEXT    NOT NULL,
	target_uuid     TEXT    NOT NULL,
	target_name     TEXT    NOT NULL,
	target_plugin   TEXT    NOT NULL,
	store_uuid      TEXT    NOT NULL,
	store_name      TEXT    NOT NULL,
	store_plugin    TEXT    NOT NULL,
	agent           TEXT    NOT NULL,
	restore_key     TEXT    NOT NULL,
	manifest_key    TEXT    NOT NULL,
	retention       INTEGER NOT NULL,
	compression     TEXT    NOT NULL,
	unencrypted     INTEGER NOT NULL CHECK (unencrypted IN (0, 1)),
	requested_at    INTEGER NOT NULL,
	started_at      INTEGER,
	stopped_at      INTEGER,
	timeout_at      INTEGER,
	timeout         INTEGER NOT NULL,
	attempts        INTEGER NOT NULL,
	not_before      INTEGER,
	lease_owner     TEXT    NOT NULL,
	lease_epoch     INTEGER NOT NULL,
	lease_expires   INTEGER,
	error_code      TEXT    NOT NULL,
	error           TEXT    NOT NULL,
	raw_bytes       INTEGER NOT NULL,
	stored_bytes    INTEGER NOT NULL,
	rate            INTEGER NOT NULL,
	total_bytes     INTEGER NOT NULL,
	expected        TEXT    NOT NULL,
	target_endpoint TEXT    NOT NULL,
	store_endpoint  TEXT    NOT NULL,
	log             TEXT    NOT NULL
) STRICT;

-- One minute of waiting outweighs one step of priority. Written as a sum the
-- order does not depend on the clock, so an index can keep it.
CREATE INDEX tasks_claim ON tasks (priority * 60000 + requested_at, requested_at, id, not_before, job_uuid, target_uuid, op)
	WHERE status = 'pending';
CREATE INDEX tasks_running_job ON tasks (job_uuid) WHERE status = 'running';
CREATE INDEX tasks_running_target ON tasks (target_uuid, op) WHERE status = 'running';
CREATE INDEX tasks_requested ON tasks (requested_at, id);
CREATE INDEX tasks_status ON tasks (status, requested_at, id);
CREATE INDEX tasks_job ON tasks (job_uuid, requested_at, id);
CREATE INDEX tasks_target ON tasks (target_uuid, requested_at, id);
CREATE INDEX tasks_store ON tasks (store_uuid, requested_at, id);

CREATE TABLE runs (
	id        INTEGER PRIMARY KEY,
	uuid      TEXT    NOT NULL UNIQUE,
	job_uuid  TEXT    NOT NULL,
	due_at    INTEGER NOT NULL,
	task_uuid TEXT    NOT NULL,
	status    TEXT    NOT NULL CHECK (status IN ('due', 'started', 'succeeded', 'failed', 'missed', 'skipped')),
	reason    TEXT    NOT NULL,
	UNIQUE (job_uuid, due_at)
) STRICT;

CREATE INDEX runs_due ON runs (due_at, id);
CREATE INDEX runs_status ON runs (status, due_at, id);
CREATE INDEX runs_task ON runs (task_uuid) WHERE task_uuid <> '';

-- AUTOINCREMENT: an id is never given twice, so readers can resume after one.
CREATE TABLE events (
	id      INTEGER PRIMARY KEY AUTOINCREMENT,
	at      INTEGER NOT NULL,
	kind    TEXT    NOT NULL,
	subject TEXT    NOT NULL,
	message TEXT    NOT NULL
) STRICT;

CREATE INDEX events_at ON events (at, id);
