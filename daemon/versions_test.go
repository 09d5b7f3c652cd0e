package daemon_test

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/shieldhq/shield"
)

// buildModule builds a module and returns it with its digest.
func (s *system) buildModule(source string) (module []byte, digest string) {
	s.t.Helper()
	out := s.path("module.wasm")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", out, source)
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		s.t.Fatalf("go build %s: %v\n%s", source, err, text)
	}
	module, err := os.ReadFile(out)
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
	s.sweepEvery = "100ms"
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
	task, err := s.api.Restore(ctx, recent.UUID, "elsewhere")
	s.check(err)
	if task = s.wait(task); task.Status != shield.TaskFailed || !strings.Contains(task.Error, "version 2 refuses to restore") {
		t.Fatalf("the restore by version 2 %s: %s", task.Status, task.Error)
	}
	task, err = s.api.Restore(ctx, old.UUID, "elsewhere")
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
	s.eventually("the module that no archive needs is removed", func() bool { return !s.kept(oneDigest) })
	if left, _ := filepath.Glob(s.path("data", "plugins", "*.wasm")); len(left) != 1 || !s.kept(twoDigest) {
		t.Errorf("%q are left, want the current module", left)
	}
}
