package daemon_test

import (
	"bufio"
	"context"
	"fmt"
	iofs "io/fs"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/daemon"
	"github.com/shieldhq/shield/internal/nativeplugins"
	"github.com/shieldhq/shield/internal/shieldtest"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugins-wasm/fs/fs"
	"github.com/shieldhq/shield/server"
)

// TestMain lets the test binary be a daemon, so that tests can kill one.
func TestMain(m *testing.M) {
	nativeplugins.Main(os.Args)
	if data := os.Getenv("SHIELD_TEST_DAEMON"); data != "" {
		os.Exit(beDaemon(data))
	}
	if address := os.Getenv("SHIELD_TEST_SLOW"); address != "" {
		os.Exit(beSlow(address))
	}
	shieldtest.Main(m)
}

func beDaemon(data string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	here := point(os.Getenv("SHIELD_TEST_KILL"))
	var plugins map[string]plugin.Opener
	if here != "" {
		plugins = map[string]plugin.Opener{"fs": mortal{fs.Plugin(), here}}
	}
	d, err := daemon.Open(ctx, daemon.Config{
		Data: data, Listen: "127.0.0.1:0", PluginDirs: strings.Fields(os.Getenv("SHIELD_TEST_PLUGINS")),
		Sandbox: daemon.SandboxNever,
		Grace:   5 * time.Second, Log: slog.New(mortalLog{slog.NewTextHandler(os.Stderr, nil), here}),
		Plugins: plugins,
	})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("listening on " + d.URL())
	if err := d.Run(ctx, time.Second); err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

// A system is a daemon in a process of its own, with folders to work in.
type system struct {
	t       testing.TB
	dir     string
	process *exec.Cmd
	point   string // at which the daemon dies
	// program is a shieldd to start instead of this binary, in which the race
	// detector makes compiling a module very slow.
	program string
	sandbox bool // of program
	api     *server.Client
}

func newSystem(t testing.TB) *system {
	t.Helper()
	s := &system{t: t, dir: t.TempDir()}
	for _, name := range []string{"source", "store", "restored", "plugins"} {
		if err := os.Mkdir(s.path(name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func (s *system) path(parts ...string) string {
	return filepath.Join(append([]string{s.dir}, parts...)...)
}

// write makes a file.
func (s *system) write(mode os.FileMode, content string, parts ...string) {
	s.t.Helper()
	if err := os.WriteFile(s.path(parts...), []byte(content), mode); err != nil {
		s.t.Fatal(err)
	}
}

// plugin installs an executable plugin in shell, of which only the body of
// backup is given.
func (s *system) plugin(name, backup string) {
	s.t.Helper()
	s.write(0o755, `#!/bin/sh
case "$1" in
info) echo '{"name":"`+name+`","version":"1","features":{"target":"yes","store":"no"},"fields":[]}' ;;
backup) `+backup+` ;;
restore) cat >/dev/null ;;
esac
`, "plugins", name)
}

// start runs the daemon and waits until it listens.
func (s *system) start() {
	s.t.Helper()
	s.process = exec.Command(os.Args[0])
	s.process.Env = append(os.Environ(), "SHIELD_TEST_DAEMON="+s.path("data"), "SHIELD_TEST_PLUGINS="+s.path("plugins"), "SHIELD_TEST_KILL="+s.point)
	if s.program != "" {
		sandbox := map[bool]string{false: "--no-sandbox", true: "--sandbox"}[s.sandbox]
		s.process = exec.Command(s.program, "--data", s.path("data"), "--listen", "127.0.0.1:0", sandbox)
	}
	s.process.Stderr = s.t.Output()
	out, err := s.process.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.process.Start(); err != nil {
		s.t.Fatal(err)
	}
	process := s.process
	s.t.Cleanup(func() {
		_ = process.Process.Kill() // it may have ended
		_ = process.Wait()
	})
	url, lines := "", bufio.NewScanner(out)
	for url == "" && lines.Scan() {
		url, _ = strings.CutPrefix(lines.Text(), "listening on ")
		if !strings.HasPrefix(url, "http") {
			url = ""
		}
	}
	if url == "" {
		s.t.Fatalf("the daemon said nothing of where it listens, but %q: %v", lines.Text(), lines.Err())
	}
	token, err := os.ReadFile(s.path("data", "admin-token"))
	if err != nil {
		s.t.Fatal(err)
	}
	s.api, err = server.NewClient(url, shield.Secret(strings.TrimSpace(string(token))))
	if err != nil {
		s.t.Fatal(err)
	}
}

// kill ends the daemon as a power cut would.
func (s *system) kill() {
	s.t.Helper()
	if err := s.process.Process.Kill(); err != nil {
		s.t.Fatal(err)
	}
	_ = s.process.Wait() // "signal: killed"
}

// job makes a job called as its target's plugin, all new.
func (s *system) job(name, plugin, endpoint string) {
	s.t.Helper()
	ctx := s.t.Context()
	meta := shield.Meta{Name: name}
	_, err := s.api.Targets().Create(ctx, &shield.Target{Meta: meta, Plugin: plugin, Endpoint: shield.Endpoint(endpoint)})
	s.check(err)
	_, err = s.api.Stores().Create(ctx, &shield.Store{Meta: meta, Plugin: "fs", Endpoint: folder(s.path("store"))})
	s.check(err)
	_, err = s.api.Schedules().Create(ctx, &shield.Schedule{Meta: meta, Timespec: "daily 4am"})
	s.check(err)
	_, err = s.api.Policies().Create(ctx, &shield.Policy{Meta: meta, Expiry: 86400})
	s.check(err)
	_, err = s.api.Jobs().Create(ctx, &shield.Job{Meta: meta, Target: name, Store: name, Schedule: name, Policy: name})
	s.check(err)
}

func (s *system) check(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func folder(dir string) shield.Endpoint {
	return shield.Endpoint(fmt.Sprintf(`{"base_dir":%q}`, dir))
}

// run runs a job and waits for its end.
func (s *system) run(name string) *shield.Task {
	s.t.Helper()
	t, err := s.api.RunJob(s.t.Context(), name)
	s.check(err)
	return s.wait(t)
}

func (s *system) wait(t *shield.Task) *shield.Task {
	s.t.Helper()
	t, err := s.api.Wait(s.t.Context(), t.UUID, func(*server.FollowAnswer) {})
	s.check(err)
	full, err := s.api.Tasks().Get(s.t.Context(), t.UUID)
	s.check(err)
	return full
}

// running waits until a task has moved so many bytes, or the log has a line.
func (s *system) running(t *shield.Task, enough func(*server.FollowAnswer) bool) {
	s.t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		a, err := s.api.Follow(s.t.Context(), t.UUID, 0, 0)
		s.check(err)
		if enough(a) {
			return
		}
		if a.Task.Status.Final() {
			s.t.Fatalf("the task ended: %s, %s", a.Task.Status, a.Task.Error)
		}
		time.Sleep(20 * time.Millisecond)
	}
	s.t.Fatal("the task did not get there in a minute")
}

func (s *system) archives() []*shield.Archive {
	s.t.Helper()
	all, err := s.api.Archives().List(s.t.Context(), nil)
	s.check(err)
	return all
}

// files returns what is below a folder, folders aside.
func (s *system) files(parts ...string) []string {
	s.t.Helper()
	var names []string
	err := filepath.WalkDir(s.path(parts...), func(path string, d iofs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			names = append(names, path)
		}
		return err
	})
	s.check(err)
	return names
}

// eventually waits for something that the daemon does by itself.
func (s *system) eventually(what string, ok func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if ok() {
			return
		}
	}
	s.t.Fatalf("not within a minute: %s", what)
}
