-- Targets that exist to be overwritten.
ALTER TABLE targets ADD COLUMN scratch INTEGER NOT NULL DEFAULT 0 CHECK (scratch IN (0, 1));
