-- When retention looks next at the archives of a target. The version is raised
-- with every change of these, so that none is put off that was not seen.
CREATE TABLE reviews (
	id          INTEGER PRIMARY KEY,
	target_uuid TEXT    NOT NULL UNIQUE,
	due_at      INTEGER NOT NULL,
	version     INTEGER NOT NULL DEFAULT 1 CHECK (version > 0)
) STRICT;

CREATE INDEX reviews_due ON reviews (due_at, id);

INSERT INTO reviews (target_uuid, due_at)
SELECT target_uuid, min(coalesce(review_at, expires_at)) FROM archives
WHERE status = 'valid' AND held = 0 AND coalesce(review_at, expires_at) IS NOT NULL GROUP BY target_uuid;

DROP INDEX archives_expiry;
ALTER TABLE archives DROP COLUMN review_at;

CREATE TRIGGER archives_review_new AFTER INSERT ON archives
WHEN new.status = 'valid' AND new.held = 0 AND new.expires_at IS NOT NULL
BEGIN
	INSERT INTO reviews (target_uuid, due_at) VALUES (new.target_uuid, new.expires_at)
	ON CONFLICT (target_uuid) DO UPDATE SET due_at = min(due_at, excluded.due_at), version = version + 1;
END;

CREATE TRIGGER archives_review_changed AFTER UPDATE OF status, held, expires_at, suspicion, acknowledged_at ON archives
WHEN new.status = 'valid' AND new.held = 0 AND new.expires_at IS NOT NULL
BEGIN
	INSERT INTO reviews (target_uuid, due_at) VALUES (new.target_uuid, new.expires_at)
	ON CONFLICT (target_uuid) DO UPDATE SET due_at = min(due_at, excluded.due_at), version = version + 1;
END;
