-- The modules of sandboxed plugins: several versions of a name, one current.
CREATE TABLE modules (
	id           INTEGER PRIMARY KEY,
	name         TEXT    NOT NULL,
	digest       TEXT    NOT NULL,
	version      TEXT    NOT NULL,
	info         TEXT    NOT NULL,
	"grant"      TEXT    NOT NULL,
	bundled      INTEGER NOT NULL CHECK (bundled IN (0, 1)),
	current      INTEGER NOT NULL CHECK (current IN (0, 1)),
	installed_at INTEGER NOT NULL,
	UNIQUE (name, digest)
) STRICT;

CREATE UNIQUE INDEX modules_current ON modules (name) WHERE current = 1;
CREATE INDEX archives_plugin ON archives (plugin, plugin_digest) WHERE status <> 'purged';
