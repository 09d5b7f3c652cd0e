//go:build linux

package mysql_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/testserver"
	"github.com/shieldhq/shield/plugin"
)

// TestTLS: what each mode takes and refuses.
func TestTLS(t *testing.T) {
	ca, stranger := testserver.NewCA(t), testserver.NewCA(t)
	server := func(hosts ...string) *testserver.MariaDB {
		t.Helper()
		dir := testserver.Dir(t)
		cert, key := ca.Issue(hosts...)
		for name, text := range map[string]string{"ca": ca.PEM, "cert": cert, "key": key} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		m := testserver.StartMariaDB(t, "--ssl-ca="+dir+"/ca", "--ssl-cert="+dir+"/cert", "--ssl-key="+dir+"/key")
		m.SQL("CREATE USER tls@'%' IDENTIFIED BY 'pw' REQUIRE SSL; GRANT ALL ON *.* TO tls@'%'; CREATE USER x509@'%' IDENTIFIED BY 'pw' REQUIRE X509; GRANT ALL ON *.* TO x509@'%'")
		return m
	}
	right, wrong, none := server("localhost"), server("elsewhere"), testserver.StartMariaDB(t, "--skip-ssl")
	cert, key := ca.Issue("client")
	for _, c := range []struct {
		name   string
		server *testserver.MariaDB
		fields map[string]any
		code   shield.Code // empty if it works
	}{
		{"disabled", right, map[string]any{"mysql_tls": "disabled"}, ""},
		{"disabled where it is wanted", right, map[string]any{"mysql_tls": "disabled", "mysql_user": "tls", "mysql_password": "pw"}, shield.Unauthorized},
		{"required", right, map[string]any{"mysql_tls": "require", "mysql_user": "tls", "mysql_password": "pw"}, ""},
		{"required of a server without", none, map[string]any{"mysql_tls": "require"}, shield.TargetFailed},
		{"required, any certificate", wrong, map[string]any{"mysql_tls": "require"}, ""},
		{"the CA", right, map[string]any{"mysql_tls": "verify-ca", "mysql_tls_ca": ca.PEM}, ""},
		{"another CA", right, map[string]any{"mysql_tls": "verify-ca", "mysql_tls_ca": stranger.PEM}, shield.TargetFailed},
		{"the CA, another host", wrong, map[string]any{"mysql_tls": "verify-ca", "mysql_tls_ca": ca.PEM}, shield.TargetFailed}, // MariaDB's tools compare it as well
		{"the CA of a server without", none, map[string]any{"mysql_tls": "verify-ca", "mysql_tls_ca": ca.PEM}, shield.TargetFailed},
		{"the host", right, map[string]any{"mysql_tls": "verify-full", "mysql_tls_ca": ca.PEM}, ""},
		{"another host", wrong, map[string]any{"mysql_tls": "verify-full", "mysql_tls_ca": ca.PEM}, shield.TargetFailed},
		{"a client certificate", right, map[string]any{"mysql_tls": "verify-ca", "mysql_tls_ca": ca.PEM, "mysql_tls_cert": cert, "mysql_tls_key": key, "mysql_user": "x509", "mysql_password": "pw"}, ""},
		{"no client certificate", right, map[string]any{"mysql_tls": "require", "mysql_user": "x509", "mysql_password": "pw"}, shield.Unauthorized},
	} {
		t.Run(c.name, func(t *testing.T) {
			fields := map[string]any{"mysql_host": "localhost"}
			for name, value := range c.fields {
				fields[name] = value
			}
			err := target(t, endpoint(t, c.server, fields)).(plugin.Tester).Test(t.Context())
			if shield.CodeOf(err) != c.code && (err != nil || c.code != "") {
				t.Errorf("%s: %v; want %q", shield.CodeOf(err), err, c.code)
			}
		})
	}
}
