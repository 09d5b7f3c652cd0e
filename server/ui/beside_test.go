//go:build linux

package ui_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/shieldhq/shield/internal/shieldtest"
)

// through is a proxy to the daemon at an address.
func through(t *testing.T, api string) *httputil.ReverseProxy {
	t.Helper()
	target, err := url.Parse(api)
	if err != nil {
		t.Fatal(err)
	}
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }, FlushInterval: -1,
		ErrorLog: log.New(io.Discard, "", 0), // browsers close connections
	}
}

// cuts are after how many bytes the connections of a log break, one after the
// other: before a line, within one, between two, and within what the task is.
var cuts = []int{333, 0, 700, 90, 1300, 2100, 450, 3000}

// An unsteady proxy to the daemon breaks the first connections over which the
// log of a task comes. Asked for /break it breaks all there are and refuses
// others, until it is asked for /mend.
type unsteady struct {
	*httputil.ReverseProxy
	logs   atomic.Int64
	mu     sync.Mutex
	ctx    context.Context
	cancel context.CancelFunc
}

func newUnsteady(t *testing.T, api string) *httptest.Server {
	t.Helper()
	u := &unsteady{ReverseProxy: through(t, api)}
	u.ctx, u.cancel = context.WithCancel(t.Context())
	s := httptest.NewServer(u)
	t.Cleanup(s.Close)
	return s
}

func (u *unsteady) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	u.mu.Lock()
	switch req.URL.Path {
	case "/break":
		u.cancel()
	case "/mend":
		u.ctx, u.cancel = context.WithCancel(context.WithoutCancel(u.ctx))
	}
	whole := u.ctx
	u.mu.Unlock()
	if req.URL.Path == "/break" || req.URL.Path == "/mend" {
		return
	}
	if whole.Err() != nil {
		panic(http.ErrAbortHandler)
	}
	ctx, cancel := context.WithCancel(req.Context())
	defer cancel()
	defer context.AfterFunc(whole, cancel)()
	if strings.HasSuffix(req.URL.Path, "/log") {
		if i := int(u.logs.Add(1)) - 1; i < len(cuts) {
			w = &short{ResponseWriter: w, left: cuts[i]}
		}
	}
	u.ReverseProxy.ServeHTTP(w, req.WithContext(ctx))
	if whole.Err() != nil {
		panic(http.ErrAbortHandler)
	}
}

// short takes so many bytes, and fails then.
type short struct {
	http.ResponseWriter
	left int
}

func (s *short) Unwrap() http.ResponseWriter { return s.ResponseWriter }

func (s *short) Write(p []byte) (int, error) {
	if len(p) <= s.left {
		s.left -= len(p)
		return s.ResponseWriter.Write(p)
	}
	n, err := s.ResponseWriter.Write(p[:s.left])
	s.left = 0
	_ = http.NewResponseController(s.ResponseWriter).Flush() // what came before the break has come
	return n, errors.Join(err, syscall.ECONNRESET)
}

// download has the browser download an archive, and looks at what it wrote: the
// blob is that of the store, and what was opened is what was backed up.
func (v *visit) download(t *testing.T, same func(t *testing.T, dir string)) {
	v.story(t, "download")
	stored, err := os.ReadFile(filepath.Join(v.Dir, "session.stored"))
	if err != nil {
		t.Fatal(err)
	}
	var archive struct {
		Key string `json:"store_key"`
	}
	v.JSON(&archive, "show", "archive", v.Archives()[0].UUID)
	blob, err := os.ReadFile(filepath.Join(v.Dir, "store", archive.Key))
	if err != nil || !bytes.Equal(blob, stored) {
		t.Errorf("the store has %d bytes, the browser %d, %v", len(blob), len(stored), err)
	}
	dir := t.TempDir()
	if out, err := exec.Command("tar", "-xf", filepath.Join(v.Dir, "session.opened"), "-C", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	same(t, dir)
}

// modules compiles two versions of a plugin, of which the second asks for other
// things than the first.
func (v *visit) modules(t *testing.T) {
	t.Helper()
	source, err := os.ReadFile("../../examples/target-c/target.c")
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.NewReplacer("1.0.0", "2.0.0", `[\"cat\", \"cp\"]`, `[\"cat\", \"tac\"]`, "1MiB", "2MiB").Replace(string(source))
	for name, text := range map[string]string{"target": string(source), "target2": changed} {
		from := filepath.Join(v.Dir, name+".c")
		if err := os.WriteFile(from, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		build := exec.Command("clang", "--target=wasm32-wasi", "-O2", "-o", filepath.Join(v.Dir, name+".wasm"), from)
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
}

var dialed = regexp.MustCompile(`(?m)^agents dial (\S+)$`)

// agent starts the agent db1, which joins with a token.
func (v *visit) agent(t *testing.T, token string) {
	t.Helper()
	core := dialed.FindStringSubmatch(v.Log())
	if core == nil {
		t.Fatalf("the daemon takes no agents: %s", v.Log())
	}
	cmd := exec.Command(filepath.Join(shieldtest.Agent(t), "shield-agent"), "--core", "https://"+core[1], "--name", "db1", "--state", filepath.Join(v.Dir, "agent"), "--plugin-dir", v.plugins)
	cmd.Env = append(os.Environ(), "SHIELD_AGENT_TOKEN="+token, "NO_PROXY=*")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
}
