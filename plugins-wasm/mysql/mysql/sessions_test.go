//go:build linux

package mysql_test

import (
	"path/filepath"
	"testing"

	"github.com/shieldhq/shield/internal/shieldtest"
	"github.com/shieldhq/shield/internal/testserver"
)

// TestSessions: what can be asked in one session is. Each is a program that
// starts and logs in.
func TestSessions(t *testing.T) {
	m := testserver.StartMariaDB(t)
	m.SQL("CREATE DATABASE a; USE a; CREATE TABLE t (id INT PRIMARY KEY)")
	runs := filepath.Join(t.TempDir(), "runs")
	x := target(t, endpoint(t, m, map[string]any{"mysql_database": "a", "mysql_bindir": tools(t, "mariadb", "echo >>"+runs+`; real "$@"`)}))
	shieldtest.Sessions{Probe: 2, Backup: 1, Restore: 3}.Check(t, x, runs) // one of those of a restore loads
}
