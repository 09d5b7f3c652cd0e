package catalogtest

import (
	"strings"
	"testing"
	"time"

	"github.com/shieldhq/shield"
)

func testTasks(t *testing.T, open func(t testing.TB) shield.Catalog) {
	t.Run("Create", func(t *testing.T) { testTaskCreate(t, newFixture(t, open)) })
	t.Run("Refused", func(t *testing.T) { testTaskRefused(t, newFixture(t, open)) })
	t.Run("Filter", func(t *testing.T) { testTaskFilter(t, newFixture(t, open)) })
	t.Run("CancelPending", func(t *testing.T) { testCancelPending(t, newFixture(t, open)) })
}

func testTaskCreate(t *testing.T, f *fixture) {
	made := f.newTask()
	made.Job, made.Agent, made.Compression, made.Unencrypted, made.Timeout = f.job.UUID, "db1:5444", "better", true, 60
	made.Op, made.NotBefore, made.Log = shield.OpRestore, epoch().Add(time.Hour+1), "first line"
	made.Expected = &shield.Archive{UUID: unknownUUID(), TakenAt: epoch(), RawSize: 7, Notes: "<&>"}
	made.RequestedAt = epoch().In(time.FixedZone("", 3600)).Add(999)
	must(t, f.CreateTask(f.ctx, made))
	if !shield.IsUUID(made.UUID) || made.Status != shield.TaskPending || made.RequestedAt != epoch() {
		t.Errorf("made with UUID %q, status %q and requested at %v", made.UUID, made.Status, made.RequestedAt)
	}
	wantSame(t, "names", []string{made.JobName, made.TargetName, made.StoreName}, []string{"nightly", "prod", "s3"})
	got, err := f.Task(f.ctx, made.UUID)
	must(t, err)
	wantSame(t, "task", got, made)

	bare := &shield.Task{Op: shield.OpTestStore, StorePlugin: "s3"}
	must(t, f.CreateTask(f.ctx, bare))
	if time.Since(bare.RequestedAt).Abs() > time.Minute {
		t.Errorf("requested at %v without being told when, want now", bare.RequestedAt)
	}
	got, err = f.Task(f.ctx, bare.UUID)
	must(t, err)
	wantSame(t, "task", got, bare)
}

func testTaskRefused(t *testing.T, f *fixture) {
	existing := f.addTask()
	for _, test := range []struct {
		field  string
		code   shield.Code
		change func(*shield.Task)
	}{
		{"op", shield.Invalid, func(t *shield.Task) { t.Op = "verify everything" }},
		{"status", shield.Invalid, func(t *shield.Task) { t.Status = shield.TaskRunning }},
		{"priority", shield.Invalid, func(t *shield.Task) { t.Priority = 101 }},
		{"timeout", shield.Invalid, func(t *shield.Task) { t.Timeout = -1 }},
		{"target_uuid", shield.Invalid, func(t *shield.Task) { t.Target = "" }},
		{"target_uuid", shield.Invalid, func(t *shield.Task) { t.Target = unknownUUID() }},
		{"store_uuid", shield.Invalid, func(t *shield.Task) { t.Store = unknownUUID() }},
		{"job_uuid", shield.Invalid, func(t *shield.Task) { t.Job = "nightly" }},
		{"uuid", shield.Invalid, func(t *shield.Task) { t.UUID = "x" }},
		{"uuid", shield.Conflict, func(t *shield.Task) { t.UUID = existing.UUID }},
		{"owner", shield.Invalid, func(t *shield.Task) { t.Owner = "a\x00b" }},
		{"target_endpoint", shield.Invalid, func(t *shield.Task) { t.TargetEndpoint = shield.Endpoint("\xff") }},
	} {
		task := f.newTask()
		test.change(task)
		wantCode(t, f.CreateTask(f.ctx, task), test.code, test.field)
	}
	list, err := f.Tasks(f.ctx, shield.Filter{})
	must(t, err)
	if len(list) != 1 {
		t.Errorf("%d tasks after refusals, want the one from before", len(list))
	}
	for _, ref := range []string{"", "nightly", unknownUUID(), "\x00"} {
		_, err := f.Task(f.ctx, ref)
		wantCode(t, err, shield.NotFound, "")
	}
}

func testTaskFilter(t *testing.T, f *fixture) {
	other := f.addTarget("other")
	names := map[string]string{}
	add := func(name string, change func(*shield.Task)) {
		task := f.addTask(change, func(t *shield.Task) {
			t.RequestedAt = epoch().Add(time.Duration(len(names)) * time.Second)
			t.Log = "a log that lists leave out"
		})
		names[task.UUID] = name
	}
	add("0", func(t *shield.Task) {})
	add("1", func(t *shield.Task) { t.Job = f.job.UUID })
	add("2", func(t *shield.Task) { t.Op, t.Target = shield.OpPurge, "" })
	add("3", func(t *shield.Task) { t.Target = other.UUID })
	f.claim(epoch().Add(time.Hour)) // claims 0
	second := epoch().Add(time.Second)
	for _, test := range []struct {
		filter shield.Filter
		want   string
	}{
		{shield.Filter{}, "3210"},
		{shield.Filter{Limit: 3}, "321"},
		{shield.Filter{Job: f.job.UUID}, "1"},
		{shield.Filter{Target: f.target.UUID}, "10"},
		{shield.Filter{Store: f.store.UUID}, "3210"},
		{shield.Filter{Op: shield.OpPurge}, "2"},
		{shield.Filter{Statuses: []string{"running"}}, "0"},
		{shield.Filter{Statuses: []string{"running", "pending"}, Op: shield.OpBackup}, "310"},
		{shield.Filter{After: second, Before: second.Add(2 * time.Second)}, "21"},
		{shield.Filter{Op: "\xff"}, ""},
	} {
		list, err := f.Tasks(f.ctx, test.filter)
		got := column(t, list, err, func(t *shield.Task) string { return names[t.UUID] + t.Log })
		wantSame(t, "tasks", strings.Join(got, ""), test.want)
	}
}

func testCancelPending(t *testing.T, f *fixture) {
	run := &shield.Run{Job: f.job.UUID, DueAt: epoch()}
	must(t, f.RecordRun(f.ctx, run))
	task := f.newTask()
	must(t, f.StartRun(f.ctx, run, task))
	must(t, f.CancelPending(f.ctx, task.UUID, "not wanted", epoch().Add(time.Second)))
	got, err := f.Task(f.ctx, task.UUID)
	must(t, err)
	if got.Status != shield.TaskCanceled || got.StoppedAt != epoch().Add(time.Second) || got.ErrorCode != shield.Canceled || got.Error != "not wanted" {
		t.Errorf("canceled task is %s with code %s and error %q, stopped at %v", got.Status, got.ErrorCode, got.Error, got.StoppedAt)
	}
	wantRun(t, f, run, shield.RunFailed)
	wantCode(t, f.CancelPending(f.ctx, task.UUID, "not wanted", epoch()), shield.Conflict, "status")
	wantCode(t, f.CancelPending(f.ctx, unknownUUID(), "", epoch()), shield.NotFound, "")
	f.addTask()
	running, _ := f.claim(epoch())
	wantCode(t, f.CancelPending(f.ctx, running.UUID, "", epoch()), shield.Conflict, "status")
}
