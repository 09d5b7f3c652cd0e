package daemon_test

import (
	"crypto/rand"
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/catalog"
	"github.com/shieldhq/shield/server"
)

// startMortal starts the daemon with a point at which it dies.
func (s *system) startMortal(p string) {
	s.t.Helper()
	s.point = p
	s.start()
	s.point = ""
}

// died waits for the daemon's end and checks that it was the one that is
// meant.
func (s *system) died() {
	s.t.Helper()
	err := s.process.Wait()
	status, ok := s.process.ProcessState.Sys().(syscall.WaitStatus)
	if !ok || status.Signal() != syscall.SIGKILL {
		s.t.Fatalf("the daemon ended: %v, want killed", err)
	}
}

// makeDue records a run of a job that is due now, as the scheduler would. The
// daemon is not running.
func (s *system) makeDue(job string) *shield.Run {
	s.t.Helper()
	c, err := catalog.Open(s.t.Context(), s.path("data", "catalog.db"), nil)
	s.check(err)
	j, err := c.Job(s.t.Context(), job)
	s.check(err)
	r := &shield.Run{Job: j.UUID, DueAt: time.Now().Add(-time.Second).UTC(), Status: shield.RunDue}
	s.check(errors.Join(c.RecordRun(s.t.Context(), r), c.Close()))
	return r
}

// ledger returns a run as it is now.
func (s *system) ledger(r *shield.Run) *shield.Run {
	s.t.Helper()
	all, err := s.api.Runs().List(s.t.Context(), nil)
	s.check(err)
	for _, o := range all {
		if o.UUID == r.UUID {
			return o
		}
	}
	s.t.Fatalf("the run due at %s is in the ledger no more", r.DueAt)
	return nil
}

// idle waits until no task is left to run.
func (s *system) idle() {
	s.t.Helper()
	s.eventually("all tasks have ended", func() bool {
		tasks, err := s.api.Tasks().List(s.t.Context(), nil)
		s.check(err)
		for _, t := range tasks {
			if !t.Status.Final() {
				return false
			}
		}
		return true
	})
}

// whole checks that the store has the files of the valid archives and no other.
func (s *system) whole() {
	s.t.Helper()
	files := strings.Join(s.files("store"), "\n")
	valid := 0
	for _, a := range s.archives() {
		if a.Status != shield.ArchiveValid {
			continue
		}
		valid++
		for _, key := range []string{a.Key, a.ManifestKey} {
			if !strings.Contains(files, s.path("store", key)) {
				s.t.Errorf("archive %s is valid, its %s is not in the store", a.UUID, key)
			}
		}
	}
	if n := len(s.files("store")); n != 2*valid {
		s.t.Errorf("the store has %d files for %d archives:\n%s", n, valid, files)
	}
}

// newMortal is a system with a job and so many archives of it, whose daemon is
// not running.
func newMortal(t *testing.T, archives int) *system {
	s := newSystem(t)
	s.write(0o640, rand.Text()+string(make([]byte, 1000)), "source", "small")
	random := make([]byte, 1<<20)
	_, _ = rand.Read(random) // never fails
	s.write(0o640, string(random), "source", "large")
	s.start()
	s.job("tree", "fs", string(folder(s.path("source"))))
	_, err := s.api.Jobs().Edit(t.Context(), "tree", map[string]any{"attempts": 1}) // another try would come in a minute
	s.check(err)
	for range archives {
		if task := s.run("tree"); task.Status != shield.TaskDone {
			t.Fatalf("%s: %s", task.Status, task.Error)
		}
	}
	s.kill()
	return s
}

