package scheduler_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/scheduler"
)

// addTarget makes a target like that of the job.
func (w *world) addTarget(name string, scratch bool) *shield.Target {
	w.t.Helper()
	tg := &shield.Target{Meta: shield.Meta{Name: name}, Plugin: "fs", Endpoint: shield.Endpoint(`{"base_dir":"/x"}`), Scratch: scratch}
	if err := w.catalog.CreateTarget(w.t.Context(), tg); err != nil {
		w.t.Fatal(err)
	}
	return must[*shield.Target](w.t)(w.catalog.Target(w.t.Context(), name))
}

// TestRestoreIsConfirmed by exactly the name of the target that it goes into.
func TestRestoreIsConfirmed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "yearly on january 1st at 4:00")
		w.start(scheduler.Options{})
		defer w.stop()
		made := w.ended(w.submit(shield.Request{Op: shield.OpBackup, Job: "nightly"}).UUID).Archive
		copied := w.addTarget("copy", false)
		w.addTarget("drill", true)
		const missing, wrong = "is missing: the restore overwrites the content of target", "type exactly that name"
		for _, c := range []struct {
			op          shield.Op
			to, confirm string
			refused     string // empty: it is done
			says        string // of the confirmation
		}{
			{shield.OpRestore, "", "", missing + ` "nightly"`, ""},
			{shield.OpRestore, "copy", "", missing + ` "copy"`, ""},
			{shield.OpRestore, "copy", "nightly", wrong, ""},
			{shield.OpRestore, "copy", "Copy", wrong, ""},
			{shield.OpRestore, "copy", "copy ", wrong, ""},
			{shield.OpRestore, "copy", copied.UUID, wrong, ""},
			{shield.OpRestore, "drill", "nightly", wrong, ""},
			{shield.OpPreflight, "copy", "nightly", wrong, ""},
			{shield.OpRestore, "", "nightly", "", "ok: ann typed the name of target nightly"},
			{shield.OpRestore, "copy", "copy", "", "ok: ann typed the name of target copy"},
			{shield.OpRestore, copied.UUID, "copy", "", "ok: ann typed"},
			{shield.OpRestore, "drill", "", "", "ok: target drill is a scratch target"},
			{shield.OpRestore, "drill", "drill", "", "ok: ann typed"},
			{shield.OpPreflight, "copy", "", "", "warning: the restore overwrites the content of target copy"},
			{shield.OpPreflight, "copy", "copy", "", "ok: ann typed"},
			{shield.OpPreflight, "drill", "", "", "ok: target drill is a scratch target"},
		} {
			before := len(w.tasks(shield.Filter{}))
			task, err := w.sched.Submit(t.Context(), shield.Request{Op: c.op, Owner: "ann", Archive: made, Target: c.to, Confirm: c.confirm})
			if c.refused != "" {
				var e *shield.Error
				if !errors.As(err, &e) || e.Code != shield.Invalid || e.Field != "confirm" || !strings.Contains(e.Message, c.refused) {
					t.Errorf("%s to %q with %q: got %v, want %q", c.op, c.to, c.confirm, err, c.refused)
				}
				if len(w.tasks(shield.Filter{})) != before {
					t.Errorf("%s to %q with %q has made a task", c.op, c.to, c.confirm)
				}
				continue
			}
			if err != nil {
				t.Errorf("%s to %q with %q: %v", c.op, c.to, c.confirm, err)
				continue
			}
			end := w.ended(task.UUID)
			if end.Status != shield.TaskDone || !strings.Contains(end.Log, "preflight: confirmation "+c.says) {
				t.Errorf("%s to %q with %q is %s: %s", c.op, c.to, c.confirm, end.Status, end.Log)
			}
			if end.Findings == nil || end.Findings.Preflight[0].Check != shield.CheckConfirmation {
				t.Errorf("%s to %q with %q has found %+v", c.op, c.to, c.confirm, end.Findings)
			}
		}
	})
}

