package exec_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	osexec "os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugin/exec"
	"github.com/shieldhq/shield/plugin/pdk"
	"github.com/shieldhq/shield/plugin/plugintest"
)

// TestMain lets the test binary be other programs too: a plugin, and a host
// that gets killed.
func TestMain(m *testing.M) {
	switch os.Getenv("EXEC_TEST_AS") {
	case "plugin":
		pdk.Main(folder())
	case "host":
		host(os.Getenv("EXEC_TEST_PLUGIN"))
	}
	os.Exit(m.Run())
}

// host runs a backup until it is killed, with the runtime's threads busy
// coming and going.
func host(path string) {
	p, err := exec.Open(path, nil)
	if err != nil {
		panic(err)
	}
	for range 20 {
		go func() {
			runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
			time.Sleep(10 * time.Millisecond)
		}()
	}
	t, err := p.OpenTarget(context.Background(), shield.Endpoint(`{}`), func(line string) { fmt.Println(line) })
	if err == nil {
		err = t.Backup(context.Background(), io.Discard)
	}
	fmt.Println("ended:", err)
	os.Exit(1)
}

func TestPluginDiesWithItsHost(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux kills the children of a killed process")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := scriptFile(t, legacyInfo, map[plugin.Action]string{"backup": "trap '' TERM HUP PIPE; echo $$ >&2; while :; do sleep 0.05; done"})
	cmd := osexec.Command(self)
	cmd.Env = append(os.Environ(), "EXEC_TEST_AS=host", "EXEC_TEST_PLUGIN="+path, "TMPDIR="+t.TempDir())
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 100)
	n, err := out.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	pid := strings.TrimSpace(string(b[:n]))
	time.Sleep(200 * time.Millisecond) // threads have come and gone; the plugin must still live
	if _, err := os.Stat("/proc/" + pid); err != nil {
		t.Fatalf("the plugin %q does not live while its host does", b[:n])
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	wantDead(t, pid)
}

// folder is a plugin written with pdk: a target that is a file, a store that
// is a directory.
func folder() *plugin.Native {
	return &plugin.Native{
		About: plugin.Info{
			Name: "folder", Author: "shield", Version: "1",
			Features: plugin.Features{Target: "yes", Store: "yes"},
			Fields: []plugin.Field{
				{Mode: plugin.RoleBoth, Name: "path", Type: plugin.TypeAbsPath, Required: true},
				{Mode: plugin.RoleBoth, Name: "password", Type: plugin.TypePassword},
			},
			Actions:  []plugin.Action{plugin.ActionTest},
			Endpoint: plugin.DeliverFD,
			Naming:   true,
		},
		Target: func(e shield.Endpoint, log plugin.Log) (plugin.Target, error) { return openFolder(e, log) },
		Store:  func(e shield.Endpoint, log plugin.Log) (plugin.Store, error) { return openFolder(e, log) },
	}
}

type place struct {
	Path, Password string
	log            plugin.Log
}

func openFolder(e shield.Endpoint, log plugin.Log) (*place, error) {
	p := &place{log: log}
	return p, e.Decode(p)
}

func (p *place) Test(context.Context) error {
	p.log("testing with " + p.Password)
	_, err := os.Stat(p.Path)
	return err
}

func (p *place) Backup(_ context.Context, w io.Writer) error {
	f, err := os.Open(p.Path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	_, err = io.Copy(w, f)
	return err
}

func (p *place) Restore(_ context.Context, r io.Reader) error { return write(p.Path, r) }

func write(path string, r io.Reader) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".unfinished-")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	if _, err := io.Copy(f, r); err != nil {
		return errors.Join(err, f.Close())
	}
	return errors.Join(f.Close(), os.Rename(f.Name(), path))
}

func (p *place) blob(key string) string {
	return filepath.Join(p.Path, fmt.Sprintf("%x", key)[:min(240, 2*len(key))])
}

func (p *place) Put(_ context.Context, key string, r io.Reader) (plugin.Stored, error) {
	if len(key) > 120 {
		return plugin.Stored{}, shield.FieldErrorf("key", "is too long")
	}
	if err := write(p.blob(key), r); err != nil {
		return plugin.Stored{}, err
	}
	fi, err := os.Stat(p.blob(key))
	if err != nil {
		return plugin.Stored{}, err
	}
	return plugin.Stored{Key: key, Size: fi.Size()}, nil
}

