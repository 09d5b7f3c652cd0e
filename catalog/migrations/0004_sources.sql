-- What a target said of itself before the dump, as JSON; empty if it did not.
ALTER TABLE archives ADD COLUMN versions TEXT NOT NULL DEFAULT '';
ALTER TABLE archives ADD COLUMN counts TEXT NOT NULL DEFAULT '';

-- How fast bytes may move, as JSON; empty for no limit.
ALTER TABLE stores ADD COLUMN rate_limit TEXT NOT NULL DEFAULT '';

-- Tasks get more operations, of which the program has the list, and columns
-- for the limit of their store and for what they found out. SQLite can change
-- a CHECK only by making the table anew. The big columns stay last.
CREATE TABLE tasks_new (
	id              INTEGER PRIMARY KEY,
	uuid            TEXT    NOT NULL UNIQUE,
	owner           TEXT    NOT NULL,
	op              TEXT    NOT NULL CHECK (op <> ''),
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
	store_limit     TEXT    NOT NULL DEFAULT '',
	expected        TEXT    NOT NULL,
	target_endpoint TEXT    NOT NULL,
	store_endpoint  TEXT    NOT NULL,
	findings        TEXT    NOT NULL DEFAULT '',
	log             TEXT    NOT NULL
) STRICT;

INSERT INTO tasks_new (id, uuid, owner, op, status, priority, job_uuid, job_name, archive_uuid,
	target_uuid, target_name, target_plugin, store_uuid, store_name, store_plugin, agent, restore_key, manifest_key,
	retention, compression, unencrypted, requested_at, started_at, stopped_at, timeout_at, timeout, attempts, not_before,
	lease_owner, lease_epoch, lease_expires, error_code, error, raw_bytes, stored_bytes, rate, total_bytes,
	expected, target_endpoint, store_endpoint, log)
SELECT id, uuid, owner, op, status, priority, job_uuid, job_name, archive_uuid,
	target_uuid, target_name, target_plugin, store_uuid, store_name, store_plugin, agent, restore_key, manifest_key,
	retention, compression, unencrypted, requested_at, started_at, stopped_at, timeout_at, timeout, attempts, not_before,
	lease_owner, lease_epoch, lease_expires, error_code, error, raw_bytes, stored_bytes, rate, total_bytes,
	expected, target_endpoint, store_endpoint, log
FROM tasks;

DROP TABLE tasks;
ALTER TABLE tasks_new RENAME TO tasks;

CREATE INDEX tasks_claim ON tasks (priority * 60000 + requested_at, requested_at, id, not_before, job_uuid, target_uuid, op)
	WHERE status = 'pending';
CREATE INDEX tasks_running_job ON tasks (job_uuid) WHERE status = 'running';
CREATE INDEX tasks_running_target ON tasks (target_uuid, op) WHERE status = 'running';
CREATE INDEX tasks_requested ON tasks (requested_at, id);
CREATE INDEX tasks_status ON tasks (status, requested_at, id);
CREATE INDEX tasks_job ON tasks (job_uuid, requested_at, id);
CREATE INDEX tasks_target ON tasks (target_uuid, requested_at, id);
CREATE INDEX tasks_store ON tasks (store_uuid, requested_at, id);
