//go:build linux

package postgres_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/shieldhq/shield/internal/testserver"
	"github.com/shieldhq/shield/plugin"
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
	var archive bytes.Buffer
	for _, c := range []struct {
		name string
		call func() error
		most int64
	}{
		{"probe", func() error { _, err := target.(plugin.Prober).Probe(t.Context()); return err }, 1},
		{"backup", func() error { return target.Backup(t.Context(), &archive) }, 1},
		{"restore", func() error { return target.Restore(t.Context(), &archive) }, 4},
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
