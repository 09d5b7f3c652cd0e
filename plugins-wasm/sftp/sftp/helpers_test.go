//go:build linux

package sftp_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/shieldtest"
	"github.com/shieldhq/shield/internal/testserver"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugins-wasm/sftp/sftp"
)

// TestMain runs more tests at once than there are processors: most of the time
// they wait.
func TestMain(m *testing.M) {
	flag.Parse()
	_ = flag.Set("test.parallel", "8") // is a flag of every test
	shieldtest.Main(m)
}

type fields map[string]any

// endpoint is a store on a server, at an address that may be a proxy's.
func endpoint(t testing.TB, s *testserver.SSHD, addr string, more fields) shield.Endpoint {
	t.Helper()
	e := fields{"user": s.User, "private_key": s.Key, "host_key": s.HostKey, "retries": 2, "stall_timeout": "2s", "connect_timeout": "5s"}
	return encode(t, e, addr, more)
}

func encode(t testing.TB, e fields, addr string, more fields) shield.Endpoint {
	t.Helper()
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	e["host"] = host
	e["port"], _ = strconv.Atoi(port)
	for k, v := range more {
		e[k] = v
	}
	b, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func open(t testing.TB, e shield.Endpoint) plugin.Store {
	t.Helper()
	st, err := sftp.Plugin().OpenStore(t.Context(), e, func(line string) { t.Log(line) })
	if err != nil {
		t.Fatal(err)
	}
	return st
}

func wantCode(t testing.TB, err error, code shield.Code, texts ...string) {
	t.Helper()
	if shield.CodeOf(err) != code {
		t.Errorf("got %v (%s), want %s", err, shield.CodeOf(err), code)
		return
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("the error does not say %q: %v", text, err)
		}
	}
}

func must(t testing.TB, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

const key = "2026/01/31/blob"

func noise(size int) []byte {
	b := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b) // never fails
	return b
}

func put(t testing.TB, st plugin.Store, key string, content []byte) {
	t.Helper()
	got, err := st.Put(t.Context(), key, bytes.NewReader(content))
	if err != nil || got.Key != key || got.Size != int64(len(content)) {
		t.Fatalf("put of %d bytes: %+v, %v", len(content), got, err)
	}
}

func get(t testing.TB, st plugin.Store, key string) ([]byte, error) {
	t.Helper()
	r, err := st.Get(t.Context(), key)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(r)
	return b, errors.Join(err, r.Close())
}

// whole checks that a blob is there and can be removed without a trace.
func whole(t testing.TB, st plugin.Store, content []byte, left func() []string) {
	t.Helper()
	if got, err := get(t, st, key); err != nil || !bytes.Equal(got, content) {
		t.Errorf("got %d bytes of %d, %v", len(got), len(content), err)
	}
	must(t, st.Delete(t.Context(), key))
	nothing(t, left)
}

func nothing(t testing.TB, left func() []string) {
	t.Helper()
	if names := left(); len(names) > 0 {
		t.Errorf("left behind: %q", names)
	}
}

func keys(t testing.TB, st plugin.Store, prefix string) string {
	t.Helper()
	var all []string
	must(t, st.(plugin.Lister).List(t.Context(), prefix, func(o plugin.Object) error {
		if o.ModifiedAt.IsZero() {
			t.Errorf("%+v has no time", o)
		}
		all = append(all, o.Key+" "+strconv.FormatInt(o.Size, 10))
		return nil
	}))
	return strings.Join(all, ", ")
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// fingerprint is that of a public key.
func fingerprint(t testing.TB, public string) string {
	t.Helper()
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(public))
	must(t, err)
	return ssh.FingerprintSHA256(key)
}
