package daemon_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/daemon"
	"github.com/shieldhq/shield/internal/testserver"
	"github.com/shieldhq/shield/server"
)

// A logText collects a log.
type logText struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// files are the certificate and key of a daemon.
type files struct {
	t         *testing.T
	cert, key string
	writes    int
}

// write replaces one as the time of a file system goes on, however coarse.
func (f *files) write(path, text string) {
	f.t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		f.t.Fatal(err)
	}
	f.writes++
	at := time.Now().Add(time.Duration(f.writes) * time.Second)
	if err := os.Chtimes(path, at, at); err != nil {
		f.t.Fatal(err)
	}
}

// served returns the certificate that a new connection gets.
func served(t *testing.T, d *daemon.Daemon) *x509.Certificate {
	t.Helper()
	c, err := tls.Dial("tcp", d.Addr(), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0]
}

func TestTLS(t *testing.T) {
	t.Parallel()
	dir, log := t.TempDir(), &logText{}
	f := &files{t: t, cert: filepath.Join(dir, "cert.pem"), key: filepath.Join(dir, "key.pem")}
	ca := testserver.NewCA(t)
	cert, key := ca.Issue("127.0.0.1", "one")
	f.write(f.cert, cert)
	f.write(f.key, key)
	d := run(t, daemon.Config{
		Data: filepath.Join(dir, "data"), Listen: "127.0.0.1:0", TLSCert: f.cert, TLSKey: f.key,
		Sandbox: daemon.SandboxNever, Log: slog.New(slog.NewTextHandler(log, nil)),
	})
	testClients(t, d, ca.PEM)

	// A new certificate, in the order in which it may well come.
	first := served(t, d).SerialNumber
	cert, key = ca.Issue("127.0.0.1", "two")
	f.write(f.cert, cert)
	if served(t, d).SerialNumber.Cmp(first) != 0 || !strings.Contains(log.String(), "the old one stays in use") {
		t.Errorf("a certificate without its key is in use, or nothing says so: %s", log)
	}
	f.write(f.key, key)
	second := served(t, d).SerialNumber
	if second.Cmp(first) == 0 || !strings.Contains(log.String(), "the API has a new certificate") {
		t.Errorf("the new certificate is not in use: %s", log)
	}
	for _, broken := range []string{"", "nonsense", cert[:len(cert)/2]} {
		f.write(f.cert, broken)
		if served(t, d).SerialNumber.Cmp(second) != 0 {
			t.Errorf("a broken certificate ends the one in use: %q", broken)
		}
	}
	if err := os.Remove(f.key); err != nil {
		t.Fatal(err)
	}
	if served(t, d).SerialNumber.Cmp(second) != 0 {
		t.Error("a missing key ends the certificate in use")
	}
	if strings.Contains(log.String(), "PRIVATE") {
		t.Errorf("the log shows the key: %s", log)
	}
}

// testClients checks who can speak to a daemon over TLS.
func testClients(t *testing.T, d *daemon.Daemon, ca string) {
	t.Helper()
	if !strings.HasPrefix(d.URL(), "https://") {
		t.Errorf("the daemon is at %s", d.URL())
	}
	api, err := server.NewClient(d.URL(), d.Token())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := api.Status(t.Context()); shield.CodeOf(err) != shield.Unavailable || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("who does not trust the CA: %v", err)
	}
	if err := api.Trust([]byte("nonsense")); shield.CodeOf(err) != shield.Invalid {
		t.Errorf("trusting nonsense: %v", err)
	}
	if err := api.Trust([]byte(ca)); err != nil {
		t.Fatal(err)
	}
	if _, err := api.Status(t.Context()); err != nil {
		t.Errorf("who trusts the CA: %v", err)
	}
	resp, err := http.Get("http://" + d.Addr() + "/healthz")
	if err != nil || resp.StatusCode != http.StatusBadRequest {
		t.Errorf("in the clear: %v, %v", resp, err)
	}
	if err == nil {
		resp.Body.Close()
	}
}

func TestTLSSettings(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ca := testserver.NewCA(t)
	cert, key := ca.Issue("127.0.0.1")
	f := &files{t: t, cert: filepath.Join(dir, "cert"), key: filepath.Join(dir, "key")}
	f.write(f.cert, cert)
	f.write(f.key, key)
	for _, test := range []struct {
		name, listen, cert, key string
		insecure                bool
		field                   string
	}{
		{"clear beyond loopback", "0.0.0.0:0", "", "", false, "listen"},
		{"all addresses", ":0", "", "", false, "listen"},
		{"no key", "127.0.0.1:0", f.cert, "", false, "tls-key"},
		{"no certificate", "127.0.0.1:0", "", f.key, false, "tls-cert"},
		{"missing", "127.0.0.1:0", f.cert, f.key + "x", false, "tls-key"},
		{"swapped", "127.0.0.1:0", f.key, f.cert, false, "tls-cert"},
		{"insecure and no key", "127.0.0.1:0", f.cert, "", true, "tls-key"},
	} {
		d, err := daemon.Open(t.Context(), daemon.Config{
			Data: filepath.Join(dir, "data"), Listen: test.listen, Insecure: test.insecure, TLSCert: test.cert, TLSKey: test.key, Sandbox: daemon.SandboxNever,
		})
		if err == nil {
			d.Close()
		}
		var e *shield.Error
		if !errors.As(err, &e) || e.Code != shield.Invalid || e.Field != test.field || strings.Contains(err.Error(), "PRIVATE") {
			t.Errorf("%s: %v, want what is wrong with %s", test.name, err, test.field)
		}
	}
}
