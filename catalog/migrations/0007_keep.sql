-- Archives that do not look like those before them, until somebody says that
-- they are fine; and since when the blob of an archive is not in its store.
ALTER TABLE archives ADD COLUMN suspicion         TEXT NOT NULL DEFAULT '';
ALTER TABLE archives ADD COLUMN acknowledged_at   INTEGER;
ALTER TABLE archives ADD COLUMN acknowledged_by   TEXT NOT NULL DEFAULT '';
ALTER TABLE archives ADD COLUMN acknowledged_note TEXT NOT NULL DEFAULT '';
ALTER TABLE archives ADD COLUMN missing_at        INTEGER;

CREATE INDEX archives_suspicious ON archives (taken_at, id) WHERE suspicion <> '' AND acknowledged_at IS NULL;

-- The newest valid archive of a target that lets older ones go is one that
-- nobody suspects.
DROP INDEX archives_newest;
CREATE INDEX archives_newest ON archives (target_uuid, taken_at, id)
	WHERE status = 'valid' AND (suspicion = '' OR acknowledged_at IS NOT NULL);
