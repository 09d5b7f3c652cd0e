-- What else a job says: what becomes of a run that overlaps with another, how
-- often a backup is tried and how many seconds after the first failure, after
-- how many seconds without a byte it is ended, and how old in seconds the newest
-- good backup may be. last_success is when that was taken; breached, whether an
-- event has said that the objective is missed.
ALTER TABLE jobs ADD COLUMN overlap      TEXT    NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN attempts     INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0);
ALTER TABLE jobs ADD COLUMN backoff      INTEGER NOT NULL DEFAULT 0 CHECK (backoff >= 0);
ALTER TABLE jobs ADD COLUMN idle_timeout INTEGER NOT NULL DEFAULT 0 CHECK (idle_timeout >= 0);
ALTER TABLE jobs ADD COLUMN rpo          INTEGER NOT NULL DEFAULT 0 CHECK (rpo >= 0);
ALTER TABLE jobs ADD COLUMN last_success INTEGER;
ALTER TABLE jobs ADD COLUMN breached     INTEGER NOT NULL DEFAULT 0 CHECK (breached IN (0, 1));

UPDATE jobs SET last_success = (SELECT max(taken_at) FROM archives WHERE job_uuid = jobs.uuid);

CREATE INDEX jobs_objective ON jobs (coalesce(last_success, created_at, 0) + rpo * 1000) WHERE rpo > 0 AND breached = 0;
CREATE INDEX jobs_breached ON jobs (id) WHERE breached = 1;
CREATE INDEX runs_next ON runs (job_uuid, due_at) WHERE status = 'due';

-- How many tasks may work on it, or with it, at once; 0 for no limit.
ALTER TABLE targets ADD COLUMN max_tasks INTEGER NOT NULL DEFAULT 0 CHECK (max_tasks >= 0);
ALTER TABLE stores  ADD COLUMN max_tasks INTEGER NOT NULL DEFAULT 0 CHECK (max_tasks >= 0);

-- Tasks say how often they are tried and how long they may be idle. The table
-- is made anew so that the big columns stay last.
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
	idle_timeout    INTEGER NOT NULL DEFAULT 0,
	attempts        INTEGER NOT NULL,
	max_attempts    INTEGER NOT NULL DEFAULT 0,
	backoff         INTEGER NOT NULL DEFAULT 0,
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
	store_limit, expected, target_endpoint, store_endpoint, findings, log)
SELECT id, uuid, owner, op, status, priority, job_uuid, job_name, archive_uuid,
	target_uuid, target_name, target_plugin, store_uuid, store_name, store_plugin, agent, restore_key, manifest_key,
	retention, compression, unencrypted, requested_at, started_at, stopped_at, timeout_at, timeout, attempts, not_before,
	lease_owner, lease_epoch, lease_expires, error_code, error, raw_bytes, stored_bytes, rate, total_bytes,
	store_limit, expected, target_endpoint, store_endpoint, findings, log
FROM tasks;

DROP TABLE tasks;
ALTER TABLE tasks_new RENAME TO tasks;

CREATE INDEX tasks_claim ON tasks (priority * 60000 + requested_at, requested_at, id, not_before, job_uuid, target_uuid, store_uuid, agent, op)
	WHERE status = 'pending';
CREATE INDEX tasks_running_job ON tasks (job_uuid) WHERE status = 'running';
CREATE INDEX tasks_running_target ON tasks (target_uuid, op) WHERE status = 'running';
CREATE INDEX tasks_running_store ON tasks (store_uuid) WHERE status = 'running';
CREATE INDEX tasks_running_agent ON tasks (agent) WHERE status = 'running';
CREATE INDEX tasks_requested ON tasks (requested_at, id);
CREATE INDEX tasks_status ON tasks (status, requested_at, id);
CREATE INDEX tasks_job ON tasks (job_uuid, requested_at, id);
CREATE INDEX tasks_target ON tasks (target_uuid, requested_at, id);
CREATE INDEX tasks_store ON tasks (store_uuid, requested_at, id);
