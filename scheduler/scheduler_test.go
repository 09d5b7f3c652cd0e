package scheduler_test

//go:generate go tool moq -skip-ensure -pkg scheduler_test -out runner_moq_test.go .. Runner

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/catalog"
	"github.com/shieldhq/shield/scheduler"
)

// A world is a catalog with one job, and a scheduler over it.
type world struct {
	t       testing.TB
	catalog *catalog.DB
	path    string
	runner  *RunnerMock
	sched   *scheduler.Scheduler
	job     *shield.Job
}

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// newWorld makes a world whose job has the given timespec, and whose runner
// makes a good archive at once.
func newWorld(t testing.TB, timespec string) *world {
	t.Helper()
	w := &world{t: t, path: filepath.Join(t.TempDir(), "catalog.db")}
	w.catalog = must[*catalog.DB](t)(catalog.Open(t.Context(), w.path, nil))
	w.runner = &RunnerMock{RunFunc: goodRun}
	w.job = w.addJob("nightly", timespec, 50)
	return w
}

func (w *world) addJob(name, timespec string, priority int) *shield.Job {
	w.t.Helper()
	ctx := w.t.Context()
	meta := shield.Meta{Name: name}
	for _, err := range []error{
		w.catalog.CreateTarget(ctx, &shield.Target{Meta: meta, Plugin: "fs", Endpoint: shield.Endpoint(`{"base_dir":"/srv"}`)}),
		w.catalog.CreateStore(ctx, &shield.Store{Meta: meta, Plugin: "fs", Endpoint: shield.Endpoint(`{"base_dir":"/store"}`)}),
		w.catalog.CreateSchedule(ctx, &shield.Schedule{Meta: meta, Timespec: timespec}),
		w.catalog.CreatePolicy(ctx, &shield.Policy{Meta: meta, Expiry: 3600}),
		w.catalog.CreateJob(ctx, &shield.Job{Meta: meta, Target: name, Store: name, Schedule: name, Policy: name, Priority: priority}),
	} {
		if err != nil {
			w.t.Fatal(err)
		}
	}
	return must[*shield.Job](w.t)(w.catalog.Job(ctx, name))
}

