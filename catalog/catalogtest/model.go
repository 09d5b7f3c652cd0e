package catalogtest

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/shieldhq/shield"
)

// A model is what a catalog should hold after some operations, as simple as
// it can be told.
type model struct {
	f        *fixture
	targets  map[string]*shield.Target // by name
	jobs     map[string]*shield.Job
	tasks    []*shield.Task // in the order of their making
	archives map[string]int // valid ones, by UUID of their target
	now      time.Time
}

// testModel runs random operations on a catalog and a model of it and compares
// every answer.
func testModel(t *testing.T, open func(t testing.TB) shield.Catalog) {
	rapid.Check(t, func(rt *rapid.T) {
		f := newFixture(t, open)
		defer f.Close()
		m := &model{
			f: f, archives: map[string]int{}, now: epoch(),
			targets: map[string]*shield.Target{"prod": f.target},
			jobs:    map[string]*shield.Job{"nightly": f.job},
		}
		rt.Repeat(map[string]func(*rapid.T){
			"":             m.check,
			"CreateTarget": m.createTarget,
			"RenameTarget": m.renameTarget,
			"DeleteTarget": m.deleteTarget,
			"CreateJob":    m.createJob,
			"DeleteJob":    m.deleteJob,
			"CreateTask":   m.createTask,
			"ClaimTask":    m.claimTask,
			"FinishTask":   m.finishTask,
			"Cancel":       m.cancelTask,
		})
	})
}

func drawTargetName(rt *rapid.T) string {
	return rapid.SampledFrom([]string{"prod", "test", "it's"}).Draw(rt, "target")
}

func drawJobName(rt *rapid.T) string {
	return rapid.SampledFrom([]string{"nightly", "prod"}).Draw(rt, "job")
}

// want compares an error with what the model says; "" is success. It reports
// whether both succeeded.
func want(rt *rapid.T, what string, err error, code shield.Code) bool {
	if shield.CodeOf(err) != code {
		rt.Fatalf("%s: error is %v, want code %q", what, err, code)
	}
	return code == ""
}

func (m *model) createTarget(rt *rapid.T) {
	made := newTarget(drawTargetName(rt))
	var code shield.Code
	if m.targets[made.Name] != nil {
		code = shield.Conflict
	}
	if want(rt, "CreateTarget", m.f.CreateTarget(m.f.ctx, made), code) {
		m.targets[made.Name] = made
	}
}

func (m *model) renameTarget(rt *rapid.T) {
	from, to := drawTargetName(rt), drawTargetName(rt)
	old := m.targets[from]
	if old == nil {
		rt.Skip("no such target")
	}
	changed := *old
	changed.Name = to
	changed.Version -= int64(rapid.IntRange(0, 1).Draw(rt, "stale"))
	var code shield.Code
	if from != to && m.targets[to] != nil || changed.Version != 0 && changed.Version != old.Version {
		code = shield.Conflict
	}
	if want(rt, "UpdateTarget", m.f.UpdateTarget(m.f.ctx, &changed), code) {
		delete(m.targets, from)
		m.targets[to] = &changed
	}
}

func (m *model) deleteTarget(rt *rapid.T) {
	name := drawTargetName(rt)
	old := m.targets[name]
	var code shield.Code
	switch {
	case old == nil:
		code = shield.NotFound
	case m.targetUsed(old.UUID):
		code = shield.InUse
	}
	if want(rt, "DeleteTarget", m.f.DeleteTarget(m.f.ctx, name), code) {
		delete(m.targets, name)
	}
}

func (m *model) targetUsed(uuid string) bool {
	for _, j := range m.jobs {
		if j.Target == uuid {
			return true
		}
	}
	return m.archives[uuid] > 0 || slices.ContainsFunc(m.tasks, func(t *shield.Task) bool {
		return t.Target == uuid && !t.Status.Final()
	})
}

func (m *model) createJob(rt *rapid.T) {
	made := newJob(drawJobName(rt), drawTargetName(rt))
	var code shield.Code
	switch {
	case m.targets[made.Target] == nil:
		code = shield.Invalid
	case m.jobs[made.Name] != nil:
		code = shield.Conflict
	}
	if want(rt, "CreateJob", m.f.CreateJob(m.f.ctx, made), code) {
		m.jobs[made.Name] = made
	}
}

func (m *model) deleteJob(rt *rapid.T) {
	name := drawJobName(rt)
	old := m.jobs[name]
	var code shield.Code
	switch {
	case old == nil:
		code = shield.NotFound
	case slices.ContainsFunc(m.tasks, func(t *shield.Task) bool { return t.Job == old.UUID && !t.Status.Final() }):
		code = shield.InUse
	}
	if want(rt, "DeleteJob", m.f.DeleteJob(m.f.ctx, name), code) {
		delete(m.jobs, name)
	}
}

func (m *model) createTask(rt *rapid.T) {
	target := m.targets[drawTargetName(rt)]
	if target == nil {
		rt.Skip("no such target")
	}
	made := m.f.newTask()
	made.Target, made.Priority = target.UUID, rapid.IntRange(0, 3).Draw(rt, "priority")
	made.Op = rapid.SampledFrom([]shield.Op{shield.OpBackup, shield.OpPurge}).Draw(rt, "op")
	if j := m.jobs[drawJobName(rt)]; j != nil {
		made.Job = j.UUID
	}
	m.now = m.now.Add(time.Duration(rapid.IntRange(0, 90).Draw(rt, "seconds")) * time.Second)
	made.RequestedAt = m.now
	must(m.f.t, m.f.CreateTask(m.f.ctx, made))
	m.tasks = append(m.tasks, made)
}

