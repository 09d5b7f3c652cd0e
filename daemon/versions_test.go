package daemon_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/daemon"
	"github.com/shieldhq/shield/server"
)

// build builds a program and returns its path.
func (s *system) build(name, source string, env ...string) string {
	s.t.Helper()
	out := s.path(name)
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", out, source)
	cmd.Env = append(append(os.Environ(), "CGO_ENABLED=0"), env...)
	if text, err := cmd.CombinedOutput(); err != nil {
		s.t.Fatalf("go build %s: %v\n%s", source, err, text)
	}
	return out
}

// buildModule builds a module and returns it with its digest.
func (s *system) buildModule(source string) (module []byte, digest string) {
	s.t.Helper()
	module, err := os.ReadFile(s.build("module.wasm", source, "GOOS=wasip1", "GOARCH=wasm"))
	s.check(err)
	sum := sha256.Sum256(module)
	return module, "sha256:" + hex.EncodeToString(sum[:])
}

// kept reports whether a module is kept, both as a file and in the catalog.
func (s *system) kept(digest string) bool {
	s.t.Helper()
	all, err := s.api.Modules(s.t.Context())
	s.check(err)
	listed := false
	for _, m := range all {
		listed = listed || m.Digest == digest
	}
	_, err = os.Stat(s.path("data", "plugins", strings.TrimPrefix(digest, "sha256:")+".wasm"))
	return listed && err == nil
}

// backupWith runs a job and returns its archive.
func (s *system) backupWith(name string) *shield.Archive {
	s.t.Helper()
	t := s.run(name)
	if t.Status != shield.TaskDone {
		s.t.Fatalf("the backup %s: %s\n%s", t.Status, t.Error, t.Log)
	}
	a, err := s.api.Archives().Get(s.t.Context(), t.Archive)
	s.check(err)
	return a
}

// An archive is restored by the very module that wrote it, although a newer
// one is installed; that module is kept as long as the archive is, and no
// longer.
func TestOldArchiveRestoredByItsVersion(t *testing.T) {
	s := newSystem(t)
	s.program = s.build("shieldd", "../cmd/shieldd")
	s.fill()
	one, oneDigest := s.buildModule("../plugins-wasm/fs")
	two, twoDigest := s.buildModule("./testdata/fs2")
	s.start()
	ctx := t.Context()
	_, err := s.api.InstallModule(ctx, "tree", one, oneDigest)
	s.check(err)
	s.job("tree", "tree", string(folder(s.path("source"))))
	old := s.backupWith("tree")
	if old.PluginDigest != oneDigest {
		t.Fatalf("the first archive is of module %s, want %s", old.PluginDigest, oneDigest)
	}

	_, err = s.api.InstallModule(ctx, "tree", two, "") // it asks for nothing more
	s.check(err)
	recent := s.backupWith("tree")
	if recent.PluginDigest != twoDigest || recent.PluginVersion != "2.0.0" {
		t.Fatalf("the second archive is of module %s, version %s, want %s", recent.PluginDigest, recent.PluginVersion, twoDigest)
	}
	s.kill()
	s.start() // which sweeps

	_, err = s.api.Targets().Create(ctx, &shield.Target{Meta: shield.Meta{Name: "elsewhere"}, Plugin: "tree", Endpoint: folder(s.path("restored"))})
	s.check(err)
	task, err := s.api.Restore(ctx, recent.UUID, server.RestoreRequest{Target: "elsewhere", Confirm: "elsewhere"})
	s.check(err)
	if task = s.wait(task); task.Status != shield.TaskFailed || !strings.Contains(task.Error, "version 2 refuses to restore") {
		t.Fatalf("the restore by version 2 %s: %s", task.Status, task.Error)
	}
	task, err = s.api.Restore(ctx, old.UUID, server.RestoreRequest{Target: "elsewhere", Confirm: "elsewhere"})
	s.check(err)
	if task = s.wait(task); task.Status != shield.TaskDone {
		t.Fatalf("the restore by version 1 %s: %s\n%s", task.Status, task.Error, task.Log)
	}
	s.sameAsSource("restored")
	if !s.kept(oneDigest) {
		t.Fatal("the module of the first archive was not kept")
	}

	task, err = s.api.PurgeArchive(ctx, old.UUID)
	s.check(err)
	if task = s.wait(task); task.Status != shield.TaskDone {
		t.Fatalf("the purge %s: %s", task.Status, task.Error)
	}
	s.kill()
	s.start()
	s.eventually("the module that no archive needs is removed, and then its file", func() bool {
		left, _ := filepath.Glob(s.path("data", "plugins", "*.wasm"))
		return !s.kept(oneDigest) && len(left) == 1
	})
	if !s.kept(twoDigest) {
		t.Error("the current module is removed, too")
	}
}

// A daemon that runs for long sweeps as well, not only when it starts.
func TestSweepOnSchedule(t *testing.T) {
	d, err := daemon.Open(t.Context(), daemon.Config{Data: t.TempDir(), Listen: "127.0.0.1:0", SweepEvery: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx, time.Second) }()
	for n := range 3 { // each makes the one before an old version
		m := &shield.Module{
			Name: "x", Digest: "sha256:" + strings.Repeat(strconv.Itoa(n), 64), Version: strconv.Itoa(n),
			Info: json.RawMessage(`{"name":"x"}`), Grant: json.RawMessage(`{}`),
		}
		if err := d.Catalog().InstallModule(ctx, m); err != nil {
			t.Fatal(err)
		}
		left := 0
		for deadline := time.Now().Add(time.Minute); left != 1 && time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
			all, err := d.Catalog().Modules(ctx)
			if err != nil {
				t.Fatal(err)
			}
			left = len(all)
		}
		if left != 1 {
			t.Errorf("a minute after version %d there are %d", n, left)
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
