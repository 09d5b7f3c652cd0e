package scheduler_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/shieldhq/shield"
)

// A gate is the catalog as a process sees it: slow, out of order at times,
// and out of reach once the process is dead.
type gate struct {
	shield.Catalog
	p *process
}

var errDead = errors.New("this process is dead")

func unavailable(text string) error { return shield.Errorf(shield.Unavailable, "catalog", "%s", text) }

// call lets a process die before or after what f does, and f fail, before it
// did anything or, so that only its answer is lost, after.
func (g *gate) call(name string, writes bool, f func() error) error {
	p := g.p
	if p.burnt() {
		return errDead
	}
	weather, outage := p.now()
	r := p.draw("catalog " + name)
	if name != "ClaimTask" { // the scheduler holds a lock around it
		p.lag(r, weather.lag)
	}
	if p.burnt() {
		return errDead
	}
	if time.Now().Before(outage.until) && (writes || outage.reads) && (!outage.beats || name == "RenewTask") {
		return unavailable("the disk is full")
	}
	fails := r.Float64() < weather.catalog
	if fails && (!writes || r.IntN(2) == 0) {
		return unavailable("the catalog is busy")
	}
	p.books.RLock()
	err := f()
	p.books.RUnlock()
	if p.burnt() {
		return errDead
	}
	if fails && err == nil {
		return unavailable("the answer was lost")
	}
	return err
}

func (p *process) lag(r *rand.Rand, often float64) {
	if r.Float64() < often {
		time.Sleep(between(r, time.Millisecond, pick(r, 5*time.Millisecond, 300*time.Millisecond, 4*time.Second)))
	}
}

func read[T any](g *gate, name string, f func() (T, error)) (T, error) {
	var v T
	err := g.call(name, false, func() (err error) {
		v, err = f()
		return err
	})
	if err != nil {
		var zero T
		return zero, err
	}
	return v, nil
}

func (g *gate) Jobs(ctx context.Context, f shield.Filter) ([]*shield.Job, error) {
	return read(g, "Jobs", func() ([]*shield.Job, error) { return g.Catalog.Jobs(ctx, f) })
}

func (g *gate) Job(ctx context.Context, ref string) (*shield.Job, error) {
	return read(g, "Job", func() (*shield.Job, error) { return g.Catalog.Job(ctx, ref) })
}

func (g *gate) Schedule(ctx context.Context, ref string) (*shield.Schedule, error) {
	return read(g, "Schedule", func() (*shield.Schedule, error) { return g.Catalog.Schedule(ctx, ref) })
}

func (g *gate) Policy(ctx context.Context, ref string) (*shield.Policy, error) {
	return read(g, "Policy", func() (*shield.Policy, error) { return g.Catalog.Policy(ctx, ref) })
}

func (g *gate) Target(ctx context.Context, ref string) (*shield.Target, error) {
	return read(g, "Target", func() (*shield.Target, error) { return g.Catalog.Target(ctx, ref) })
}

func (g *gate) Store(ctx context.Context, ref string) (*shield.Store, error) {
	return read(g, "Store", func() (*shield.Store, error) { return g.Catalog.Store(ctx, ref) })
}

func (g *gate) Runs(ctx context.Context, f shield.Filter) ([]*shield.Run, error) {
	return read(g, "Runs", func() ([]*shield.Run, error) { return g.Catalog.Runs(ctx, f) })
}

func (g *gate) RecordRun(ctx context.Context, r *shield.Run) error {
	return g.call("RecordRun", true, func() error { return g.Catalog.RecordRun(ctx, r) })
}

func (g *gate) DueRuns(ctx context.Context, now time.Time, after string, limit int) ([]*shield.DueRun, error) {
	return read(g, "DueRuns", func() ([]*shield.DueRun, error) { return g.Catalog.DueRuns(ctx, now, after, limit) })
}

func (g *gate) NextDue(ctx context.Context, t time.Time) (time.Time, error) {
	return read(g, "NextDue", func() (time.Time, error) { return g.Catalog.NextDue(ctx, t) })
}

func (g *gate) TakeSteps(ctx context.Context, steps []*shield.RunStep) error {
	return g.call("TakeSteps", true, func() error { return g.Catalog.TakeSteps(ctx, steps) })
}

func (g *gate) Plans(ctx context.Context, f shield.PlanFilter) ([]*shield.JobPlan, error) {
	return read(g, "Plans", func() ([]*shield.JobPlan, error) { return g.Catalog.Plans(ctx, f) })
}

func (g *gate) ChangedSchedules(ctx context.Context, after string) ([]*shield.Schedule, error) {
	return read(g, "ChangedSchedules", func() ([]*shield.Schedule, error) { return g.Catalog.ChangedSchedules(ctx, after) })
}

func (g *gate) Planned(ctx context.Context, plans []*shield.JobPlan) error {
	return g.call("Planned", true, func() error { return g.Catalog.Planned(ctx, plans) })
}

