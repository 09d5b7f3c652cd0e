package wasmhost_test

import (
	"context"
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/shieldhq/shield/internal/testserver"
)

// startPostgres makes a PostgreSQL cluster, starts a server on it and returns
// its address.
func startPostgres(t testing.TB, password string) string {
	t.Helper()
	const bin = "/usr/lib/postgresql/15/bin"
	dir, port := testserver.Dir(t), testserver.Port(t)
	pw, data := filepath.Join(dir, "pw"), filepath.Join(dir, "data")
	writeFile(t, pw, []byte(password))
	initdb := exec.Command(testserver.Tool(t, bin+"/initdb"), "-D", data, "-U", "postgres", "-A", "scram-sha-256", "--pwfile="+pw, "-N", "-E", "UTF8", "--no-locale")
	initdb.Dir = dir
	testserver.As(t, initdb, "postgres", dir, pw)
	if out, err := initdb.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	server := exec.Command(testserver.Tool(t, bin+"/postgres"), "-D", data, "-p", strconv.Itoa(port), "-k", dir, "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off")
	server.Dir = dir
	testserver.As(t, server, "postgres")
	addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	testserver.Start(t, server, func(ctx context.Context) error {
		return exec.CommandContext(ctx, testserver.Tool(t, bin+"/pg_isready"), "-q", "-h", "127.0.0.1", "-p", strconv.Itoa(port)).Run()
	})
	return addr
}
