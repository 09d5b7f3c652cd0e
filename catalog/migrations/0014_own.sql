-- What an archive has in its store is its own: no other may have the same key, nor
-- be opened by the same one.
CREATE INDEX archives_key ON archives (store_uuid, store_key) WHERE status <> 'purged';
CREATE INDEX archives_manifest ON archives (store_uuid, manifest_key) WHERE status <> 'purged';
CREATE INDEX archives_seal ON archives (seal) WHERE seal <> '';