func (g *gate) SchedulePlanned(ctx context.Context, uuid string, version int64) error {
	return g.call("SchedulePlanned", true, func() error { return g.Catalog.SchedulePlanned(ctx, uuid, version) })
}

func (g *gate) WithdrawRun(ctx context.Context, uuid string) error {
	return g.call("WithdrawRun", true, func() error { return g.Catalog.WithdrawRun(ctx, uuid) })
}

func (g *gate) RecordEvent(ctx context.Context, e *shield.Event) error {
	return g.call("RecordEvent", true, func() error { return g.Catalog.RecordEvent(ctx, e) })
}

func (g *gate) Archive(ctx context.Context, uuid string) (*shield.Archive, error) {
	return read(g, "Archive", func() (*shield.Archive, error) { return g.Catalog.Archive(ctx, uuid) })
}

func (g *gate) Archives(ctx context.Context, f shield.Filter) ([]*shield.Archive, error) {
	return read(g, "Archives", func() ([]*shield.Archive, error) { return g.Catalog.Archives(ctx, f) })
}

// ReviewArchives has a user change an archive, and the check look at what is
// unwanted, after a scheduler has read and decided and before it writes.
func (g *gate) ReviewArchives(ctx context.Context, now, next time.Time, decide func(*shield.Review) error) (more bool, err error) {
	err = g.call("ReviewArchives", true, func() (err error) {
		more, err = g.Catalog.ReviewArchives(ctx, now, next, func(r *shield.Review) error {
			if err := decide(r); err != nil {
				return err
			}
			for _, a := range r.Archives {
				given := *a
				if r.Unwanted[a.UUID] {
					given.Status = shield.ArchiveExpired
				}
				g.p.holdNow(&given)
				g.p.checkExpiry(&given)
			}
			return nil
		})
		return err
	})
	return more, err
}

func (g *gate) ArchivesToPurge(ctx context.Context, after string, limit int) ([]*shield.Archive, error) {
	return read(g, "ArchivesToPurge", func() ([]*shield.Archive, error) { return g.Catalog.ArchivesToPurge(ctx, after, limit) })
}

func (g *gate) OpenPurges(ctx context.Context) (int, error) {
	return read(g, "OpenPurges", func() (int, error) { return g.Catalog.OpenPurges(ctx) })
}

func (g *gate) UpdateArchive(ctx context.Context, a *shield.Archive) error {
	return g.call("UpdateArchive", true, func() error {
		g.p.holdNow(a)
		g.p.checkExpiry(a)
		return g.Catalog.UpdateArchive(ctx, a)
	})
}

// holdNow has a user hold or release an archive, or write a note, just before a
// scheduler writes what it has read earlier.
func (w *simulation) holdNow(a *shield.Archive) {
	if r := w.draw("hold now"); r.IntN(8) == 0 {
		now := must[*shield.Archive](w.t)(w.db.Archive(context.Background(), a.UUID))
		w.hold(now, pick(r, true, true, now.Held))
	}
}

func (g *gate) CreateTask(ctx context.Context, t *shield.Task) error {
	return g.call("CreateTask", true, func() error { return g.Catalog.CreateTask(ctx, t) })
}

func (g *gate) Task(ctx context.Context, uuid string) (*shield.Task, error) {
	return read(g, "Task", func() (*shield.Task, error) { return g.Catalog.Task(ctx, uuid) })
}

func (g *gate) Tasks(ctx context.Context, f shield.Filter) ([]*shield.Task, error) {
	return read(g, "Tasks", func() ([]*shield.Task, error) { return g.Catalog.Tasks(ctx, f) })
}

func (g *gate) CancelPending(ctx context.Context, uuid, reason string, now time.Time) error {
	return g.call("CancelPending", true, func() error { return g.Catalog.CancelPending(ctx, uuid, reason, now) })
}

func (g *gate) ClaimTask(ctx context.Context, l shield.Lease, now time.Time) (*shield.Task, error) {
	var t *shield.Task
	err := g.call("ClaimTask", true, func() (err error) {
		t, err = g.Catalog.ClaimTask(ctx, l, now)
		return err
	})
	return t, err
}

func (g *gate) RenewTask(ctx context.Context, uuid string, l shield.Lease, log string) error {
	return g.call("RenewTask", true, func() error { return g.Catalog.RenewTask(ctx, uuid, l, log) })
}

func (g *gate) FinishTask(ctx context.Context, uuid string, l shield.Lease, o shield.Outcome) error {
	return g.call("FinishTask", true, func() error { return g.Catalog.FinishTask(ctx, uuid, l, o) })
}

func (g *gate) LapsedTasks(ctx context.Context, now time.Time, dead func(string) bool) ([]*shield.Task, error) {
	return read(g, "LapsedTasks", func() ([]*shield.Task, error) { return g.Catalog.LapsedTasks(ctx, now, dead) })
}