// start makes and starts a scheduler.
func (w *world) start(opts scheduler.Options) {
	w.t.Helper()
	w.sched = scheduler.New(w.catalog, w.runner, &opts)
	if err := w.sched.Start(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// stop ends everything, at the end of a test.
func (w *world) stop() {
	w.t.Helper()
	now, cancel := context.WithCancel(context.Background())
	cancel()
	if err := errors.Join(w.sched.Stop(now), w.catalog.Close()); err != nil {
		w.t.Error(err)
	}
}

func (w *world) submit(r shield.Request) *shield.Task {
	w.t.Helper()
	return must[*shield.Task](w.t)(w.sched.Submit(w.t.Context(), r))
}

// ended waits for the end of a task.
func (w *world) ended(uuid string) *shield.Task {
	w.t.Helper()
	for after := 0; ; {
		t, _, next, err := w.sched.Follow(w.t.Context(), uuid, after, time.Second)
		if err != nil {
			w.t.Fatal(err)
		}
		if t.Status.Final() {
			return t
		}
		after = next
	}
}

func (w *world) tasks(f shield.Filter) []*shield.Task {
	w.t.Helper()
	return must[[]*shield.Task](w.t)(w.catalog.Tasks(w.t.Context(), f))
}

func (w *world) runs(s shield.RunStatus) []*shield.Run {
	w.t.Helper()
	return must[[]*shield.Run](w.t)(w.catalog.Runs(w.t.Context(), shield.Filter{Statuses: []string{string(s)}}))
}

func goodRun(_ context.Context, t *shield.Task, m shield.Monitor) (shield.TaskResult, error) {
	m.Log(shield.SourceTarget, "hello")
	p := shield.Progress{RawBytes: 10, StoredBytes: 5}
	if t.Op != shield.OpBackup {
		return shield.TaskResult{Progress: p}, nil
	}
	now := time.Now().UTC()
	return shield.TaskResult{Progress: p, Archive: &shield.Archive{
		UUID: t.Archive, Target: t.Target, Store: t.Store, Job: t.Job, Key: t.Key, ManifestKey: t.Key + ".manifest",
		TakenAt: now, ExpiresAt: now.Add(time.Duration(t.Retention) * time.Second), Status: shield.ArchiveValid,
		Plugin: t.TargetPlugin, RawSize: 10, StoredSize: 5,
	}}, nil
}

func TestBackupMakesAnArchive(t *testing.T) {
	w := newWorld(t, "daily 4:00")
	w.start(scheduler.Options{})
	defer w.stop()
	task := w.ended(w.submit(shield.Request{Op: shield.OpBackup, Job: "nightly", Owner: "ann"}).UUID)
	if task.Status != shield.TaskDone || task.Owner != "ann" || task.Attempts != 1 {
		t.Errorf("got %s by %s after %d attempts: %s", task.Status, task.Owner, task.Attempts, task.Error)
	}
	if !strings.Contains(task.Log, "target hello") {
		t.Errorf("the log lacks the runner's line: %q", task.Log)
	}
	a := must[*shield.Archive](t)(w.catalog.Archive(t.Context(), task.Archive))
	if a.Status != shield.ArchiveValid || a.Key != task.Key || a.TargetName != "nightly" {
		t.Errorf("got archive %+v", a)
	}
}

func TestFailureLeavesNoArchive(t *testing.T) {
	w := newWorld(t, "daily 4:00")
	w.runner.RunFunc = func(_ context.Context, task *shield.Task, _ shield.Monitor) (shield.TaskResult, error) {
		if task.Op == shield.OpPurge {
			return shield.TaskResult{}, nil
		}
		return shield.TaskResult{Leftovers: []string{task.Key}}, shield.Errorf(shield.TargetFailed, "", "the dump died")
	}
	w.start(scheduler.Options{})
	defer w.stop()
	task := w.ended(w.submit(shield.Request{Op: shield.OpBackup, Job: "nightly"}).UUID)
	if task.Status != shield.TaskFailed || task.ErrorCode != shield.TargetFailed || task.Error != "the dump died" {
		t.Errorf("got %s, %s, %q", task.Status, task.ErrorCode, task.Error)
	}
	if _, err := w.catalog.Archive(t.Context(), task.Archive); !errors.Is(err, shield.NotFound) {
		t.Errorf("the archive of a failed backup: %v, want NotFound", err)
	}
	purges := w.tasks(shield.Filter{Op: shield.OpPurge})
	if len(purges) != 1 || purges[0].Key != task.Key {
		t.Errorf("got %d purges, want one of %s", len(purges), task.Key)
	}
}

func TestCancel(t *testing.T) {
	w := newWorld(t, "daily 4:00")
	running := make(chan struct{})
	w.runner.RunFunc = func(ctx context.Context, _ *shield.Task, _ shield.Monitor) (shield.TaskResult, error) {
		close(running)
		<-ctx.Done()
		return shield.TaskResult{}, context.Cause(ctx)
	}
	w.start(scheduler.Options{})
	defer w.stop()
	first := w.submit(shield.Request{Op: shield.OpBackup, Job: "nightly"})
	<-running
	second := w.submit(shield.Request{Op: shield.OpBackup, Job: "nightly"})
	for _, task := range []*shield.Task{second, first} {
		if err := w.sched.Cancel(t.Context(), task.UUID); err != nil {
			t.Fatal(err)
		}
		if got := w.ended(task.UUID); got.Status != shield.TaskCanceled {
			t.Errorf("got %s: %s", got.Status, got.Error)
		}
		if err := w.sched.Cancel(t.Context(), task.UUID); !errors.Is(err, shield.Conflict) {
			t.Errorf("canceling twice: %v, want Conflict", err)
		}
	}
	if err := w.sched.Cancel(t.Context(), uuid.NewString()); !errors.Is(err, shield.NotFound) {
		t.Errorf("canceling nothing: %v, want NotFound", err)
	}
	if n := len(w.runner.RunCalls()); n != 1 {
		t.Errorf("%d tasks ran, want 1: the pending one was canceled first", n)
	}
}

func TestPriority(t *testing.T) {
	w := newWorld(t, "daily 4:00")
	var mu sync.Mutex
	var order []string
	release := make(chan struct{})
	w.runner.RunFunc = func(ctx context.Context, task *shield.Task, m shield.Monitor) (shield.TaskResult, error) {
		mu.Lock()
		order = append(order, task.JobName)
		mu.Unlock()
		<-release
		return goodRun(ctx, task, m)
	}
	for i, name := range []string{"last", "first", "middle"} {
		w.addJob(name, "daily 4:00", []int{90, 0, 40}[i])
	}
	w.start(scheduler.Options{Limit: 1})
	defer w.stop()
	uuids := []string{w.submit(shield.Request{Op: shield.OpBackup, Job: "nightly"}).UUID}
	for len(w.runner.RunCalls()) == 0 {
		time.Sleep(time.Millisecond)
	}
	for _, name := range []string{"last", "middle", "first"} {
		uuids = append(uuids, w.submit(shield.Request{Op: shield.OpBackup, Job: name}).UUID)
	}
	close(release)
	for _, id := range uuids {
		w.ended(id)
	}
	if want := []string{"nightly", "first", "middle", "last"}; !slices.Equal(order, want) {
		t.Errorf("ran %v, want %v", order, want)
	}
}

func TestRequestsRefused(t *testing.T) {
	w := newWorld(t, "daily 4:00")
	w.start(scheduler.Options{})
	defer w.stop()
	task := w.ended(w.submit(shield.Request{Op: shield.OpBackup, Job: "nightly"}).UUID)
	ctx := t.Context()
	other := &shield.Target{Meta: shield.Meta{Name: "db"}, Plugin: "postgres", Endpoint: shield.Endpoint(`{}`)}
	if err := w.catalog.CreateTarget(ctx, other); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		r    shield.Request
		want shield.Code
		text string
	}{
		{"unknown operation", shield.Request{Op: "format"}, shield.Invalid, `is "format"`},
		{"no job", shield.Request{Op: shield.OpBackup}, shield.Invalid, "job"},
		{"unknown job", shield.Request{Op: shield.OpBackup, Job: "weekly"}, shield.NotFound, "weekly"},
		{"no archive", shield.Request{Op: shield.OpRestore}, shield.Invalid, "archive"},
		{"unknown archive", shield.Request{Op: shield.OpRestore, Archive: uuid.NewString()}, shield.NotFound, ""},
		{"target of another plugin", shield.Request{Op: shield.OpRestore, Archive: task.Archive, Target: "db"}, shield.Invalid, "postgres"},
		{"unknown target", shield.Request{Op: shield.OpRestore, Archive: task.Archive, Target: "nowhere"}, shield.NotFound, "nowhere"},
		{"no store", shield.Request{Op: shield.OpTestStore}, shield.Invalid, "store"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := w.sched.Submit(ctx, c.r)
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("got %v, want %s with %q", err, c.want, c.text)
			}
		})
	}
}

func TestPurgeIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "daily 4:00")
		fails := 2
		w.runner.RunFunc = func(ctx context.Context, task *shield.Task, m shield.Monitor) (shield.TaskResult, error) {
			if task.Op == shield.OpPurge && fails > 0 {
				fails--
				return shield.TaskResult{}, shield.Errorf(shield.StoreFailed, "", "the disk is away")
			}
			return goodRun(ctx, task, m)
		}
		w.start(scheduler.Options{})
		defer w.stop()
		backup := w.ended(w.submit(shield.Request{Op: shield.OpBackup, Job: "nightly"}).UUID)
		began := time.Now()
		purge := w.ended(w.submit(shield.Request{Op: shield.OpPurge, Archive: backup.Archive, Reason: "no room"}).UUID)
		if purge.Status != shield.TaskDone || purge.Attempts != 3 {
			t.Errorf("got %s after %d attempts", purge.Status, purge.Attempts)
		}
		if took := time.Since(began); took < 3*time.Minute || took > 4*time.Minute {
			t.Errorf("tried again over %s, want 1 and 2 minutes between", took)
		}
		a := must[*shield.Archive](t)(w.catalog.Archive(t.Context(), backup.Archive))
		if a.Status != shield.ArchivePurged || a.PurgeReason != "no room" {
			t.Errorf("got %s because %q", a.Status, a.PurgeReason)
		}
		_, err := w.sched.Submit(t.Context(), shield.Request{Op: shield.OpRestore, Archive: backup.Archive})
		if !errors.Is(err, shield.Conflict) {
			t.Errorf("restoring what is purged: %v, want Conflict", err)
		}
	})
}

