//go:build linux

package postgres_test

import (
	"path/filepath"
	"testing"

	"github.com/shieldhq/shield/internal/shieldtest"
	"github.com/shieldhq/shield/internal/testserver"
	"github.com/shieldhq/shield/plugins-wasm/postgres/postgres"
)

// TestSessions: what can be asked in one session is. Each is a program that
// starts and logs in.
func TestSessions(t *testing.T) {
	p := testserver.StartPostgres(t)
	small(p, "app")
	runs := filepath.Join(t.TempDir(), "runs")
	e := endpoint(t, p, fields{"pg_database": "app", "pg_bindir": tool(t, "psql", "echo >>"+runs+"\nexec \"$real\" \"$@\"\n")})
	target, _ := open(t, postgres.Plugin(), e)
	shieldtest.Sessions{Probe: 1, Backup: 1, Restore: 4}.Check(t, target, runs)
}