// TestKilledAmidBackup kills the daemon at each point of a backup that its
// schedule started.
func TestKilledAmidBackup(t *testing.T) {
	t.Parallel()
	for _, p := range []struct {
		point string
		done  bool
	}{
		{"backup: task started", false}, // claimed
		{"before the first byte", false},
		{"amid the blob", false},
		{"the dump has ended", false},
		{"the blob is stored", false},
		{"amid the manifest", false},
		{"the manifest is stored", false},
		{"the manifest is read back", false}, // before the catalog's commit
		{"backup: task ended", true},         // after it
	} {
		t.Run(p.point, func(t *testing.T) {
			t.Parallel()
			s := newMortal(t, 0)
			run := s.makeDue("tree")
			s.startMortal(p.point)
			s.died()

			s.start()
			s.idle()
			s.whole()
			got := s.ledger(run)
			task, err := s.api.Tasks().Get(t.Context(), got.Task)
			s.check(err)
			want := []any{shield.RunFailed, shield.TaskFailed, shield.Interrupted, 0}
			if p.done {
				want = []any{shield.RunSucceeded, shield.TaskDone, shield.Code(""), 1}
			}
			for i, got := range []any{got.Status, task.Status, task.ErrorCode, len(s.archives())} {
				if got != want[i] {
					t.Errorf("got %v, want %v; run %+v; task %s: %s", got, want[i], s.ledger(run), task.Status, task.Error)
				}
			}
			if !p.done && !strings.Contains(task.Error, "process that ran this task died") {
				t.Errorf("the task says %q", task.Error)
			}
			if task := s.run("tree"); task.Status != shield.TaskDone {
				t.Fatalf("the next backup %s: %s", task.Status, task.Error)
			}
			s.restoreAndCompare(s.archives()[0])
		})
	}
}

// TestKilledAmidPurge kills the daemon at each point of a purge, which is
// completed after it.
func TestKilledAmidPurge(t *testing.T) {
	t.Parallel()
	for _, point := range []string{
		"purge: task started", "before the manifest is deleted", "the manifest is deleted",
		"before the blob is deleted", "the blob is deleted", "purge: task ended",
	} {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			s := newMortal(t, 2)
			s.startMortal(point)
			a := s.archives()[1]
			_, _ = s.api.PurgeArchive(t.Context(), a.UUID) // the answer may come too late
			s.died()

			s.start()
			s.eventually("the archive is purged", func() bool {
				got, err := s.api.Archives().Get(t.Context(), a.UUID)
				s.check(err)
				return got.Status == shield.ArchivePurged
			})
			s.idle()
			s.whole()
			s.restoreAndCompare(s.archives()[0])
		})
	}
}

// TestKilledAmidRestore kills the daemon at each point of a restore: the
// archive suffers nothing and can be restored again.
func TestKilledAmidRestore(t *testing.T) {
	t.Parallel()
	for _, p := range []struct {
		point string
		done  bool
	}{
		{"restore: task started", false},
		{"before the restore's first byte", false},
		{"amid the restore", false},
		{"all is restored", false}, // before the catalog's commit
		{"the blob is read back", false},
		{"restore: task ended", true}, // after it
	} {
		t.Run(p.point, func(t *testing.T) {
			t.Parallel()
			s := newMortal(t, 1)
			s.check(os.Mkdir(s.path("first"), 0o755))
			s.startMortal(p.point)
			a := s.archives()[0]
			_, err := s.api.Targets().Create(t.Context(), &shield.Target{Meta: shield.Meta{Name: "first"}, Plugin: "fs", Endpoint: folder(s.path("first"))})
			s.check(err)
			_, _ = s.api.Restore(t.Context(), a.UUID, server.RestoreRequest{Target: "first", Confirm: "first"}) // the answer may come too late
			s.died()

			s.start()
			s.idle()
			s.whole()
			tasks, err := s.api.Tasks().List(t.Context(), nil)
			s.check(err)
			for _, task := range tasks {
				want, code := shield.TaskFailed, shield.Interrupted
				if p.done {
					want, code = shield.TaskDone, ""
				}
				if task.Op == shield.OpRestore && (task.Status != want || task.ErrorCode != code) {
					t.Errorf("the restore is %s, %s: %s", task.Status, task.ErrorCode, task.Error)
				}
			}
			s.restoreAndCompare(a)
		})
	}
}
