package daemon_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/daemon"
	"github.com/shieldhq/shield/internal/bundled"
	"github.com/shieldhq/shield/internal/shieldtest"
	"github.com/shieldhq/shield/internal/treecmp"
	"github.com/shieldhq/shield/server"
)

// fill makes a source tree of about 6 MB.
func (s *system) fill() {
	s.t.Helper()
	s.check(os.MkdirAll(s.path("source", "a", "b"), 0o750))
	for _, name := range []string{"one", "a/two", "a/b/three"} {
		s.write(0o640, strings.Repeat(name+" has some text\n", 100_000), "source", name)
	}
	s.check(os.Symlink("a/two", s.path("source", "link")))
	s.check(os.Link(s.path("source", "one"), s.path("source", "a", "same")))
	s.check(syscall.Mkfifo(s.path("source", "pipe"), 0o600))
}

// restoreAndCompare restores an archive into an empty folder and compares.
func (s *system) restoreAndCompare(a *shield.Archive) {
	s.t.Helper()
	ctx := s.t.Context()
	_, err := s.api.Targets().Create(ctx, &shield.Target{Meta: shield.Meta{Name: "elsewhere"}, Plugin: "fs", Endpoint: folder(s.path("restored"))})
	s.check(err)
	t, err := s.api.Restore(ctx, a.UUID, server.RestoreRequest{Target: "elsewhere", Confirm: "elsewhere"})
	s.check(err)
	if t = s.wait(t); t.Status != shield.TaskDone {
		s.t.Fatalf("the restore %s: %s\n%s", t.Status, t.Error, t.Log)
	}
	s.sameAsSource("restored")
}

// sameAsSource compares a folder with the source tree.
func (s *system) sameAsSource(name string) {
	s.t.Helper()
	differences, err := treecmp.Compare(s.path("source"), s.path(name))
	s.check(err)
	if len(differences) > 0 {
		s.t.Errorf("the restored tree differs: %q", differences)
	}
}

// nothingOf fails if a failed backup left an archive or a file.
func (s *system) nothingOf(t *shield.Task) {
	s.t.Helper()
	for _, a := range s.archives() {
		if a.UUID == t.Archive {
			s.t.Errorf("there is an archive %s of a backup that %s", a.UUID, t.Status)
		}
	}
	for _, f := range s.files("store") {
		if strings.Contains(f, t.Archive) {
			s.t.Errorf("the store still has %s", f)
		}
	}
}

func TestBackupAndRestore(t *testing.T) {
	s := newSystem(t)
	s.fill()
	s.start()
	s.job("tree", "fs", string(folder(s.path("source"))))
	for range 2 {
		if task := s.run("tree"); task.Status != shield.TaskDone {
			t.Fatalf("%s: %s\n%s", task.Status, task.Error, task.Log)
		}
	}
	archives := s.archives()
	if len(archives) != 2 {
		t.Fatalf("%d archives, want 2", len(archives))
	}
	s.restoreAndCompare(archives[0])
}

func TestKillDuringBackup(t *testing.T) {
	s := newSystem(t)
	s.fill()
	s.plugin("slow", "head -c 8000000 /dev/urandom; sleep 600")
	s.start()
	s.job("slow", "slow", `{}`)
	s.job("tree", "fs", string(folder(s.path("source"))))
	task, err := s.api.RunJob(t.Context(), "slow")
	s.check(err)
	s.running(task, func(a *server.FollowAnswer) bool { return a.Task.Progress.StoredBytes > 1<<20 })
	if len(s.files("store")) == 0 {
		t.Fatal("nothing is in the store yet: the test would prove nothing")
	}
	s.kill()

	s.start()
	got, err := s.api.Tasks().Get(t.Context(), task.UUID)
	s.check(err)
	if got.Status != shield.TaskFailed || got.ErrorCode != shield.Interrupted || !strings.Contains(got.Error, "interrupted") {
		t.Errorf("the task is %s, %s: %s", got.Status, got.ErrorCode, got.Error)
	}
	s.eventually("the leftover is purged", func() bool { return len(s.files("store")) == 0 })
	s.nothingOf(got)
	if task := s.run("tree"); task.Status != shield.TaskDone {
		t.Fatalf("the next backup %s: %s", task.Status, task.Error)
	}
	s.restoreAndCompare(s.archives()[0])
}

