-- The public keys that an archive is sealed to, as a JSON array.
ALTER TABLE archives ADD COLUMN recipients TEXT NOT NULL DEFAULT '';
