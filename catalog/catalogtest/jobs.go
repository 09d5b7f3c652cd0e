package catalogtest

import (
	"strings"
	"testing"
	"time"

	"github.com/shieldhq/shield"
)

func testJobs(t *testing.T, open func(t testing.TB) shield.Catalog) {
	t.Run("References", func(t *testing.T) { testJobReferences(t, newFixture(t, open)) })
	t.Run("Filter", func(t *testing.T) { testJobFilter(t, newFixture(t, open)) })
	t.Run("Delete", func(t *testing.T) { testJobDelete(t, newFixture(t, open)) })
}

func testJobReferences(t *testing.T, f *fixture) {
	if f.job.Target != f.target.UUID || f.job.TargetName != "prod" {
		t.Errorf("a job made by names has target %q named %q, want UUID and name", f.job.Target, f.job.TargetName)
	}
	for _, test := range []struct {
		field  string
		change func(j *shield.Job, ref string)
	}{
		{"target", func(j *shield.Job, ref string) { j.Target = ref }},
		{"store", func(j *shield.Job, ref string) { j.Store = ref }},
		{"schedule", func(j *shield.Job, ref string) { j.Schedule = ref }},
		{"retention_policy", func(j *shield.Job, ref string) { j.Policy = ref }},
	} {
		for _, ref := range []string{"", "no such", unknownUUID(), "prod\x00", strings.Repeat("x", 1<<20)} {
			j := newJob("other", "prod")
			test.change(j, ref)
			wantCode(t, f.CreateJob(f.ctx, j), shield.Invalid, test.field)
			j = newJob("nightly", "prod")
			j.UUID = f.job.UUID
			test.change(j, ref)
			wantCode(t, f.UpdateJob(f.ctx, j), shield.Invalid, test.field)
		}
	}
	f.target.Name = "renamed"
	must(t, f.UpdateTarget(f.ctx, f.target))
	got, err := f.Job(f.ctx, "nightly")
	must(t, err)
	wantSame(t, "name of the target", got.TargetName, "renamed")
}

func testJobFilter(t *testing.T, f *fixture) {
	other := f.addTarget("other")
	j := newJob("weekly", "other")
	j.Paused = true
	must(t, f.CreateJob(f.ctx, j))
	no, yes := false, true
	for _, test := range []struct {
		filter shield.Filter
		want   []string
	}{
		{shield.Filter{Target: other.UUID}, []string{"weekly"}},
		{shield.Filter{Store: f.store.UUID}, []string{"nightly", "weekly"}},
		{shield.Filter{Schedule: f.schedule.UUID, Limit: 1}, []string{"nightly"}},
		{shield.Filter{Policy: unknownUUID()}, []string{}},
		{shield.Filter{Paused: &yes}, []string{"weekly"}},
		{shield.Filter{Paused: &no}, []string{"nightly"}},
	} {
		list, err := f.Jobs(f.ctx, test.filter)
		wantSame(t, "jobs", column(t, list, err, func(j *shield.Job) string { return j.Name }), test.want)
	}
	f.addTarget("spare")
	list, err := f.Targets(f.ctx, shield.Filter{Used: &no})
	wantSame(t, "unused targets", column(t, list, err, func(t *shield.Target) string { return t.Name }), []string{"spare"})
}

// testJobDelete checks that history outlives a job.
func testJobDelete(t *testing.T, f *fixture) {
	a := f.addArchive(epoch(), func(t *shield.Task) { t.Job = f.job.UUID })
	due := &shield.Run{Job: f.job.UUID, DueAt: epoch()}
	must(t, f.RecordRun(f.ctx, due))
	f.addTask(func(t *shield.Task) { t.Job = f.job.UUID })
	wantInUse(t, f.DeleteJob(f.ctx, "nightly"), "1 pending task")
	task, l := f.claim(epoch())
	wantInUse(t, f.DeleteJob(f.ctx, "nightly"), "1 running task")
	must(t, f.FinishTask(f.ctx, task.UUID, l, shield.Outcome{Status: shield.TaskFailed, StoppedAt: epoch()}))
	must(t, f.DeleteJob(f.ctx, "nightly"))

	archives, err := f.Archives(f.ctx, shield.Filter{Job: f.job.UUID})
	wantSame(t, "archives", column(t, archives, err, func(a *shield.Archive) string { return a.UUID }), []string{a.UUID})
	tasks, err := f.Tasks(f.ctx, shield.Filter{Job: f.job.UUID})
	must(t, err)
	if len(tasks) != 2 || tasks[0].JobName != "nightly" {
		t.Errorf("%d tasks of a deleted job, the first of %q; want 2 of nightly", len(tasks), tasks[0].JobName)
	}
	runs, err := f.Runs(f.ctx, shield.Filter{Job: f.job.UUID})
	wantSame(t, "runs", column(t, runs, err, func(r *shield.Run) string { return string(r.Status) }), []string{"skipped"})
}