// TestPurgeIsResumed: an archive that is to go, with no task for it, as a
// crash between the two leaves it.
func TestPurgeIsResumed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "daily 4:00")
		w.start(scheduler.Options{})
		defer w.stop()
		backup := w.ended(w.submit(shield.Request{Op: shield.OpBackup, Job: "nightly"}).UUID)
		a := must[*shield.Archive](t)(w.catalog.Archive(t.Context(), backup.Archive))
		a.Status, a.PurgeReason = shield.ArchivePurging, "no room"
		must[any](t)(nil, w.catalog.UpdateArchive(t.Context(), a))
		time.Sleep(2 * time.Minute)
		a = must[*shield.Archive](t)(w.catalog.Archive(t.Context(), backup.Archive))
		if a.Status != shield.ArchivePurged || a.PurgeReason != "no room" {
			t.Errorf("got %s because %q", a.Status, a.PurgeReason)
		}
		if n := len(w.tasks(shield.Filter{Op: shield.OpPurge})); n != 1 {
			t.Errorf("%d purges, want 1", n)
		}
	})
}

// TestScheduleRuns lives through 30 hours of a daily job.
func TestScheduleRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "daily 4:00")
		w.start(scheduler.Options{})
		defer w.stop()
		time.Sleep(30 * time.Hour)
		synctest.Wait()
		if n := len(w.runs(shield.RunSucceeded)); n != 2 {
			t.Errorf("%d runs succeeded in 30 hours, want 2", n)
		}
		if n := len(w.runs(shield.RunDue)); n != 1 {
			t.Errorf("%d runs are due, want the next one", n)
		}
		for _, r := range w.runs(shield.RunSucceeded) {
			if r.DueAt.Hour() != 4 || r.DueAt.Minute() != 0 {
				t.Errorf("a run was due at %s", r.DueAt)
			}
		}
		valid := must[[]*shield.Archive](t)(w.catalog.Archives(t.Context(), shield.Filter{Statuses: []string{string(shield.ArchiveValid)}}))
		if len(valid) != 1 {
			t.Errorf("%d archives are valid: kept for an hour, only the newest stays", len(valid))
		}
	})
}

func TestPausedJobsAndChangedSchedules(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "every 10 minutes")
		w.start(scheduler.Options{})
		defer w.stop()
		time.Sleep(time.Minute)
		w.job.Paused = true
		if err := w.catalog.UpdateJob(t.Context(), w.job); err != nil {
			t.Fatal(err)
		}
		w.sched.Changed()
		time.Sleep(time.Hour)
		if n := len(w.tasks(shield.Filter{})); n != 0 {
			t.Fatalf("a paused job ran %d times", n)
		}
		s := must[*shield.Schedule](t)(w.catalog.Schedule(t.Context(), "nightly"))
		s.Timespec = "every 30 minutes"
		if err := w.catalog.UpdateSchedule(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		j := must[*shield.Job](t)(w.catalog.Job(t.Context(), "nightly"))
		j.Paused = false
		if err := w.catalog.UpdateJob(t.Context(), j); err != nil {
			t.Fatal(err)
		}
		w.sched.Changed()
		time.Sleep(2 * time.Hour)
		if n := len(w.runs(shield.RunSucceeded)); n != 4 {
			t.Errorf("%d runs in two hours, want 4", n)
		}
	})
}

// TestChangesTakenBack: pausing and unpausing, or changing a schedule and
// changing it back, must not lose the next run.
func TestChangesTakenBack(t *testing.T) {
	for name, change := range map[string]func(w *world, back bool){
		"pause": func(w *world, back bool) {
			j := must[*shield.Job](w.t)(w.catalog.Job(w.t.Context(), "nightly"))
			j.Paused = !back
			must[any](w.t)(nil, w.catalog.UpdateJob(w.t.Context(), j))
		},
		"schedule": func(w *world, back bool) {
			s := must[*shield.Schedule](w.t)(w.catalog.Schedule(w.t.Context(), "nightly"))
			s.Timespec = "every 45 minutes"
			if back {
				s.Timespec = "hourly at :30"
			}
			must[any](w.t)(nil, w.catalog.UpdateSchedule(w.t.Context(), s))
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, "hourly at :30")
				w.start(scheduler.Options{})
				defer w.stop()
				for _, back := range []bool{false, true} {
					change(w, back)
					w.sched.Changed()
					time.Sleep(5 * time.Second)
				}
				time.Sleep(time.Hour)
				synctest.Wait()
				if n := len(w.runs(shield.RunSucceeded)); n != 1 {
					t.Errorf("%d runs in an hour, want 1", n)
				}
			})
		})
	}
}

