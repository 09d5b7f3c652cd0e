-- A change of an archive is refused if it was made of an older version.
ALTER TABLE archives ADD COLUMN version INTEGER NOT NULL DEFAULT 1 CHECK (version > 0);

-- Retention decides about all valid archives of a target.
DROP INDEX archives_newest;
CREATE INDEX archives_valid ON archives (target_uuid, taken_at, id) WHERE status = 'valid';
CREATE INDEX archives_going ON archives (uuid) WHERE status IN ('expired', 'purging');

-- The versions of a job and of a schedule that the recorded runs go by. Those
-- that are newer are planned anew.
ALTER TABLE jobs      ADD COLUMN planned INTEGER NOT NULL DEFAULT 0;
ALTER TABLE schedules ADD COLUMN planned INTEGER NOT NULL DEFAULT 0;

CREATE INDEX jobs_unplanned ON jobs (uuid) WHERE planned <> version;
CREATE INDEX schedules_unplanned ON schedules (uuid) WHERE planned <> version;
DROP INDEX jobs_schedule;
CREATE INDEX jobs_schedule ON jobs (schedule_uuid, uuid);

-- What works for a job, and on an archive, now.
CREATE INDEX tasks_open_job ON tasks (job_uuid, requested_at, id, op) WHERE status IN ('pending', 'running');
CREATE INDEX tasks_open_archive ON tasks (archive_uuid, requested_at, id, op) WHERE status IN ('pending', 'running');
