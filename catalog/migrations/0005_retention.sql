-- Rules that want archives beyond their expiry.
ALTER TABLE retention ADD COLUMN keep_last    INTEGER NOT NULL DEFAULT 0 CHECK (keep_last >= 0);
ALTER TABLE retention ADD COLUMN keep_hourly  INTEGER NOT NULL DEFAULT 0 CHECK (keep_hourly >= 0);
ALTER TABLE retention ADD COLUMN keep_daily   INTEGER NOT NULL DEFAULT 0 CHECK (keep_daily >= 0);
ALTER TABLE retention ADD COLUMN keep_weekly  INTEGER NOT NULL DEFAULT 0 CHECK (keep_weekly >= 0);
ALTER TABLE retention ADD COLUMN keep_monthly INTEGER NOT NULL DEFAULT 0 CHECK (keep_monthly >= 0);
ALTER TABLE retention ADD COLUMN keep_yearly  INTEGER NOT NULL DEFAULT 0 CHECK (keep_yearly >= 0);
ALTER TABLE retention ADD COLUMN min_valid    INTEGER NOT NULL DEFAULT 0 CHECK (min_valid >= 0);
ALTER TABLE retention ADD COLUMN timezone     TEXT    NOT NULL DEFAULT '';

-- Archives that somebody holds, and those that a rule keeps until it is looked
-- at again.
ALTER TABLE archives ADD COLUMN held      INTEGER NOT NULL DEFAULT 0 CHECK (held IN (0, 1));
ALTER TABLE archives ADD COLUMN review_at INTEGER;

DROP INDEX archives_expiry;
CREATE INDEX archives_expiry ON archives (coalesce(review_at, expires_at), id) WHERE status = 'valid' AND held = 0;