func TestKillDuringRestore(t *testing.T) {
	s := newSystem(t)
	s.fill()
	s.write(0o755, `#!/bin/sh
case "$1" in
info) echo '{"name":"drip","version":"1","features":{"target":"yes","store":"no"},"fields":[]}' ;;
backup) head -c 8000000 /dev/urandom ;;
restore) head -c 1000000 >/dev/null; echo "one megabyte is in" >&2; sleep 600 ;;
esac
`, "plugins", "drip")
	s.start()
	s.job("drip", "drip", `{}`)
	if task := s.run("drip"); task.Status != shield.TaskDone {
		t.Fatalf("%s: %s", task.Status, task.Error)
	}
	before := s.files("store")
	task, err := s.api.Restore(t.Context(), s.archives()[0].UUID, server.RestoreRequest{Confirm: s.archives()[0].TargetName})
	s.check(err)
	s.running(task, func(a *server.FollowAnswer) bool {
		return strings.Contains(strings.Join(a.Lines, "\n"), "one megabyte")
	})
	s.kill()

	s.start()
	got, err := s.api.Tasks().Get(t.Context(), task.UUID)
	s.check(err)
	if got.Status != shield.TaskFailed || got.ErrorCode != shield.Interrupted {
		t.Errorf("the restore is %s, %s: %s", got.Status, got.ErrorCode, got.Error)
	}
	if after := s.files("store"); len(after) != len(before) || len(s.archives()) != 1 {
		t.Errorf("the archive suffered: %q, had %q", after, before)
	}
	task, err = s.api.TestStore(t.Context(), "drip")
	s.check(err)
	if got := s.wait(task); got.Status != shield.TaskDone {
		t.Errorf("afterwards the store fails: %s", got.Error)
	}
}

func TestTwoDaemons(t *testing.T) {
	s := newSystem(t)
	s.start()
	_, err := daemon.Open(t.Context(), daemon.Config{Data: s.path("data"), Listen: "127.0.0.1:0"})
	if !errors.Is(err, shield.Conflict) || !strings.Contains(err.Error(), "another daemon") {
		t.Errorf("the second daemon: %v, want Conflict", err)
	}
	s.kill()
	d, err := daemon.Open(t.Context(), daemon.Config{Data: s.path("data"), Listen: "127.0.0.1:0"})
	s.check(err)
	s.check(d.Close())
}

// TestTargetFaults has targets that go wrong in ways of their own.
func TestTargetFaults(t *testing.T) {
	s := newSystem(t)
	s.plugin("liar", "head -c 1000000000 /dev/zero; echo 'connection to the server was lost' >&2; exit 1")
	s.plugin("gone", "exit 0")
	s.plugin("killed", "head -c 100000 /dev/zero; kill -9 $$")
	s.start()
	s.check(os.Remove(s.path("plugins", "gone")))
	s.check(os.WriteFile(s.path("file"), nil, 0o600))
	for _, c := range []struct {
		name, plugin, endpoint string
		code                   shield.Code
		text                   []string
	}{
		{"a gigabyte, then exit 1", "liar", `{}`, shield.TargetFailed, []string{"target", "liar", "exit status 1", "connection to the server was lost"}},
		{"killed by a signal", "killed", `{}`, shield.TargetFailed, []string{"target", "signal: killed"}},
		{"missing folder", "fs", string(folder(s.path("nowhere"))), shield.TargetFailed, []string{"target", "fs", s.path("nowhere")}},
		{"folder is a file", "fs", string(folder(s.path("file"))), shield.TargetFailed, []string{"target", "fs", s.path("file")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.job(c.name, c.plugin, c.endpoint)
			task := s.run(c.name)
			if task.Status != shield.TaskFailed || task.ErrorCode != c.code {
				t.Errorf("the task %s, %s: %s", task.Status, task.ErrorCode, task.Error)
			}
			for _, want := range c.text {
				if !strings.Contains(task.Error, want) {
					t.Errorf("the error lacks %q: %s", want, task.Error)
				}
			}
			s.nothingOf(task)
		})
	}
	t.Run("missing executable", func(t *testing.T) {
		_, err := s.api.Targets().Create(t.Context(), &shield.Target{Meta: shield.Meta{Name: "gone"}, Plugin: "gone", Endpoint: shield.Endpoint(`{}`)})
		if err == nil || !strings.Contains(err.Error(), s.path("plugins", "gone")) {
			t.Errorf("got %v, want an error that names the file", err)
		}
	})
}

