package catalogtest

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/shieldhq/shield"
)

func testRuns(t *testing.T, open func(t testing.TB) shield.Catalog) {
	t.Run("Record", func(t *testing.T) { testRecordRun(t, newFixture(t, open)) })
	t.Run("Start", func(t *testing.T) { testStartRun(t, newFixture(t, open)) })
	t.Run("End", func(t *testing.T) { testEndRun(t, newFixture(t, open)) })
	t.Run("Due", func(t *testing.T) { testDueRuns(t, newFixture(t, open)) })
	t.Run("Steps", func(t *testing.T) { testTakeSteps(t, newFixture(t, open)) })
	t.Run("Plans", func(t *testing.T) { testPlans(t, newFixture(t, open)) })
	t.Run("Withdraw", func(t *testing.T) { testWithdrawRun(t, newFixture(t, open)) })
	t.Run("Filter", func(t *testing.T) { testRunFilter(t, newFixture(t, open)) })
}

func wantRun(t testing.TB, f *fixture, run *shield.Run, want shield.RunStatus) {
	t.Helper()
	list, err := f.Runs(f.ctx, shield.Filter{Job: run.Job})
	must(t, err)
	for _, r := range list {
		if r.UUID == run.UUID {
			wantSame(t, "status of the run", r.Status, want)
			return
		}
	}
	t.Fatalf("run %s is not listed", run.UUID)
}

func testRecordRun(t *testing.T, f *fixture) {
	run := &shield.Run{Job: f.job.UUID, DueAt: epoch().Add(1)}
	must(t, f.RecordRun(f.ctx, run))
	list, err := f.Runs(f.ctx, shield.Filter{})
	must(t, err)
	wantSame(t, "runs", list, []*shield.Run{{UUID: run.UUID, Job: f.job.UUID, DueAt: epoch(), Status: shield.RunDue}})
	wantSame(t, "the caller's run", run, list[0])
	for _, test := range []struct {
		field string
		code  shield.Code
		run   shield.Run
	}{
		{"due_at", shield.Conflict, shield.Run{Job: f.job.UUID, DueAt: epoch()}},
		{"", shield.Conflict, shield.Run{UUID: run.UUID, Job: f.job.UUID, DueAt: epoch().Add(time.Hour)}},
		{"due_at", shield.Invalid, shield.Run{Job: f.job.UUID}},
		{"job_uuid", shield.Invalid, shield.Run{DueAt: epoch()}},
		{"job_uuid", shield.Invalid, shield.Run{Job: "nightly", DueAt: epoch().Add(time.Hour)}},
		{"job_uuid", shield.Invalid, shield.Run{Job: unknownUUID(), DueAt: epoch()}},
		{"status", shield.Invalid, shield.Run{Job: f.job.UUID, DueAt: epoch().Add(time.Hour), Status: shield.RunStarted}},
		{"task_uuid", shield.Invalid, shield.Run{Job: f.job.UUID, DueAt: epoch().Add(time.Hour), Task: unknownUUID()}},
		{"uuid", shield.Invalid, shield.Run{UUID: "x", Job: f.job.UUID, DueAt: epoch().Add(time.Hour)}},
	} {
		wantCode(t, f.RecordRun(f.ctx, &test.run), test.code, test.field)
	}
}

func testWithdrawRun(t *testing.T, f *fixture) {
	run := &shield.Run{Job: f.job.UUID, DueAt: epoch()}
	must(t, f.RecordRun(f.ctx, run))
	must(t, f.WithdrawRun(f.ctx, run.UUID))
	wantCode(t, f.WithdrawRun(f.ctx, run.UUID), shield.NotFound, "")
	must(t, f.RecordRun(f.ctx, &shield.Run{Job: f.job.UUID, DueAt: epoch()}))
	ended := &shield.Run{Job: f.job.UUID, DueAt: epoch().Add(time.Hour), Status: shield.RunSkipped}
	must(t, f.RecordRun(f.ctx, ended))
	wantCode(t, f.WithdrawRun(f.ctx, ended.UUID), shield.Conflict, "status")
}

func testStartRun(t *testing.T, f *fixture) {
	run := &shield.Run{Job: f.job.UUID, DueAt: epoch()}
	must(t, f.RecordRun(f.ctx, run))
	bad := f.newTask()
	bad.Key = ""
	wantCode(t, f.StartRun(f.ctx, run, bad), shield.Invalid, "restore_key")
	wantRun(t, f, run, shield.RunDue)

	task := f.newTask()
	must(t, f.StartRun(f.ctx, run, task))
	if run.Task != task.UUID || run.Status != shield.RunStarted {
		t.Errorf("started run has task %q and status %s, want %q and started", run.Task, run.Status, task.UUID)
	}
	got, err := f.Task(f.ctx, task.UUID)
	must(t, err)
	wantSame(t, "task of the run", got, task)
	wantCode(t, f.StartRun(f.ctx, run, f.newTask()), shield.Conflict, "status")
	wantCode(t, f.StartRun(f.ctx, &shield.Run{UUID: unknownUUID()}, f.newTask()), shield.NotFound, "")
	wantCode(t, f.StartRun(f.ctx, &shield.Run{Job: f.job.UUID, DueAt: epoch().Add(time.Hour)}, f.newTask()), shield.NotFound, "")
	tasks, err := f.Tasks(f.ctx, shield.Filter{})
	must(t, err)
	if len(tasks) != 1 {
		t.Errorf("%d tasks after refused starts, want 1", len(tasks))
	}
	wantCode(t, f.EndRun(f.ctx, run.UUID, shield.RunSkipped, "late"), shield.Conflict, "status")
	wantRun(t, f, run, shield.RunStarted)
	later := &shield.Run{Job: f.job.UUID, DueAt: epoch().Add(time.Hour)}
	must(t, f.RecordRun(f.ctx, later))
	must(t, f.StartRun(f.ctx, &shield.Run{Job: later.Job, DueAt: later.DueAt}, f.newTask()))
	wantRun(t, f, later, shield.RunStarted)
}

