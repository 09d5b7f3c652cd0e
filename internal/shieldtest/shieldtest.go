//go:build linux

// Package shieldtest runs the real thing for the tests of plugins: shieldd as
// a process, with plugins as sandboxed modules or executables, and the
// command line against it.
package shieldtest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/wasmhost"
)

// Programs builds shieldd and shield, once for the test binary, and returns
// their folder.
func Programs(t testing.TB) string {
	t.Helper()
	dir, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

var programs = sync.OnceValues(func() (string, error) {
	dir, err := folder()
	if err != nil {
		return "", err
	}
	return dir, build(dir, nil, "", "./cmd/shieldd", "./cmd/shield")
})

// Agent builds shield-agent, too, and returns the folder of all programs.
func Agent(t testing.TB) string {
	t.Helper()
	dir := Programs(t)
	if err := agentProgram(); err != nil {
		t.Fatal(err)
	}
	return dir
}

var agentProgram = sync.OnceValue(func() error {
	dir, err := folder()
	if err != nil {
		return err
	}
	return build(dir, nil, "", "./cmd/shield-agent")
})

// folder is where everything is built. It outlives the test binary's tests;
// Main removes it.
var folder = sync.OnceValues(func() (string, error) { return os.MkdirTemp("", "shieldtest-") })

// Main runs the tests of a package and removes what they have built. A
// package that uses shieldtest calls it from TestMain.
func Main(m *testing.M) {
	code := m.Run()
	if dir, err := folder(); err == nil {
		_ = os.RemoveAll(dir)
	}
	os.Exit(code)
}

func build(out string, env []string, ldflags string, packages ...string) error {
	root, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return err
	}
	cmd := exec.Command("go", append([]string{"build", "-trimpath", "-ldflags", "-s -w " + ldflags, "-o", out + "/"}, packages...)...)
	cmd.Dir = string(bytes.TrimSpace(root))
	cmd.Env = append(append(os.Environ(), "CGO_ENABLED=0"), env...)
	if text, err := cmd.CombinedOutput(); err != nil {
		return errors.Join(err, errors.New(string(text)))
	}
	return nil
}

var modules sync.Map // name → func() (string, error)

// Module builds plugins-wasm/NAME as a WebAssembly module, once for the test
// binary, and returns its path.
func Module(t testing.TB, name string) string {
	t.Helper()
	f, _ := modules.LoadOrStore(name, sync.OnceValues(func() (string, error) {
		dir, err := folder()
		if err != nil {
			return "", err
		}
		out := filepath.Join(dir, "wasm-"+name)
		if err := os.MkdirAll(out, 0o700); err != nil {
			return "", err
		}
		if err := build(out, []string{"GOOS=wasip1", "GOARCH=wasm"}, "", "./plugins-wasm/"+name); err != nil {
			return "", err
		}
		return filepath.Join(out, name), nil
	}))
	path, err := f.(func() (string, error))()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// A System is a running daemon with the command line that talks to it.
type System struct {
	t    testing.TB
	bin  string
	Dir  string // an empty folder for the test
	data string
	cmd  *exec.Cmd
	url  string
}

// Start runs shieldd on an empty data folder; flags are further ones of its
// command line. It has none of the bundled plugins but fs, which is compiled
// in, so that Install can add what is tested. It is ended with the test.
func Start(t testing.TB, flags ...string) *System {
	t.Helper()
	s := &System{t: t, bin: Programs(t), Dir: t.TempDir()}
	s.data = filepath.Join(t.TempDir(), "data")
	s.Restart(append([]string{"--cache", filepath.Join(s.bin, "cache")}, flags...)...)
	return s
}

var listening = regexp.MustCompile(`(?m)^listening on (http://\S+)$`)

// Restart ends the daemon as kill -9 does, if it runs, and starts it again on
// the same data.
func (s *System) Restart(flags ...string) {
	s.t.Helper()
	s.Kill()
	name := filepath.Join(s.Dir, "shieldd.out")
	out, err := os.Create(name)
	if err != nil {
		s.t.Fatal(err)
	}
	defer out.Close()
	s.cmd = exec.Command(filepath.Join(s.bin, "shieldd"), append([]string{"--data", s.data, "--listen", "127.0.0.1:0", "--no-sandbox"}, flags...)...)
	s.cmd.Stdout, s.cmd.Stderr = out, out
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(s.Kill)
	for range 6000 {
		text, _ := os.ReadFile(name)
		if m := listening.FindSubmatch(text); m != nil {
			s.url = string(m[1])
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	text, _ := os.ReadFile(name)
	s.t.Fatalf("shieldd does not listen: %s", text)
}

// Kill ends the daemon as kill -9 does.
func (s *System) Kill() {
	if s.cmd != nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
		s.cmd = nil
	}
}

// Pid is the number of the daemon's process.
func (s *System) Pid() int { return s.cmd.Process.Pid }

// Data is the daemon's folder.
func (s *System) Data() string { return s.data }

// URL is where the daemon listens.
func (s *System) URL() string { return s.url }

// Log returns what the daemon wrote since it was started.
func (s *System) Log() string {
	text, _ := os.ReadFile(filepath.Join(s.Dir, "shieldd.out"))
	return string(text)
}

// Install installs a plugin module with all that it asks for.
func (s *System) Install(module string) {
	s.t.Helper()
	s.Run("plugin", "install", module, "--yes")
}

// Try runs shield with the arguments and returns what it printed and its exit
// status.
func (s *System) Try(args ...string) (stdout, stderr string, status int) {
	s.t.Helper()
	cmd := s.Command(args...)
	var o, e bytes.Buffer
	cmd.Stdout, cmd.Stderr = &o, &e
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		s.t.Fatal(err)
	}
	return o.String(), e.String(), cmd.ProcessState.ExitCode()
}

// Command returns the command that runs shield with the arguments, for tests
// that want to watch or to end it.
func (s *System) Command(args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(s.bin, "shield"), args...)
	cmd.Env = append(os.Environ(), "SHIELD_API="+s.url, "SHIELD_TOKEN_FILE="+filepath.Join(s.data, "admin-token"))
	return cmd
}

