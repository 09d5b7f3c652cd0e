package catalogtest

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shieldhq/shield"
)

// due records runs of the fixture's job, and of another, an hour apart.
func (f *fixture) due(n int) []*shield.Run {
	f.t.Helper()
	other := f.addJob("other", f.target.Name)
	var runs []*shield.Run
	for i := range n {
		r := &shield.Run{Job: []string{f.job.UUID, other.UUID}[i%2], DueAt: epoch().Add(time.Duration(i) * time.Hour)}
		must(f.t, f.RecordRun(f.ctx, r))
		runs = append(runs, r)
	}
	return runs
}

func testDueRuns(t *testing.T, f *fixture) {
	runs := f.due(4)
	find := func(now time.Time, after string, limit int) (all []*shield.DueRun, uuids []string) {
		all, err := f.DueRuns(f.ctx, now, after, limit)
		return all, column(t, all, err, func(d *shield.DueRun) string { return d.Run.UUID })
	}
	_, got := find(epoch().Add(-time.Millisecond), "", 10)
	wantSame(t, "runs before the first", got, []string{})
	all, got := find(epoch().Add(2*time.Hour), "", 10)
	wantSame(t, "runs at the time of the third", got, []string{runs[0].UUID, runs[1].UUID, runs[2].UUID})
	d := all[0]
	if d.Job.UUID != f.job.UUID || d.Schedule.UUID != f.job.Schedule || d.Policy.UUID != f.job.Policy || d.Target.UUID != f.job.Target || d.Store.UUID != f.job.Store || d.Open {
		t.Errorf("the first comes with %+v", d)
	}
	_, got = find(epoch().Add(2*time.Hour), "", 2)
	wantSame(t, "the first two", got, []string{runs[0].UUID, runs[1].UUID})
	f.addTask(func(t *shield.Task) { t.Job = f.job.UUID })
	all, got = find(epoch().Add(2*time.Hour), runs[1].UUID, 2)
	wantSame(t, "those behind them", got, []string{runs[2].UUID})
	wantSame(t, "whether a backup is open", all[0].Open, true)
	for after, want := range map[time.Duration]time.Time{
		-time.Millisecond: epoch(), 0: epoch().Add(time.Hour), 3 * time.Hour: {},
	} {
		next, err := f.NextDue(f.ctx, epoch().Add(after))
		must(t, err)
		wantSame(t, "the next due after "+after.String(), next, want)
	}
}

// testTakeSteps starts a run, ends another, and refuses what comes late,
// beside which the others are taken.
func testTakeSteps(t *testing.T, f *fixture) {
	runs := f.due(4)
	must(t, f.EndRun(f.ctx, runs[3].UUID, shield.RunMissed, "late"))
	task := f.newTask()
	task.Job = f.job.UUID
	start := *runs[0]
	start.Reason = "waits"
	next := &shield.Run{Job: f.job.UUID, DueAt: epoch().Add(24 * time.Hour), Status: shield.RunDue}
	passed := &shield.Run{Job: f.job.UUID, DueAt: epoch().Add(time.Minute), Status: shield.RunMissed, Reason: "off"}
	event := func(subject string) *shield.Event {
		return &shield.Event{At: epoch(), Kind: shield.EventRunMissed, Subject: subject, Message: "missed"}
	}
	skip, late, over := *runs[1], *runs[3], *runs[2]
	skip.Status, skip.Reason = shield.RunSkipped, "paused"
	late.Status, late.Reason = shield.RunSkipped, "late"
	over.Status, over.Reason = shield.RunSkipped, "paused"
	steps := []*shield.RunStep{
		{Run: &start, Task: task, Also: []*shield.RunStep{{Run: next}, {Run: passed, Event: event("passed")}}},
		{Run: &skip, Event: event("skipped")},
		{Run: &late, Event: event("late")},
		{Run: &shield.Run{UUID: unknownUUID(), Status: shield.RunSkipped}},
		{Run: &over, Event: event("over"), Also: []*shield.RunStep{{Run: &shield.Run{Job: late.Job, DueAt: late.DueAt, Status: shield.RunDue}}}},
	}
	must(t, f.TakeSteps(f.ctx, steps))
	for i, code := range []shield.Code{"", "", shield.Conflict, shield.NotFound, shield.Conflict} {
		if got := shield.CodeOf(steps[i].Err); steps[i].Err == nil && code != "" || steps[i].Err != nil && got != code {
			t.Errorf("step %d: error %v, want %s", i, steps[i].Err, code)
		}
	}
	wantRun(t, f, runs[0], shield.RunStarted)
	wantRun(t, f, runs[1], shield.RunSkipped)
	wantRun(t, f, runs[2], shield.RunDue)
	wantRun(t, f, runs[3], shield.RunMissed)
	list, err := f.Runs(f.ctx, shield.Filter{Job: f.job.UUID})
	got := column(t, list, err, func(r *shield.Run) string { return r.DueAt.Format("15:04") + " " + string(r.Status) })
	if len(got) != 4 || !slices.ContainsFunc(got, func(s string) bool { return strings.HasSuffix(s, "missed") }) {
		t.Errorf("the job has the runs %v", got)
	}
	events, err := f.Events(f.ctx, shield.Filter{})
	wantSame(t, "events", column(t, events, err, func(e *shield.Event) string { return e.Subject }), []string{"skipped", "passed"})
	tasks, err := f.Tasks(f.ctx, shield.Filter{Job: f.job.UUID})
	wantSame(t, "tasks", column(t, tasks, err, func(t *shield.Task) string { return t.TargetName }), []string{f.target.Name})

	again := &shield.RunStep{Run: &over, Task: f.newTask(), Also: []*shield.RunStep{{Run: next}, {Run: passed, Event: event("passed")}}}
	again.Task.Store = unknownUUID()
	must(t, f.TakeSteps(f.ctx, []*shield.RunStep{again}))
	if shield.CodeOf(again.Err) != shield.Invalid {
		t.Errorf("error %v, want one about the store", again.Err)
	}
	again.Task.Store = f.store.UUID
	must(t, f.TakeSteps(f.ctx, []*shield.RunStep{again})) // what is recorded already is fine
	wantSame(t, "error", again.Err, nil)
	events, err = f.Events(f.ctx, shield.Filter{})
	wantSame(t, "events", column(t, events, err, func(e *shield.Event) string { return e.Subject }), []string{"skipped", "passed"})
}