func testEndRun(t *testing.T, f *fixture) {
	for i, s := range []shield.RunStatus{shield.RunMissed, shield.RunSkipped, shield.RunFailed, shield.RunSucceeded} {
		run := &shield.Run{Job: f.job.UUID, DueAt: epoch().Add(time.Duration(i) * time.Hour)}
		must(t, f.RecordRun(f.ctx, run))
		wantCode(t, f.EndRun(f.ctx, run.UUID, shield.RunStarted, ""), shield.Invalid, "status")
		wantCode(t, f.EndRun(f.ctx, run.UUID, "late", ""), shield.Invalid, "status")
		must(t, f.EndRun(f.ctx, run.UUID, s, "overlap"))
		wantRun(t, f, run, s)
		wantCode(t, f.EndRun(f.ctx, run.UUID, s, ""), shield.Conflict, "status")
	}
	wantCode(t, f.EndRun(f.ctx, unknownUUID(), shield.RunMissed, ""), shield.NotFound, "")
	wantCode(t, f.EndRun(f.ctx, "", shield.RunMissed, ""), shield.NotFound, "")
	list, err := f.Runs(f.ctx, shield.Filter{Limit: 1})
	must(t, err)
	wantSame(t, "reason", list[0].Reason, "overlap")
}

func testRunFilter(t *testing.T, f *fixture) {
	other := f.addJob("weekly", "prod")
	names := map[string]string{}
	for i, name := range []string{"0", "1", "2", "3"} {
		run := &shield.Run{UUID: uuid.NewString(), Job: f.job.UUID, DueAt: epoch().Add(time.Duration(i) * time.Hour)}
		if name == "1" {
			run.Job = other.UUID
		}
		if name == "2" {
			run.Status, run.Reason = shield.RunMissed, "nobody was there"
		}
		must(t, f.RecordRun(f.ctx, run))
		names[run.UUID] = name
	}
	hour := epoch().Add(time.Hour)
	for _, test := range []struct {
		filter shield.Filter
		want   string
	}{
		{shield.Filter{}, "3210"},
		{shield.Filter{Limit: 1}, "3"},
		{shield.Filter{Job: f.job.UUID}, "320"},
		{shield.Filter{Statuses: []string{"missed"}}, "2"},
		{shield.Filter{Statuses: []string{"missed", "due"}, Before: hour}, "0"},
		{shield.Filter{After: hour}, "321"},
		{shield.Filter{Job: "\x00"}, ""},
	} {
		list, err := f.Runs(f.ctx, test.filter)
		got := column(t, list, err, func(r *shield.Run) string { return names[r.UUID] })
		wantSame(t, "runs", strings.Join(got, ""), test.want)
	}
}

func testEvents(t *testing.T, open func(t testing.TB) shield.Catalog) {
	f := newFixture(t, open)
	for i, text := range []string{"0", "1", "\xff\x00"} {
		e := &shield.Event{At: epoch().Add(time.Duration(i)*time.Second + 1), Kind: shield.EventRunMissed, Subject: f.job.UUID, Message: text}
		must(t, f.RecordEvent(f.ctx, e))
		if e.ID != int64(i+1) || e.At != epoch().Add(time.Duration(i)*time.Second) {
			t.Errorf("event %d has ID %d and time %v", i, e.ID, e.At)
		}
	}
	wantCode(t, f.RecordEvent(f.ctx, &shield.Event{}), shield.Invalid, "kind")
	wantCode(t, f.RecordEvent(f.ctx, &shield.Event{Kind: "x", Subject: "\x00"}), shield.Invalid, "subject")
	second, first := epoch().Add(time.Second), int64(1)
	for _, test := range []struct {
		filter shield.Filter
		want   string
	}{
		{shield.Filter{}, "\uFFFD\uFFFD10"},
		{shield.Filter{Limit: 1, Before: second}, "0"},
		{shield.Filter{After: second}, "\uFFFD\uFFFD1"},
		{shield.Filter{Since: new(int64)}, "01\uFFFD\uFFFD"},
		{shield.Filter{Since: new(int64), Limit: 2}, "01"},
		{shield.Filter{Since: &first}, "1\uFFFD\uFFFD"},
		{shield.Filter{Since: &first, Before: second.Add(1)}, "1"},
	} {
		list, err := f.Events(f.ctx, test.filter)
		got := column(t, list, err, func(e *shield.Event) string { return e.Message })
		wantSame(t, "events", strings.Join(got, ""), test.want)
	}
}

// wantEvents checks the kinds of all events, the newest first.
func wantEvents(t testing.TB, f *fixture, want ...shield.EventKind) {
	t.Helper()
	list, err := f.Events(f.ctx, shield.Filter{})
	got := column(t, list, err, func(e *shield.Event) string { return string(e.Kind) })
	texts := []string{}
	for _, k := range want {
		texts = append(texts, string(k))
	}
	wantSame(t, "events", got, texts)
}