// Run runs shield with the arguments, fails the test unless it exits with 0,
// and returns what it printed.
func (s *System) Run(args ...string) string {
	s.t.Helper()
	stdout, stderr, status := s.Try(args...)
	if status != 0 {
		s.t.Fatalf("shield %q exits with %d: %s%s", args, status, stdout, stderr)
	}
	return stdout
}

// JSON runs shield with --json and decodes what it printed into v.
func (s *System) JSON(v any, args ...string) {
	s.t.Helper()
	out := s.Run(append([]string{"--json"}, args...)...)
	if err := json.Unmarshal([]byte(out), v); err != nil {
		s.t.Fatalf("shield %q prints no JSON: %v: %s", args, err, out)
	}
}

// Target creates a target.
func (s *System) Target(name, plugin, endpoint string) {
	s.t.Helper()
	s.Run("create", "target", "--name", name, "--plugin", plugin, "--endpoint", endpoint)
}

// Store creates a store.
func (s *System) Store(name, plugin, endpoint string) {
	s.t.Helper()
	s.Run("create", "store", "--name", name, "--plugin", plugin, "--endpoint", endpoint)
}

// Job creates a job that never becomes due by itself during a test.
func (s *System) Job(name, target, store string) {
	s.t.Helper()
	if _, _, status := s.Try("show", "schedule", "seldom"); status != 0 {
		s.Run("create", "schedule", "--name", "seldom", "--timespec", "daily 4am")
		s.Run("create", "retention", "policy", "--name", "long", "--expiry", "90d")
	}
	s.Run("create", "job", "--name", name, "--target", target, "--store", store,
		"--schedule", "seldom", "--retention-policy", "long")
}

// An Archive is the part of an archive's description that tests look at.
type Archive struct {
	UUID   string `json:"uuid"`
	Target string `json:"target"`
	Key    string `json:"store_key"`
	Status string `json:"status"`
	Size   int64  `json:"raw_size"`
}

// Archives returns all archives.
func (s *System) Archives() []Archive {
	s.t.Helper()
	var all []Archive
	s.JSON(&all, "list", "archives")
	return all
}

// Backup runs a job to its end and returns the archive that it made.
func (s *System) Backup(job string) Archive {
	s.t.Helper()
	before := map[string]bool{}
	for _, a := range s.Archives() {
		before[a.UUID] = true
	}
	s.Run("run", "job", job, "--wait")
	for _, a := range s.Archives() {
		if !before[a.UUID] {
			return a
		}
	}
	s.t.Fatalf("job %s is done and there is no new archive", job)
	return Archive{}
}

// Restore restores an archive; to is the target, or empty for its own.
func (s *System) Restore(archive, to string) {
	s.t.Helper()
	if to == "" {
		var a Archive
		s.JSON(&a, "show", "archive", archive)
		to = a.Target
	}
	s.Run("restore", "archive", archive, "--wait", "--to", to, "--confirm", to)
}

var sandboxes sync.Map // name → func() (plugin.Opener, error)

// Sandboxed returns plugins-wasm/NAME as a module in a sandbox, granted what it
// asks for, once for the test binary.
func Sandboxed(t testing.TB, name string) plugin.Opener {
	t.Helper()
	path := Module(t, name)
	f, _ := sandboxes.LoadOrStore(name, sync.OnceValues(func() (plugin.Opener, error) { return sandboxed(path) }))
	o, err := f.(func() (plugin.Opener, error))()
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// Both runs a test of plugins-wasm/NAME natively and in the sandbox.
func Both(t *testing.T, name string, native plugin.Opener, f func(t *testing.T, o plugin.Opener)) {
	t.Helper()
	t.Run("native", func(t *testing.T) { f(t, native) })
	t.Run("sandbox", func(t *testing.T) { f(t, Sandboxed(t, name)) })
}

// sandboxed has shieldd compile the module, since the race detector would make
// that ten times slower.
func sandboxed(path string) (plugin.Opener, error) {
	module, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	dir, err := compiler()
	if err != nil {
		return nil, err
	}
	// Neither ends with the test: others use them, too.
	ctx := context.Background()
	host, err := wasmhost.New(ctx, &wasmhost.Options{
		CacheDir: filepath.Join(dir, "cache"), Program: filepath.Join(dir, "shieldd"), CompileApart: true,
	})
	if err != nil {
		return nil, err
	}
	o, err := host.Open(ctx, module, plugin.Grant{})
	if err != nil {
		return nil, err
	}
	info, err := o.Info(ctx)
	if err != nil {
		return nil, err
	}
	wanted, err := plugin.ParseCapabilities(info.Capabilities)
	if err != nil {
		return nil, err
	}
	return host.Open(ctx, module, plugin.GrantFor(wanted))
}

// compiler is a folder with a shieldd that says of itself that it has the same
// wazero as a test binary, which does not know its own.
var compiler = sync.OnceValues(func() (string, error) {
	dir, err := folder()
	if err != nil {
		return "", err
	}
	dir = filepath.Join(dir, "compiler")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	flags := "-X github.com/tetratelabs/wazero/internal/version.version=dev -X github.com/shieldhq/shield/wasmhost.compiler=unknown"
	return dir, build(dir, nil, flags, "./cmd/shieldd")
})