func (p *place) Get(_ context.Context, key string) (io.ReadCloser, error) {
	f, err := os.Open(p.blob(key))
	if errors.Is(err, os.ErrNotExist) {
		return nil, shield.Errorf(shield.NotFound, "folder.Get", "there is no blob %q", key)
	}
	return f, err
}

func (p *place) Delete(_ context.Context, key string) error {
	if err := os.Remove(p.blob(key)); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

func openSelf(t *testing.T) *exec.Plugin {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	// A program built for the race detector sleeps a second at its end unless told not to.
	p, err := exec.Open(self, &exec.Options{Env: []string{"EXEC_TEST_AS=plugin", "GORACE=atexit_sleep_ms=0"}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestConformance(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "data")
	if err := os.WriteFile(file, plugintest.Bytes(300_000, 3), 0o600); err != nil {
		t.Fatal(err)
	}
	plugintest.Run(t, openSelf(t), plugintest.Config{
		TargetEndpoint: shield.Endpoint(`{"path":"` + file + `","password":"never-log-this"}`),
		StoreEndpoint:  shield.Endpoint(`{"path":"` + t.TempDir() + `"}`),
		ReadsAll:       true,
	})
}

// An error of a plugin written with pdk is the same on this side.
func TestErrorsCrossTheProcess(t *testing.T) {
	t.Parallel()
	p := openSelf(t)
	_, err := store(t, p, `{"path":"/nowhere"}`, nil).Get(t.Context(), "a b")
	wantError(t, err, shield.NotFound, `folder.Get: there is no blob "a b"`)
	err = store(t, p, `{}`, nil).Delete(t.Context(), "k")
	var e *shield.Error
	if !errors.As(err, &e) || e.Code != shield.Invalid || e.Field != "endpoint.path" {
		t.Errorf("error is %#v", err)
	}
	err = target(t, p, `{"path":"/nowhere"}`, nil).Backup(t.Context(), io.Discard)
	wantError(t, err, shield.TargetFailed, "no such file")
}

func TestNothingLeaks(t *testing.T) {
	p := script(t, &exec.Options{Grace: 100 * time.Millisecond}, fdInfo, map[plugin.Action]string{
		"backup": "cat <&3", "restore": "exit 0", "store": "echo bad; exit 3", "retrieve": "yes", "list": "yes",
		"purge": "sleep 60 & exit 0", "test": "exec 2>&-; exit 4",
	})
	if _, err := p.Info(t.Context()); err != nil {
		t.Fatal(err)
	}
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	goroutines, files := runtime.NumGoroutine(), descriptors(t)
	for range 5 {
		everything(t, p)
	}
	deadline := time.Now().Add(5 * time.Second)
	for runtime.NumGoroutine() > goroutines && time.Now().Before(deadline) {
		time.Sleep(10 * time.Millisecond)
	}
	if n := runtime.NumGoroutine(); n > goroutines {
		stacks := make([]byte, 1<<16)
		t.Errorf("%d goroutines were %d\n%s", n, goroutines, stacks[:runtime.Stack(stacks, true)])
	}
	if n := descriptors(t); n > files {
		t.Errorf("%d open files were %d", n, files)
	}
	if left, err := os.ReadDir(tmp); err != nil || len(left) > 0 {
		t.Errorf("%d directories were left behind, %v", len(left), err)
	}
}

// everything makes calls that end in all ways.
func everything(t *testing.T, p *exec.Plugin) {
	t.Helper()
	tg, s := target(t, p, `{"password":"x"}`, nil), store(t, p, `{}`, nil)
	_ = tg.Backup(t.Context(), io.Discard)
	_ = tg.Backup(t.Context(), &failingWriter{0})
	_ = tg.Restore(t.Context(), strings.NewReader("abc"))
	_, _ = s.Put(t.Context(), "k", &failingReader{1 << 20, io.ErrUnexpectedEOF})
	if r, err := s.Get(t.Context(), "k"); err == nil {
		_ = r.Close()
	}
	_ = s.Delete(t.Context(), "k")
	_ = s.(plugin.Lister).List(t.Context(), "", func(plugin.Object) error { return io.ErrNoProgress })
	_ = s.(plugin.Tester).Test(t.Context())
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if r, err := s.Get(ctx, "k"); err == nil {
		_, _ = io.Copy(io.Discard, r)
		_ = r.Close()
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0 // not Linux
	}
	return len(list)
}