// TestMissingExecutable removes a plugin after its target was made.
func TestMissingExecutable(t *testing.T) {
	s := newSystem(t)
	s.plugin("gone", "head -c 1000 /dev/zero")
	s.start()
	s.job("gone", "gone", `{}`)
	s.check(os.Remove(s.path("plugins", "gone")))
	task := s.run("gone")
	if task.Status != shield.TaskFailed || !strings.Contains(task.Error, s.path("plugins", "gone")) {
		t.Errorf("the task %s: %s", task.Status, task.Error)
	}
	s.nothingOf(task)
}

func TestCancelHangingTarget(t *testing.T) {
	s := newSystem(t)
	s.plugin("hang", "head -c 3000000 /dev/urandom; trap '' TERM; sleep 600 & wait; sleep 600")
	s.start()
	s.job("hang", "hang", `{}`)
	task, err := s.api.RunJob(t.Context(), "hang")
	s.check(err)
	s.running(task, func(a *server.FollowAnswer) bool { return a.Task.Progress.RawBytes >= 2_000_000 })
	_, err = s.api.CancelTask(t.Context(), task.UUID)
	s.check(err)
	if task = s.wait(task); task.Status != shield.TaskCanceled {
		t.Errorf("the task %s: %s", task.Status, task.Error)
	}
	s.nothingOf(task)
}

// TestTimeout ends a target that hangs by the job's deadline.
func TestTimeout(t *testing.T) {
	s := newSystem(t)
	s.plugin("hang", "sleep 600")
	s.start()
	s.job("hang", "hang", `{}`)
	_, err := s.api.Jobs().Edit(t.Context(), "hang", map[string]any{"timeout": 1})
	s.check(err)
	task := s.run("hang")
	if task.Status != shield.TaskFailed || task.ErrorCode != shield.TimedOut {
		t.Errorf("the task %s, %s: %s", task.Status, task.ErrorCode, task.Error)
	}
	s.nothingOf(task)
}

func TestGracefulStop(t *testing.T) {
	s := newSystem(t)
	s.plugin("hang", "head -c 3000000 /dev/urandom; sleep 600")
	s.start()
	s.job("hang", "hang", `{}`)
	task, err := s.api.RunJob(t.Context(), "hang")
	s.check(err)
	s.running(task, func(a *server.FollowAnswer) bool { return a.Task.Progress.RawBytes >= 2_000_000 })
	s.check(s.process.Process.Signal(syscall.SIGTERM))
	if err := s.process.Wait(); err != nil {
		t.Errorf("the daemon ended with %v", err)
	}
	if left := s.files("store"); len(left) > 0 {
		t.Errorf("the store has %q", left)
	}
	s.start()
	got, err := s.api.Tasks().Get(t.Context(), task.UUID)
	s.check(err)
	if got.Status != shield.TaskFailed || got.ErrorCode != shield.Interrupted {
		t.Errorf("the task is %s, %s: %s", got.Status, got.ErrorCode, got.Error)
	}
}