// TestRestoreIsLookedAtAgain when it starts: what was so when it was asked for
// need not be so any more. The runner is not asked then.
func TestRestoreIsLookedAtAgain(t *testing.T) {
	for name, c := range map[string]struct {
		change func(w *world, a *shield.Archive, drill *shield.Target) error
		text   string
	}{
		"no scratch target": {func(w *world, _ *shield.Archive, drill *shield.Target) error {
			drill.Scratch = false
			return w.catalog.UpdateTarget(w.t.Context(), drill)
		}, "drill is no longer a scratch target"},
		"invalid archive": {func(w *world, a *shield.Archive, _ *shield.Target) error {
			a.Status = shield.ArchiveInvalid
			return w.catalog.UpdateArchive(w.t.Context(), a)
		}, "is invalid: only a valid one can be restored"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, "yearly on january 1st at 4:00")
				resume, ran := make(chan struct{}), false
				w.runner.RunFunc = func(ctx context.Context, task *shield.Task, m shield.Monitor) (shield.TaskResult, error) {
					switch task.Op {
					case shield.OpTestTarget:
						<-resume
					case shield.OpRestore:
						ran = true
					}
					return goodRun(ctx, task, m)
				}
				w.start(scheduler.Options{Limit: 1})
				defer w.stop()
				drill := w.addTarget("drill", true)
				made := w.ended(w.submit(shield.Request{Op: shield.OpBackup, Job: "nightly"}).UUID).Archive
				w.submit(shield.Request{Op: shield.OpTestTarget, Target: "drill"})
				synctest.Wait()
				restore := w.submit(shield.Request{Op: shield.OpRestore, Archive: made, Target: "drill"})
				if err := c.change(w, must[*shield.Archive](t)(w.catalog.Archive(t.Context(), made)), drill); err != nil {
					t.Fatal(err)
				}
				close(resume)
				end := w.ended(restore.UUID)
				if end.Status != shield.TaskFailed || end.ErrorCode != shield.Conflict || !strings.Contains(end.Error, c.text) || ran {
					t.Errorf("got %s %s: %s, and the runner ran: %v", end.Status, end.ErrorCode, end.Error, ran)
				}
				if end.Findings == nil || shield.Refusal(end.Findings.Preflight) == nil {
					t.Errorf("found %+v", end.Findings)
				}
			})
		})
	}
}

// TestPreflightKnows what the catalog knows of an archive, and what the runner
// found comes behind that.
func TestPreflightKnows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "yearly on january 1st at 4:00")
		size := int64(10)
		w.runner.RunFunc = func(ctx context.Context, task *shield.Task, m shield.Monitor) (shield.TaskResult, error) {
			if task.Op == shield.OpPreflight {
				found := shield.FoundError(shield.CheckStore, shield.FindingFailed, shield.Errorf(shield.NotFound, "", "no blob"))
				return shield.TaskResult{Findings: &shield.Findings{Preflight: []shield.Finding{found}}}, shield.Refusal([]shield.Finding{found})
			}
			r, err := goodRun(ctx, task, m)
			r.Archive.RawSize = size
			return r, err
		}
		w.start(scheduler.Options{})
		defer w.stop()
		var made []string
		for range 2 {
			made = append(made, w.ended(w.submit(shield.Request{Op: shield.OpBackup, Job: "nightly"}).UUID).Archive)
			size = 0
			time.Sleep(time.Minute)
		}
		empty := must[*shield.Archive](t)(w.catalog.Archive(t.Context(), made[1]))
		old := must[*shield.Archive](t)(w.catalog.Archive(t.Context(), made[0]))
		for n, want := range []string{
			"confirmation archive newest store, target nightly has a newer archive: " + made[1] + " from 20",
			"confirmation archive newest suspicion store, target nightly has no newer archive",
		} {
			end := w.ended(w.submit(shield.Request{Op: shield.OpPreflight, Archive: made[n]}).UUID)
			if end.Status != shield.TaskFailed || end.ErrorCode != shield.NotFound || end.Error != "nothing was restored: no blob" {
				t.Errorf("got %s %s: %s", end.Status, end.ErrorCode, end.Error)
			}
			var checks []string
			for _, f := range end.Findings.Preflight {
				checks = append(checks, f.Check)
				if f.Check == shield.CheckSuspicion && (f.State != shield.FindingWarning || f.Text != "the archive is suspicious: it "+empty.Suspicion) {
					t.Errorf("got %+v", f)
				}
			}
			if got := strings.Join(checks, " ") + ", " + end.Findings.Preflight[2].Text; !strings.HasPrefix(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
		}
		if now := must[*shield.Archive](t)(w.catalog.Archive(t.Context(), made[0])); now.Status != old.Status || now.TakenAt != old.TakenAt {
			t.Errorf("a preflight has changed the archive: %+v", now)
		}
	})
}
