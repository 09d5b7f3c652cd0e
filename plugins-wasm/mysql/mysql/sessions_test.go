//go:build linux

package mysql_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/shieldhq/shield/internal/testserver"
	"github.com/shieldhq/shield/plugin"
)

// TestSessions: what can be asked in one session is. Each is a program that
// starts and logs in.
func TestSessions(t *testing.T) {
	m := testserver.StartMariaDB(t)
	m.SQL("CREATE DATABASE a; USE a; CREATE TABLE t (id INT PRIMARY KEY)")
	runs := filepath.Join(t.TempDir(), "runs")
	x := target(t, endpoint(t, m, map[string]any{"mysql_database": "a", "mysql_bindir": tools(t, "mariadb", "echo >>"+runs+`; real "$@"`)}))
	var archive bytes.Buffer
	for _, c := range []struct {
		name string
		call func() error
		most int64
	}{
		{"probe", func() error { _, err := x.(plugin.Prober).Probe(t.Context()); return err }, 2},
		{"backup", func() error { return x.Backup(t.Context(), &archive) }, 1},
		{"restore", func() error { return x.Restore(t.Context(), &archive) }, 3}, // one of them loads
	} {
		if err := c.call(); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		info, err := os.Stat(runs)
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() > c.most {
			t.Errorf("%s: %d sessions, want %d", c.name, info.Size(), c.most)
		}
		if err := os.Remove(runs); err != nil {
			t.Fatal(err)
		}
	}
}
