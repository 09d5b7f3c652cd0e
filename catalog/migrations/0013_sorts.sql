-- What long lists can be sorted by, so that a page of one costs no more than
-- what is on it.
CREATE INDEX archives_raw_size ON archives (raw_size, id);
CREATE INDEX archives_stored_size ON archives (stored_size, id);
CREATE INDEX jobs_created ON jobs (created_at, id);
CREATE INDEX jobs_updated ON jobs (updated_at, id);
