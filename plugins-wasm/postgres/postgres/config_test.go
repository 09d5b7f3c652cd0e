//go:build linux

package postgres_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugins-wasm/postgres/postgres"
)

const pem = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"

// TestValidate checks what the plugin says of endpoints, field and all.
func TestValidate(t *testing.T) {
	for _, c := range []struct {
		name  string
		more  fields
		field string // "" if the endpoint is good
	}{
		{"the least", nil, ""},
		{"as the predecessor has them", fields{
			"pg_host": "h", "pg_port": "5432", "pg_password": "x", "pg_database": "d", "pg_read_replica_host": "r",
			"pg_read_replica_port": "5433", "pg_options": "--no-comments -T 'a b'", "pg_bindir": "/var/vcap/packages/postgres-9.4/bin",
		}, ""},
		{"no role", fields{"pg_user": nil}, "pg_user"},
		{"a bad port", fields{"pg_port": 70000}, "pg_port"},
		{"an unknown field", fields{"host": "x"}, "host"},
		{"names", fields{"pg_database": `a, "b,c","d""e"`}, ""},
		{"an empty name", fields{"pg_database": "a,,b"}, "pg_database"},
		{"an open quote", fields{"pg_database": `"a`}, "pg_database"},
		{"text after a quote", fields{"pg_database": `"a"b`}, "pg_database"},
		{"a long name", fields{"pg_database": strings.Repeat("x", 64)}, "pg_database"},
		{"a replica's port alone", fields{"pg_read_replica_port": 5433}, "pg_read_replica_port"},
		{"an option of ours", fields{"pg_options": "-Fp"}, "pg_options"},
		{"another option of ours", fields{"pg_options": "--file=/etc/passwd"}, "pg_options"},
		{"options that do not end", fields{"pg_options": "'"}, "pg_options"},
		{"restore options of ours", fields{"pg_database": "a", "pg_restore_options": "--dbname x"}, "pg_restore_options"},
		{"restore options for several", fields{"pg_restore_options": "-O"}, "pg_restore_options"},
		{"a mode that there is not", fields{"pg_sslmode": "verify"}, "pg_sslmode"},
		{"verify without a CA", fields{"pg_host": "h", "pg_sslmode": "verify-full"}, "pg_sslrootcert"},
		{"a CA that is not used", fields{"pg_sslrootcert": pem}, "pg_sslrootcert"},
		{"a CA that is used", fields{"pg_host": "h", "pg_sslmode": "verify-ca", "pg_sslrootcert": pem}, ""},
		{"TLS over a socket", fields{"pg_host": "/run", "pg_sslmode": "verify-ca", "pg_sslrootcert": pem}, "pg_sslmode"},
		{"a certificate without its key", fields{"pg_sslcert": pem}, "pg_sslcert"},
		{"a key that is no PEM", fields{"pg_sslkey": "x"}, "pg_sslkey"},
		{"files of one database", fields{"method": "physical", "pg_database": "a"}, "pg_database"},
		{"files and options", fields{"method": "physical", "pg_options": "-O"}, "pg_options"},
		{"a data folder of a dump", fields{"pg_data_dir": "/x"}, "pg_data_dir"},
		{"a relative folder", fields{"pg_bindir": "bin"}, "pg_bindir"},
	} {
		t.Run(c.name, func(t *testing.T) {
			target, err := postgres.Plugin().OpenTarget(t.Context(), endpoint(t, nil, c.more), func(string) {})
			if err == nil {
				err = target.(plugin.Validator).Validate(t.Context())
			}
			if c.field == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantError(t, err, shield.Invalid, "endpoint."+c.field)
		})
	}
}

// TestInfo checks that secrets are marked as such and that capabilities are
// of the form that hosts take.
func TestInfo(t *testing.T) {
	info := postgres.Plugin().About
	if err := info.Check(); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(info.Secrets(plugin.RoleTarget), " "); got != "pg_password pg_sslrootcert pg_sslcert pg_sslkey" {
		t.Errorf("secrets: %s", got)
	}
	c, err := plugin.ParseCapabilities(info.Capabilities)
	if err != nil {
		t.Fatal(err)
	}
	e, _ := json.Marshal(map[string]any{"pg_bindir": "/opt/pg"})
	r, err := c.Resolve(e)
	if err != nil || !r.MayExec("pg_dump") || !r.MayExec("/opt/pg/pg_dump") || r.MayExec("sh") || len(r.Write) > 0 {
		t.Errorf("%+v, %v", r, err)
	}
}