func TestOverlapIsSkipped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "every minute")
		w.runner.RunFunc = func(ctx context.Context, task *shield.Task, m shield.Monitor) (shield.TaskResult, error) {
			time.Sleep(150 * time.Second)
			return goodRun(ctx, task, m)
		}
		w.start(scheduler.Options{})
		defer w.stop()
		time.Sleep(10*time.Minute + 30*time.Second)
		skipped := w.runs(shield.RunSkipped)
		if len(skipped) == 0 || !strings.Contains(skipped[0].Reason, "still running") {
			t.Errorf("%d runs were skipped, want those that overlap with a reason", len(skipped))
		}
		if n := len(w.tasks(shield.Filter{Statuses: []string{"running", "pending"}})); n > 1 {
			t.Errorf("%d tasks of one job at once", n)
		}
		if told := w.events(shield.EventRunSkipped); len(told) != len(skipped) || !strings.Contains(told[0].Message, "still running") {
			t.Errorf("%d events of %d runs that were skipped", len(told), len(skipped))
		}
		if total := len(w.runs("")); total < 10 {
			t.Errorf("only %d runs are accounted for in ten minutes", total)
		}
	})
}

// TestDowntime stops for a day: one run is caught up, the others are missed.
func TestDowntime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "every 60 minutes")
		w.start(scheduler.Options{})
		time.Sleep(90 * time.Minute)
		before := len(w.runs(shield.RunSucceeded))
		if err := w.sched.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(24 * time.Hour)
		w.start(scheduler.Options{})
		defer w.stop()
		time.Sleep(5 * time.Second)
		if n := len(w.runs(shield.RunSucceeded)) - before; n != 1 {
			t.Errorf("%d runs were caught up, want 1", n)
		}
		if n := len(w.runs(shield.RunMissed)); n != 23 {
			t.Errorf("%d runs were missed, want 23", n)
		}
		if n := len(w.events(shield.EventRunMissed)); n != 23 {
			t.Errorf("%d events of missed runs, want 23", n)
		}
	})
}

// TestInterrupted takes over from a scheduler that died with a task running.
func TestInterrupted(t *testing.T) {
	w := newWorld(t, "daily 4:00")
	ctx := t.Context()
	w.sched = scheduler.New(w.catalog, w.runner, nil)
	backup := w.submit(shield.Request{Op: shield.OpBackup, Job: "nightly"})
	now := time.Now()
	lease := shield.Lease{Owner: "the dead", Expires: now.Add(time.Hour), Timeout: time.Hour}
	claimed := must[*shield.Task](t)(w.catalog.ClaimTask(ctx, lease, now))
	w.start(scheduler.Options{Owner: "the heir", Exclusive: true})
	defer w.stop()

	got := must[*shield.Task](t)(w.catalog.Task(ctx, backup.UUID))
	if got.Status != shield.TaskFailed || got.ErrorCode != shield.Interrupted {
		t.Errorf("got %s, %s", got.Status, got.ErrorCode)
	}
	purges := w.tasks(shield.Filter{Op: shield.OpPurge})
	if len(purges) != 1 || purges[0].Key != backup.Key || purges[0].ManifestKey != backup.Key+".manifest" {
		t.Fatalf("got %d purges, want one of what the backup left", len(purges))
	}
	// The dead one comes back: its success no longer counts.
	lease.Epoch = claimed.LeaseEpoch
	result, _ := goodRun(ctx, claimed, nopMonitor{})
	err := w.catalog.FinishTask(ctx, backup.UUID, lease, shield.Outcome{Status: shield.TaskDone, StoppedAt: now, Archive: result.Archive})
	if !errors.Is(err, shield.Conflict) {
		t.Errorf("finishing without the lease: %v, want Conflict", err)
	}
	if _, err := w.catalog.Archive(ctx, backup.Archive); !errors.Is(err, shield.NotFound) {
		t.Errorf("the archive of an interrupted backup: %v, want NotFound", err)
	}
}

