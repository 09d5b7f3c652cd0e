//go:build linux

package mysql_test

import (
	"bytes"
	"testing"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/shieldtest"
	"github.com/shieldhq/shield/internal/testserver"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugin/plugintest"
	"github.com/shieldhq/shield/plugins-wasm/mysql/mysql"
)

// both runs a test natively and in the sandbox.
func both(t *testing.T, f func(t *testing.T, o plugin.Opener)) {
	t.Helper()
	shieldtest.Both(t, "mysql", mysql.Plugin(), f)
}

func TestConformance(t *testing.T) {
	m := testserver.StartMariaDB(t)
	m.SQL("CREATE DATABASE a; USE a; CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(2000)); INSERT INTO t SELECT seq, REPEAT('é', 1000) FROM seq_1_to_300; CREATE VIEW w AS SELECT id FROM t")
	both(t, func(t *testing.T, o plugin.Opener) {
		plugintest.Run(t, o, plugintest.Config{TargetEndpoint: endpoint(t, m, map[string]any{"mysql_database": "a"})})
	})
}

// TestSandbox: what works differently there.
func TestSandbox(t *testing.T) {
	m, other := testserver.StartMariaDB(t), testserver.StartMariaDB(t)
	m.SQL(content)
	open := func(e shield.Endpoint) plugin.Target {
		t.Helper()
		x, err := shieldtest.Sandboxed(t, "mysql").OpenTarget(t.Context(), e, func(line string) { t.Log(line) })
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	want := snapshot(t, m, oddName, "shop")
	var archive bytes.Buffer
	if err := open(endpoint(t, m, nil)).Backup(t.Context(), &archive); err != nil {
		t.Fatal(err)
	}
	if err := open(endpoint(t, other, map[string]any{"mysql_socket": other.Socket})).Restore(t.Context(), &archive); err != nil {
		t.Fatal(err)
	}
	same(t, snapshot(t, other, oddName, "shop"), want)
	e := endpoint(t, m, map[string]any{"mysql_database": "shop", "mysql_bindir": tools(t, "mariadb-dump", `real "$@" | head -c 100000`)})
	wantError(t, open(e).Backup(t.Context(), &bytes.Buffer{}), shield.TargetFailed, "before its mark")
	e = endpoint(t, m, map[string]any{"mysql_bindir": t.TempDir()})
	wantError(t, open(e).Backup(t.Context(), &bytes.Buffer{}), shield.Invalid, "mysql_bindir.*mariadb-client")
	e = endpoint(t, m, map[string]any{"mysql_password": "wrong"})
	wantError(t, open(e).Backup(t.Context(), &bytes.Buffer{}), shield.Unauthorized, "1045")
}
