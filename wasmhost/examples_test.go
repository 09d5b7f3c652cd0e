package wasmhost_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/shieldhq/shield/plugin/plugintest"
)

// TestExampleC and those that follow build the examples as their READMEs say
// and check them as an author would.
func TestExampleC(t *testing.T) {
	if _, err := os.Stat("/usr/bin/cp"); err != nil {
		t.Skip(err)
	}
	o := open(t, newHost(t, nil), "../examples/target-c/target.c", nil)
	from, to := filepath.Join(t.TempDir(), "from"), filepath.Join(t.TempDir(), "to")
	writeFile(t, from, bytes.Repeat([]byte("row\n"), 1<<20))
	plugintest.Run(t, o, plugintest.Config{
		TargetEndpoint: endpoint(t, map[string]any{"file": from}), RestoreEndpoint: endpoint(t, map[string]any{"file": to}),
	})
}

func writeFile(t testing.TB, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestExampleExtism(t *testing.T) {
	o := open(t, newHost(t, nil), "../examples/extism/extism.c", nil)
	from, to := t.TempDir(), t.TempDir()
	writeFile(t, filepath.Join(from, "content"), bytes.Repeat([]byte("row\n"), 1<<20))
	plugintest.Run(t, o, plugintest.Config{
		TargetEndpoint: endpoint(t, map[string]any{"folder": from}), RestoreEndpoint: endpoint(t, map[string]any{"folder": to}),
	})
}

func TestExampleRust(t *testing.T) {
	o := open(t, newHost(t, nil), "../examples/store-rust/store.rs", nil)
	plugintest.Run(t, o, plugintest.Config{StoreEndpoint: endpoint(t, map[string]any{"folder": t.TempDir()})})
}

func TestExampleGo(t *testing.T) {
	l := &lines{content: bytes.Repeat([]byte("SET a 1\n"), 1<<19)}
	host, port, err := net.SplitHostPort(serve(t, "127.0.0.1:0", l.serve))
	if err != nil {
		t.Fatal(err)
	}
	o := open(t, newHost(t, nil), "../examples/target-go", nil)
	plugintest.Run(t, o, plugintest.Config{
		TargetEndpoint: endpoint(t, map[string]any{"host": host, "port": port, "password": "open sesame"}), ReadsAll: true,
	})
}

// lines is the server that the example in Go is for.
type lines struct {
	mu      sync.Mutex
	content []byte
}

func (l *lines) serve(c net.Conn) {
	r := bufio.NewReader(c)
	auth, _ := r.ReadString('\n')
	command, _ := r.ReadString('\n')
	if auth != "AUTH open sesame\n" {
		_, _ = io.WriteString(c, "-denied\n")
		return
	}
	_, _ = io.WriteString(c, "+OK\n")
	switch strings.TrimSpace(command) {
	case "DUMP":
		l.mu.Lock()
		b := l.content
		l.mu.Unlock()
		_, _ = fmt.Fprintf(c, "%d\n", len(b))
		_, _ = c.Write(b)
	case "LOAD":
		b, err := io.ReadAll(r)
		if err != nil {
			return
		}
		l.mu.Lock()
		l.content = b
		l.mu.Unlock()
		_, _ = fmt.Fprintf(c, "%d\n", len(b))
	}
}