// next is the task that a claim should get, or nil.
func (m *model) next() *shield.Task {
	free := slices.DeleteFunc(slices.Clone(m.tasks), func(t *shield.Task) bool {
		return t.Status != shield.TaskPending || t.NotBefore.After(m.now) || slices.ContainsFunc(m.tasks, func(r *shield.Task) bool {
			return r.Status == shield.TaskRunning && (t.Job != "" && r.Job == t.Job ||
				t.Op == shield.OpBackup && r.Op == shield.OpBackup && r.Target == t.Target)
		})
	})
	if len(free) == 0 {
		return nil
	}
	return slices.MinFunc(free, func(a, b *shield.Task) int { // the first of equal ones
		return cmp.Or(urgency(a).Compare(urgency(b)), a.RequestedAt.Compare(b.RequestedAt))
	})
}

// urgency is when a task of priority 0 must have been requested to be as
// urgent.
func urgency(t *shield.Task) time.Time {
	return t.RequestedAt.Add(time.Duration(t.Priority) * time.Minute)
}

func (m *model) claimTask(rt *rapid.T) {
	got, err := m.f.ClaimTask(m.f.ctx, leaseOf("core", m.now), m.now)
	next := m.next()
	if next == nil {
		want(rt, "ClaimTask", err, shield.NotFound)
		return
	}
	want(rt, "ClaimTask", err, "")
	if got.UUID != next.UUID {
		rt.Fatalf("claimed %s of priority %d requested %v, want %s of %d, %v",
			got.UUID, got.Priority, got.RequestedAt, next.UUID, next.Priority, next.RequestedAt)
	}
	*next = *got
}

// drawTask returns a task in a state, or skips.
func (m *model) drawTask(rt *rapid.T, status shield.TaskStatus) *shield.Task {
	some := slices.DeleteFunc(slices.Clone(m.tasks), func(t *shield.Task) bool { return t.Status != status })
	if len(some) == 0 {
		rt.Skip("no such task")
	}
	return some[rapid.IntRange(0, len(some)-1).Draw(rt, "task")]
}

func (m *model) finishTask(rt *rapid.T) {
	t := m.drawTask(rt, shield.TaskRunning)
	l := shield.Lease{Owner: "core", Epoch: t.LeaseEpoch, Expires: m.now}
	o := shield.Outcome{Status: shield.TaskFailed, StoppedAt: m.now}
	switch rapid.SampledFrom([]string{"done", "failed", "retry", "lost"}).Draw(rt, "outcome") {
	case "done":
		o.Status, o.Archive = shield.TaskDone, &shield.Archive{Key: uuid.NewString()}
	case "retry":
		o.RetryAt = m.now.Add(time.Minute)
	case "lost":
		l.Epoch--
		want(rt, "FinishTask", m.f.FinishTask(m.f.ctx, t.UUID, l, o), shield.Conflict)
		return
	}
	want(rt, "FinishTask", m.f.FinishTask(m.f.ctx, t.UUID, l, o), "")
	t.Status = o.Status
	if !o.RetryAt.IsZero() {
		t.Status, t.NotBefore = shield.TaskPending, o.RetryAt
	}
	if o.Status == shield.TaskDone && t.Op == shield.OpBackup {
		m.archives[t.Target]++
	}
}

func (m *model) cancelTask(rt *rapid.T) {
	t := m.drawTask(rt, shield.TaskPending)
	want(rt, "CancelPending", m.f.CancelPending(m.f.ctx, t.UUID, "not wanted", m.now), "")
	t.Status = shield.TaskCanceled
}

// check compares all that the catalog lists with the model.
func (m *model) check(rt *rapid.T) {
	ctx := context.Background()
	targets, err := m.f.Targets(ctx, shield.Filter{})
	wantNames(rt, "targets", targets, err, m.targets, func(t *shield.Target) string { return t.Name })
	jobs, err := m.f.Jobs(ctx, shield.Filter{})
	wantNames(rt, "jobs", jobs, err, m.jobs, func(j *shield.Job) string { return j.Name })
	tasks, err := m.f.Tasks(ctx, shield.Filter{})
	if err != nil || len(tasks) != len(m.tasks) {
		rt.Fatalf("%d tasks, error %v; want %d", len(tasks), err, len(m.tasks))
	}
	for i, t := range m.tasks { // requested in the order of their making
		if got := tasks[len(tasks)-1-i]; got.UUID != t.UUID || got.Status != t.Status {
			rt.Fatalf("task %d is %s and %s, want %s and %s", i, got.UUID, got.Status, t.UUID, t.Status)
		}
	}
}

func wantNames[N any](rt *rapid.T, what string, list []*N, err error, model map[string]*N, name func(*N) string) {
	if err != nil {
		rt.Fatal(err)
	}
	got := make([]string, len(list))
	for i, n := range list {
		got[i] = name(n)
	}
	if names := slices.Sorted(maps.Keys(model)); !slices.Equal(got, names) {
		rt.Fatalf("%s are %q, want %q", what, got, names)
	}
}
