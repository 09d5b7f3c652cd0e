-- What else a schedule says: seconds of jitter, windows without runs (a JSON
-- list of texts), and whether missed runs are caught up ('' is one).
ALTER TABLE schedules ADD COLUMN jitter   INTEGER NOT NULL DEFAULT 0 CHECK (jitter >= 0);
ALTER TABLE schedules ADD COLUMN blackout TEXT    NOT NULL DEFAULT '[]';
ALTER TABLE schedules ADD COLUMN catch_up TEXT    NOT NULL DEFAULT '';
