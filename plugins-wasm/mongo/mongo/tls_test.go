//go:build linux

package mongo

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/testserver"
)

// TestTLS: what each mode takes and refuses, of the plugin's own connection
// and of the tools'.
func TestTLS(t *testing.T) {
	ca, stranger := testserver.NewCA(t), testserver.NewCA(t)
	dir, port := testserver.Dir(t), testserver.Port(t)
	cert, key := ca.Issue("localhost")
	for name, text := range map[string]string{"cert": cert, "key": key, "ca": ca.PEM} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	m := testserver.StartMongo(t, "--listen-tls="+net.JoinHostPort("127.0.0.1", strconv.Itoa(port)),
		"--listen-tls-cert-file="+dir+"/cert", "--listen-tls-key-file="+dir+"/key", "--listen-tls-ca-file="+dir+"/ca")
	connected(t, m).insert(t, "a", "t", []field{{"_id", int32(1)}})
	client, clientKey := ca.Issue("client")
	for _, c := range []struct {
		name   string
		fields map[string]any
		code   shield.Code // empty if it works
	}{
		{"the host", map[string]any{"mongo_tls": "verify-full", "mongo_tls_ca": ca.PEM}, ""},
		{"another host", map[string]any{"mongo_tls": "verify-full", "mongo_tls_ca": ca.PEM, "mongo_host": "127.0.0.1"}, shield.Unavailable},
		{"another CA", map[string]any{"mongo_tls": "verify-full", "mongo_tls_ca": stranger.PEM}, shield.Unavailable},
		{"the system's CAs", map[string]any{"mongo_tls": "verify-full"}, shield.Unavailable},
		{"any certificate", map[string]any{"mongo_tls": "require"}, ""},
		{"without TLS", nil, shield.Unavailable},
	} {
		t.Run(c.name, func(t *testing.T) {
			fields := map[string]any{"mongo_host": "localhost", "mongo_port": port}
			if c.fields != nil {
				fields["mongo_tls_cert"], fields["mongo_tls_key"] = client, clientKey
			}
			for name, value := range c.fields {
				fields[name] = value
			}
			var b bytes.Buffer
			err := opened(t, endpointOf(t, m, fields)).Backup(t.Context(), &b)
			if shield.CodeOf(err) != c.code && (err != nil || c.code != "") {
				t.Fatalf("%s: %v; want %q", shield.CodeOf(err), err, c.code)
			}
			if err == nil {
				restored(t, endpointOf(t, m, fields), b.Bytes())
			}
		})
	}
}