// TestEmbedding opens the whole system in a program, as its users do.
func TestEmbedding(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	d, err := daemon.Open(ctx, daemon.Config{Data: t.TempDir(), Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx, 0) }()
	c, err := server.NewClient(d.URL(), d.Token())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Status(ctx); err != nil {
		t.Error(err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestStoreFull fills a small file system.
func TestStoreFull(t *testing.T) {
	if os.Getuid() != 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("mounting a small file system needs root")
		}
		t.Skip("mounting a small file system needs root")
	}
	s := newSystem(t)
	s.fill()
	s.check(syscall.Mount("tmpfs", s.path("store"), "tmpfs", 0, "size=1m"))
	t.Cleanup(func() { s.check(syscall.Unmount(s.path("store"), 0)) })
	s.plugin("noise", "head -c 8000000 /dev/urandom")
	s.start()
	s.job("noise", "noise", `{}`)
	task := s.run("noise")
	if task.Status != shield.TaskFailed || task.ErrorCode != shield.StoreFailed || !strings.Contains(task.Error, "no space left") {
		t.Errorf("the task %s, %s: %s", task.Status, task.ErrorCode, task.Error)
	}
	s.nothingOf(task)
	s.kill()
}

// TestSandbox backs up with the bundled module and restores it by the version
// that made it, also when the daemon has gone back to the compiled-in plugin.
func TestSandbox(t *testing.T) {
	modules, err := bundled.Modules()
	if err != nil {
		t.Fatal(err)
	}
	if len(modules) == 0 {
		if os.Getenv("CI") != "" {
			t.Fatal(bundled.ErrNotBuilt)
		}
		t.Skip(bundled.ErrNotBuilt)
	}
	fs := modules[slices.IndexFunc(modules, func(m bundled.Module) bool { return m.Name == "fs" })]
	s := newSystem(t)
	s.program, s.sandbox = filepath.Join(shieldtest.Programs(t), "shieldd"), true
	s.check(os.MkdirAll(s.path("source", "a", "b"), 0o755))
	s.write(0o644, strings.Repeat("some text\n", 300_000), "source", "a", "b", "c")
	s.start()
	s.job("tree", "fs", string(folder(s.path("source"))))
	if task := s.run("tree"); task.Status != shield.TaskDone {
		t.Fatalf("%s: %s\n%s", task.Status, task.Error, task.Log)
	}
	a := s.archives()[0]
	if a.PluginDigest != fs.Digest {
		t.Errorf("the archive was made by %q, want the module %s", a.PluginDigest, fs.Digest)
	}
	s.kill()
	s.sandbox = false
	s.start()
	if task := s.run("tree"); task.Status != shield.TaskDone {
		t.Fatalf("%s: %s", task.Status, task.Error)
	}
	if newest := s.archives()[0]; newest.PluginDigest != "" {
		t.Errorf("the second archive was made by %q, want the compiled-in plugin", newest.PluginDigest)
	}
	_, err = s.api.Targets().Create(t.Context(), &shield.Target{Meta: shield.Meta{Name: "elsewhere"}, Plugin: "fs", Endpoint: folder(s.path("restored"))})
	s.check(err)
	task, err := s.api.Restore(t.Context(), a.UUID, server.RestoreRequest{Target: "elsewhere", Confirm: "elsewhere"})
	s.check(err)
	if task = s.wait(task); task.Status != shield.TaskDone || strings.Contains(task.Log, "is not here") {
		t.Fatalf("the restore %s: %s\n%s", task.Status, task.Error, task.Log)
	}
	want, err := os.ReadFile(s.path("source", "a", "b", "c"))
	s.check(err)
	got, err := os.ReadFile(s.path("restored", "a", "b", "c"))
	if err != nil || string(got) != string(want) {
		t.Errorf("the restored file has %d bytes, want %d: %v", len(got), len(want), err)
	}
}
