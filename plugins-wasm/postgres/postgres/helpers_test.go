//go:build linux

package postgres_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/shieldtest"
	"github.com/shieldhq/shield/internal/testserver"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugins-wasm/postgres/postgres"
)

func TestMain(m *testing.M) { shieldtest.Main(m) }

// both runs a test natively and in the sandbox.
func both(t *testing.T, f func(t *testing.T, o plugin.Opener)) {
	t.Helper()
	shieldtest.Both(t, "postgres", postgres.Plugin(), f)
}

type fields map[string]any

// endpoint returns the endpoint of a server, with more fields or others. One
// that is nil is left out.
func endpoint(t testing.TB, p *testserver.Postgres, more fields) shield.Endpoint {
	t.Helper()
	m := fields{"pg_user": "postgres"}
	if p != nil {
		m = fields{"pg_host": "127.0.0.1", "pg_port": p.Port, "pg_user": p.User, "pg_password": p.Password, "pg_bindir": testserver.PostgresBin}
	}
	maps.Copy(m, more)
	maps.DeleteFunc(m, func(_ string, v any) bool { return v == nil })
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A notes keeps what a plugin logs.
type notes struct {
	mu    sync.Mutex
	lines []string
}

func (n *notes) log(line string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lines = append(n.lines, line)
}

func (n *notes) text() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return strings.Join(n.lines, "\n")
}

func open(t testing.TB, o plugin.Opener, e shield.Endpoint) (plugin.Target, *notes) {
	t.Helper()
	n := &notes{}
	target, err := o.OpenTarget(t.Context(), e, n.log)
	if err != nil {
		t.Fatal(err)
	}
	return target, n
}

func backup(t testing.TB, o plugin.Opener, e shield.Endpoint) ([]byte, error) {
	t.Helper()
	target, n := open(t, o, e)
	var b bytes.Buffer
	err := target.Backup(t.Context(), &b)
	t.Log(n.text())
	return b.Bytes(), err
}

func mustBackup(t testing.TB, o plugin.Opener, e shield.Endpoint) []byte {
	t.Helper()
	b, err := backup(t, o, e)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func restore(t testing.TB, o plugin.Opener, e shield.Endpoint, b []byte) error {
	t.Helper()
	target, n := open(t, o, e)
	err := target.Restore(t.Context(), bytes.NewReader(b))
	t.Log(n.text())
	return err
}

func wantError(t testing.TB, err error, code shield.Code, texts ...string) {
	t.Helper()
	if shield.CodeOf(err) != code {
		t.Errorf("got %q: %v, want %q", shield.CodeOf(err), err, code)
		return
	}
	if err == nil {
		return
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("no %q in: %v", text, err)
		}
	}
}

// small makes a database with a little of much.
func small(p *testserver.Postgres, database string) {
	p.SQL("postgres", `CREATE DATABASE "`+database+`"`)
	p.SQL(database, `CREATE TABLE t (id serial PRIMARY KEY, name text);
INSERT INTO t (name) SELECT 'row ' || n FROM generate_series(1, 1000) n;
CREATE VIEW v AS SELECT * FROM t WHERE id < 10;
SELECT lo_from_bytea(4242, 'large');`)
}

// tool writes a script in the place of one of PostgreSQL's programs and
// returns the folder, where the others are the real ones.
func tool(t testing.TB, name, script string) string {
	t.Helper()
	dir := t.TempDir()
	for _, other := range []string{"psql", "pg_dump", "pg_dumpall", "pg_restore", "pg_basebackup"} {
		if err := os.Symlink(filepath.Join(testserver.PostgresBin, other), filepath.Join(dir, other)); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, name)
	_ = os.Remove(path) // only if it is one of them
	text := "#!/bin/sh\nreal=" + filepath.Join(testserver.PostgresBin, name) + "\n" +
		`case "$1" in --version) exec "$real" --version;; esac` + "\n" + script
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// difference says where two texts begin to differ.
func difference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	n := 0
	for n < min(len(g), len(w)) && g[n] == w[n] {
		n++
	}
	show := func(lines []string) string {
		return strings.Join(lines[max(0, n-5):min(len(lines), n+10)], "\n")
	}
	return fmt.Sprintf("from line %d: got\n%s\n\nwant\n%s", n+1, show(g), show(w))
}
