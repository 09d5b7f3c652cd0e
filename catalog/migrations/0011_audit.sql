-- The audit log: each entry has the hash of the one before. It only grows.
CREATE TABLE audit (
	id     INTEGER PRIMARY KEY,
	at     INTEGER NOT NULL,
	who    TEXT    NOT NULL,
	"from" TEXT    NOT NULL,
	action TEXT    NOT NULL,
	object TEXT    NOT NULL,
	result TEXT    NOT NULL,
	before TEXT    NOT NULL,
	sum    TEXT    NOT NULL CHECK (length(sum) = 64)
) STRICT;

CREATE INDEX audit_at ON audit (at, id);
CREATE INDEX audit_who ON audit (who, id);

CREATE TRIGGER audit_kept BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log only grows'); END;
CREATE TRIGGER audit_grows BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log only grows'); END;
