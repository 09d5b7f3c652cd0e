//go:build linux

package mysql_test

import (
	"bytes"
	"context"
	"encoding/json"
	"regexp"
	"testing"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/shieldtest"
	"github.com/shieldhq/shield/internal/testserver"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugins-wasm/mysql/mysql"
)

func TestMain(m *testing.M) { shieldtest.Main(m) }

// endpoint returns the endpoint of a server, as root, with more fields.
func endpoint(t testing.TB, m *testserver.MariaDB, fields map[string]any) shield.Endpoint {
	t.Helper()
	all := map[string]any{"mysql_host": "127.0.0.1", "mysql_port": m.Port, "mysql_user": "root", "mysql_password": m.Password}
	for name, value := range fields {
		all[name] = value
	}
	b, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// target opens the plugin as it is compiled in.
func target(t testing.TB, e shield.Endpoint) plugin.Target {
	t.Helper()
	x, err := mysql.Plugin().OpenTarget(context.Background(), e, func(line string) { t.Log(line) })
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func backup(t testing.TB, e shield.Endpoint) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := target(t, e).Backup(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func restore(t testing.TB, e shield.Endpoint, archive []byte) {
	t.Helper()
	if err := target(t, e).Restore(t.Context(), bytes.NewReader(archive)); err != nil {
		t.Fatal(err)
	}
}

// wantError fails the test unless the error has the code and the text.
func wantError(t testing.TB, err error, code shield.Code, text string) {
	t.Helper()
	if shield.CodeOf(err) != code || err == nil || !regexp.MustCompile(text).MatchString(err.Error()) {
		t.Errorf("got %s: %v; want %s: %s", shield.CodeOf(err), err, code, text)
	}
}
