//go:build linux

package postgres_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	encoding "encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/shieldtest"
	"github.com/shieldhq/shield/internal/testserver"
	"github.com/shieldhq/shield/plugin"
)

// A pair is a certificate and its key, in PEM form.
type pair struct {
	cert, key string
	parsed    *x509.Certificate
	private   *ecdsa.PrivateKey
}

// issue makes a certificate for a name; of is who issues it, nil for itself.
func issue(t testing.TB, name string, of *pair) *pair {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		BasicConstraintsValid: true, IsCA: of == nil, DNSNames: []string{name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	parent, signer := template, key
	if of != nil {
		parent, signer = of.parsed, of.private
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return &pair{
		cert:   string(encoding.EncodeToMemory(&encoding.Block{Type: "CERTIFICATE", Bytes: der})),
		key:    string(encoding.EncodeToMemory(&encoding.Block{Type: "PRIVATE KEY", Bytes: secret})),
		parsed: parsed, private: key,
	}
}

// TestTLS connects in each mode that makes a difference, with and without a
// client certificate, and by the socket.
func TestTLS(t *testing.T) {
	p := testserver.StartPostgres(t)
	small(p, "app")
	p.SQL("postgres", "CREATE ROLE holder SUPERUSER LOGIN")
	ca, other := issue(t, "ca", nil), issue(t, "other", nil)
	server, client := issue(t, "db.example", ca), issue(t, "holder", ca)
	p.Stop()
	write := func(name, text string) {
		path := filepath.Join(p.Data, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		own(t, path)
	}
	write("server.crt", server.cert)
	write("server.key", server.key)
	write("ca.crt", ca.cert)
	write("pg_hba.conf", "hostssl all holder 127.0.0.1/32 cert\nhostssl all all 127.0.0.1/32 scram-sha-256\nlocal all all scram-sha-256\n")
	p = testserver.StartPostgresIn(t, p.Data, "ssl=on", "ssl_ca_file=ca.crt")
	for _, c := range []struct {
		name string
		more fields
		code shield.Code
		text string
	}{
		{"prefer", nil, "", ""},
		{"disable", fields{"pg_sslmode": "disable"}, shield.Forbidden, "no pg_hba.conf entry"},
		{"verify-full", fields{"pg_sslmode": "verify-full", "pg_sslrootcert": ca.cert}, "", ""},
		{"verify-full of another CA", fields{"pg_sslmode": "verify-full", "pg_sslrootcert": other.cert}, shield.TargetFailed, "certificate verify failed"},
		{"verify-ca under another name", fields{"pg_sslmode": "verify-ca", "pg_sslrootcert": ca.cert, "pg_host": "localhost"}, "", ""},
		{"verify-full under another name", fields{"pg_sslmode": "verify-full", "pg_sslrootcert": ca.cert, "pg_host": "localhost"}, shield.TargetFailed, `does not match host name "localhost"`},
		{"client certificate", fields{"pg_user": "holder", "pg_password": nil, "pg_sslmode": "verify-full", "pg_sslrootcert": ca.cert, "pg_sslcert": client.cert, "pg_sslkey": client.key}, "", ""},
		{"no client certificate", fields{"pg_user": "holder", "pg_password": nil, "pg_sslmode": "require"}, shield.Unauthorized, "certificate"},
		{"socket", fields{"pg_host": p.Dir}, "", ""},
		{"no such socket", fields{"pg_host": t.TempDir()}, shield.Unavailable, "on socket"},
		{"no such host", fields{"pg_host": "no-such-host.invalid"}, shield.Unavailable, "host name"},
	} {
		t.Run(c.name, func(t *testing.T) {
			both(t, func(t *testing.T, o plugin.Opener) {
				c.more = with(c.more, "pg_database", "app")
				target, _ := open(t, o, endpoint(t, p, c.more))
				wantError(t, target.(plugin.Tester).Test(t.Context()), c.code, c.text)
			})
		})
	}
}

func with(f fields, name string, v any) fields {
	out := fields{name: v}
	for k, v := range f {
		out[k] = v
	}
	return out
}

// TestReplica takes a backup from a standby, and refuses one that is none.
func TestReplica(t *testing.T) {
	p := testserver.StartPostgres(t)
	small(p, "app")
	data := filepath.Join(testserver.Dir(t), "standby")
	copying := p.Client("pg_basebackup", "-D", data, "-X", "stream", "-R", "-c", "fast")
	testserver.As(t, copying, "postgres", filepath.Dir(data))
	if out, err := copying.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	standby := testserver.StartPostgresIn(t, data)
	o := shieldtest.Sandboxed(t, "postgres")
	// Nobody listens on the port of the primary: only the standby can answer.
	e := endpoint(t, p, fields{"pg_port": testserver.Port(t), "pg_database": "app", "pg_read_replica_host": "127.0.0.1", "pg_read_replica_port": standby.Port})
	b := mustBackup(t, o, e)
	wantError(t, restore(t, o, e, b), shield.Unavailable, "refused") // goes to the primary
	wantError(t, restore(t, o, endpoint(t, standby, nil), b), shield.Invalid, "is a replica")
	_, err := backup(t, o, endpoint(t, p, fields{"pg_database": "app", "pg_read_replica_host": "127.0.0.1", "pg_read_replica_port": p.Port}))
	wantError(t, err, shield.Invalid, "endpoint.pg_read_replica_host", "is no replica")
	_, err = backup(t, o, endpoint(t, p, fields{"pg_database": "app", "pg_read_replica_host": "127.0.0.1", "pg_read_replica_port": testserver.Port(t)}))
	wantError(t, err, shield.Unavailable, "the replica 127.0.0.1")
}

// TestNothingSecretInArguments watches the command lines of all that the
// plugin runs, and what is left of its files.
func TestNothingSecretInArguments(t *testing.T) {
	p := testserver.StartPostgres(t)
	small(p, "app")
	seen := filepath.Join(t.TempDir(), "seen")
	script := `{ tr '\0' ' ' </proc/$$/cmdline; echo " in $(pwd): $(ls -l)"; } >>` + seen + "\nexec \"$real\" \"$@\""
	dir := tool(t, "pg_dump", script)
	for _, name := range []string{"psql", "pg_restore"} {
		one := tool(t, name, script)
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(one, name), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	ca := issue(t, "ca", nil)
	both(t, func(t *testing.T, o plugin.Opener) {
		e := endpoint(t, p, fields{"pg_database": "app", "pg_bindir": dir, "pg_sslcert": ca.cert, "pg_sslkey": ca.key})
		b := mustBackup(t, o, e)
		if err := restore(t, o, e, b); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(seen)
		if err != nil || strings.Count(string(text), "pg_restore") == 0 || strings.Count(string(text), "pg_dump") == 0 {
			t.Fatalf("%v: %s", err, text)
		}
		if strings.Contains(string(text), p.Password) || strings.Contains(string(text), "BEGIN") {
			t.Errorf("a secret is on a command line: %s", text)
		}
		if !strings.Contains(string(text), "-rw------- 1") || !strings.Contains(string(text), "key.pem") {
			t.Errorf("no private key file: %s", text)
		}
		for line := range strings.Lines(string(text)) {
			if _, rest, ok := strings.Cut(line, " in "); ok {
				dir, _, _ := strings.Cut(rest, ":")
				if _, err := os.Stat(dir); err == nil && strings.Contains(dir, "shield-plugin") {
					t.Errorf("the folder %s is left over", dir)
				}
			}
		}
	})
}