func wantInUse(t *testing.T, err error, users ...string) {
	t.Helper()
	wantCode(t, err, shield.InUse, "")
	for _, u := range users {
		if !strings.Contains(err.Error(), u) {
			t.Errorf("error %q does not name %q", err, u)
		}
	}
}

func testInUse(t *testing.T, open func(t testing.TB) shield.Catalog) {
	f := newFixture(t, open)
	wantInUse(t, f.DeleteSchedule(f.ctx, "daily"), `"daily"`, "job nightly")
	wantInUse(t, f.DeletePolicy(f.ctx, "month"), `"month"`, "job nightly")
	var archives []*shield.Archive
	for i := range 3 {
		archives = append(archives, f.addArchive(epoch().Add(time.Duration(i)*time.Hour)))
	}
	pending := f.addTask()
	for _, remove := range []func() error{
		func() error { return f.DeleteTarget(f.ctx, "prod") },
		func() error { return f.DeleteStore(f.ctx, "s3") },
	} {
		wantInUse(t, remove(), "job nightly", "3 archives", "1 pending task")
	}
	must(t, f.CancelPending(f.ctx, pending.UUID, "not wanted", epoch()))
	for i := range 7 {
		f.addJob("n"+string(rune('a'+i)), "prod")
	}
	wantInUse(t, f.DeleteTarget(f.ctx, "prod"), "job na", "3 more jobs")
	deleteAllJobs(t, f)
	wantInUse(t, f.DeleteTarget(f.ctx, "prod"), "used by 3 archives")
	testDeleteWithHistory(t, f, archives)
}

func deleteAllJobs(t *testing.T, f *fixture) {
	jobs, err := f.Jobs(f.ctx, shield.Filter{})
	must(t, err)
	for _, j := range jobs {
		must(t, f.DeleteJob(f.ctx, j.UUID))
	}
	must(t, f.DeleteSchedule(f.ctx, "daily"))
	must(t, f.DeletePolicy(f.ctx, "month"))
}

// testDeleteWithHistory deletes a target and a store that only purged archives
// and ended tasks refer to, and reads all of them afterwards.
func testDeleteWithHistory(t *testing.T, f *fixture, archives []*shield.Archive) {
	f.target.Name = "last name"
	must(t, f.UpdateTarget(f.ctx, f.target))
	for i, s := range []shield.ArchiveStatus{shield.ArchiveInvalid, shield.ArchiveExpired, shield.ArchivePurging} {
		f.setStatus(archives[i], s, "")
	}
	wantInUse(t, f.DeleteStore(f.ctx, "s3"), "3 archives")
	for _, a := range archives {
		f.setStatus(a, shield.ArchivePurged, "expired")
	}
	must(t, f.DeleteTarget(f.ctx, "last name"))
	must(t, f.DeleteStore(f.ctx, "s3"))
	got, err := f.Archive(f.ctx, archives[0].UUID)
	must(t, err)
	want := *archives[0]
	want.TargetName, want.StoreName = "last name", "s3"
	wantSame(t, "archive of a deleted target", got, &want)
	list, err := f.Archives(f.ctx, shield.Filter{Target: f.target.UUID, Store: f.store.UUID})
	must(t, err)
	tasks, err := f.Tasks(f.ctx, shield.Filter{Target: f.target.UUID, Store: f.store.UUID})
	must(t, err)
	if len(list) != 3 || len(tasks) != 4 {
		t.Errorf("%d archives and %d tasks are left of a deleted target, want 3 and 4", len(list), len(tasks))
	}
}