// testPlans changes a job and a schedule.
func testPlans(t *testing.T, f *fixture) {
	runs := f.due(2)
	plans := func(filter shield.PlanFilter) []string {
		t.Helper()
		list, err := f.Plans(f.ctx, filter)
		return column(t, list, err, func(p *shield.JobPlan) string { return p.Name })
	}
	all, err := f.Plans(f.ctx, shield.PlanFilter{Changed: true})
	must(t, err)
	wantSame(t, "jobs that are new", len(all), 2)
	for _, p := range all {
		if len(p.Due) != 1 || p.Due[0].UUID != runs[0].UUID && p.Due[0].UUID != runs[1].UUID || p.Version != 1 || p.Schedule != f.job.Schedule {
			t.Errorf("plan %+v", p)
		}
	}
	wantSame(t, "the first", plans(shield.PlanFilter{Limit: 1}), []string{all[0].Name})
	wantSame(t, "the one behind it", plans(shield.PlanFilter{After: all[0].Job, Schedule: f.job.Schedule}), []string{all[1].Name})
	must(t, f.Planned(f.ctx, all[:1]))
	wantSame(t, "jobs that are not planned", plans(shield.PlanFilter{Changed: true}), []string{all[1].Name})
	must(t, f.Planned(f.ctx, all))
	j, err := f.Job(f.ctx, all[0].Job)
	must(t, err)
	j.Summary = "changed"
	must(t, f.UpdateJob(f.ctx, j))
	must(t, f.Planned(f.ctx, all)) // as it was before
	wantSame(t, "jobs that have changed", plans(shield.PlanFilter{Changed: true}), []string{j.Name})

	changed := func(after string) []string {
		t.Helper()
		list, err := f.ChangedSchedules(f.ctx, after)
		return column(t, list, err, func(s *shield.Schedule) string { return s.UUID })
	}
	wantSame(t, "schedules that are new", changed(""), []string{f.job.Schedule})
	wantSame(t, "those behind it", changed(f.job.Schedule), []string{})
	must(t, f.SchedulePlanned(f.ctx, f.job.Schedule, 1))
	wantSame(t, "schedules that are not planned", changed(""), []string{})
	s, err := f.Schedule(f.ctx, f.job.Schedule)
	must(t, err)
	s.Timespec = "daily 5:00"
	must(t, f.UpdateSchedule(f.ctx, s))
	wantSame(t, "schedules that have changed", changed(""), []string{f.job.Schedule})
}