type nopMonitor struct{}

func (nopMonitor) Log(shield.Source, string) {}
func (nopMonitor) Progress(shield.Progress)  {}

func TestLostLeaseCancelsTheTask(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "daily 4:00")
		cause := make(chan error, 1)
		w.runner.RunFunc = func(ctx context.Context, task *shield.Task, m shield.Monitor) (shield.TaskResult, error) {
			if task.Op == shield.OpPurge {
				return shield.TaskResult{}, nil
			}
			<-ctx.Done()
			cause <- context.Cause(ctx)
			return goodRun(ctx, task, m) // it says success all the same
		}
		w.start(scheduler.Options{})
		defer w.stop()
		task := w.submit(shield.Request{Op: shield.OpBackup, Job: "nightly"})
		time.Sleep(time.Second)
		running := must[*shield.Task](t)(w.catalog.Task(t.Context(), task.UUID))
		lease := shield.Lease{Owner: running.LeaseOwner, Epoch: running.LeaseEpoch}
		o := shield.Outcome{Status: shield.TaskFailed, StoppedAt: time.Now(), Code: shield.Interrupted, Error: "taken away"}
		if err := w.catalog.FinishTask(t.Context(), task.UUID, lease, o); err != nil {
			t.Fatal(err)
		}
		if err := <-cause; !errors.Is(err, shield.Interrupted) {
			t.Errorf("the task was canceled because of %v", err)
		}
		time.Sleep(time.Minute)
		if got := w.ended(task.UUID); got.Status != shield.TaskFailed {
			t.Errorf("got %s, want failed", got.Status)
		}
		if purges := w.tasks(shield.Filter{Op: shield.OpPurge}); len(purges) != 1 {
			t.Errorf("%d purges of the blob without a lease, want 1", len(purges))
		}
	})
}

func TestStopCancelsAfterGrace(t *testing.T) {
	w := newWorld(t, "daily 4:00")
	running := make(chan struct{})
	w.runner.RunFunc = func(ctx context.Context, _ *shield.Task, _ shield.Monitor) (shield.TaskResult, error) {
		close(running)
		<-ctx.Done()
		return shield.TaskResult{}, context.Cause(ctx)
	}
	w.start(scheduler.Options{})
	task := w.submit(shield.Request{Op: shield.OpBackup, Job: "nightly"})
	<-running
	grace, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := w.sched.Stop(grace); err != nil {
		t.Fatal(err)
	}
	got := must[*shield.Task](t)(w.catalog.Task(t.Context(), task.UUID))
	if got.Status != shield.TaskFailed || got.ErrorCode != shield.Interrupted {
		t.Errorf("got %s, %s: %s", got.Status, got.ErrorCode, got.Error)
	}
	w.stop()
}

// TestLogIsBounded floods the log: beginning and end are kept, and line
// numbers go on.
func TestLogIsBounded(t *testing.T) {
	w := newWorld(t, "daily 4:00")
	const lines = 40_000
	w.runner.RunFunc = func(ctx context.Context, task *shield.Task, m shield.Monitor) (shield.TaskResult, error) {
		for i := range lines {
			m.Log(shield.SourceTarget, fmt.Sprintf("line %d %s", i, strings.Repeat("x", 60)))
		}
		return goodRun(ctx, task, m)
	}
	w.start(scheduler.Options{})
	defer w.stop()
	task := w.ended(w.submit(shield.Request{Op: shield.OpBackup, Job: "nightly"}).UUID)
	if len(task.Log) > 2<<20 {
		t.Errorf("the log has %d bytes", len(task.Log))
	}
	for _, want := range []string{" line 0 ", fmt.Sprintf(" line %d ", lines-1), "lines are cut here"} {
		if !strings.Contains(task.Log, want) {
			t.Errorf("the log lacks %q", want)
		}
	}
	_, tail, next, err := w.sched.Follow(t.Context(), task.UUID, lines-1, 0)
	if err != nil || next != lines+1 || len(tail) != 2 {
		t.Errorf("following from line %d: %d lines, next %d, %v", lines-1, len(tail), next, err)
	}
}
