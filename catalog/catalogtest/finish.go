package catalogtest

import (
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/shieldhq/shield"
)

func testLease(t *testing.T, open func(t testing.TB) shield.Catalog) {
	t.Run("Renew", func(t *testing.T) { testRenew(t, newFixture(t, open)) })
	t.Run("Lost", func(t *testing.T) { testLeaseLost(t, newFixture(t, open)) })
	t.Run("Lapsed", func(t *testing.T) { testLapsed(t, newFixture(t, open)) })
}

func testRenew(t *testing.T, f *fixture) {
	f.addTask()
	task, l := f.claim(epoch())
	for _, log := range []string{"one\n", "one\ntwo\n", "", "bad \x00 byte \xff"} {
		l.Expires = l.Expires.Add(time.Minute)
		must(t, f.RenewTask(f.ctx, task.UUID, l, log))
	}
	got, err := f.Task(f.ctx, task.UUID)
	must(t, err)
	if got.LeaseExpires != l.Expires || got.Log != "bad \uFFFD byte \uFFFD" {
		t.Errorf("renewed until %v with log %q, want %v and the bad bytes replaced", got.LeaseExpires, got.Log, l.Expires)
	}
	must(t, f.RenewTask(f.ctx, task.UUID, l, ""))
	again, err := f.Task(f.ctx, task.UUID)
	must(t, err)
	wantSame(t, "log after an empty one", again.Log, got.Log)
}

// testLeaseLost checks that only the holder of the present lease writes.
func testLeaseLost(t *testing.T, f *fixture) {
	pending := f.addTask()
	done := shield.Outcome{Status: shield.TaskDone, StoppedAt: epoch(), Archive: &shield.Archive{Key: "k"}}
	wantLost := func(uuid string, l shield.Lease, code shield.Code) {
		t.Helper()
		before, _ := f.Task(f.ctx, uuid)
		wantCode(t, f.RenewTask(f.ctx, uuid, l, "lost"), code, "")
		wantCode(t, f.FinishTask(f.ctx, uuid, l, done), code, "")
		after, _ := f.Task(f.ctx, uuid)
		wantSame(t, "task after a refused write", after, before)
	}
	wantLost(pending.UUID, shield.Lease{Owner: "core", Expires: epoch()}, shield.Conflict)
	task, l := f.claim(epoch())
	wantLost(task.UUID, shield.Lease{Owner: "other", Epoch: l.Epoch, Expires: epoch()}, shield.Conflict)
	wantLost(task.UUID, shield.Lease{Owner: "core", Epoch: l.Epoch + 1, Expires: epoch()}, shield.Conflict)
	wantLost(unknownUUID(), l, shield.NotFound)

	retry := shield.Outcome{Status: shield.TaskFailed, StoppedAt: epoch(), RetryAt: epoch()}
	must(t, f.FinishTask(f.ctx, task.UUID, l, retry))
	_, second := f.claim(epoch())
	if second.Epoch <= l.Epoch {
		t.Errorf("epoch is %d after %d, want a greater one", second.Epoch, l.Epoch)
	}
	wantLost(task.UUID, l, shield.Conflict)
	must(t, f.FinishTask(f.ctx, task.UUID, second, done))
	wantLost(task.UUID, second, shield.Conflict)
	archives, err := f.Archives(f.ctx, shield.Filter{})
	must(t, err)
	if len(archives) != 1 {
		t.Errorf("%d archives after one good end, want 1", len(archives))
	}
}

func testLapsed(t *testing.T, f *fixture) {
	for i, owner := range []string{"a", "b", "c"} {
		f.addTask(newFreeTask("for "+owner, 50, epoch()))
		_, err := f.ClaimTask(f.ctx, shield.Lease{Owner: owner, Expires: epoch().Add(time.Duration(i+1) * time.Minute)}, epoch())
		must(t, err)
	}
	f.addTask(newFreeTask("pending", 50, epoch()))
	for _, test := range []struct {
		after time.Duration
		dead  func(string) bool
		want  []string
	}{
		{time.Minute, nil, []string{}},
		{time.Minute + time.Millisecond, nil, []string{"for a"}},
		{time.Hour, nil, []string{"for a", "for b", "for c"}},
		{0, func(owner string) bool { return owner == "c" }, []string{"for c"}},
	} {
		list, err := f.LapsedTasks(f.ctx, epoch().Add(test.after), test.dead)
		wantSame(t, "lapsed", column(t, list, err, func(t *shield.Task) string { return t.Owner }), test.want)
	}
}

func testFinish(t *testing.T, open func(t testing.TB) shield.Catalog) {
	t.Run("Done", func(t *testing.T) { testFinishDone(t, newFixture(t, open)) })
	t.Run("Failed", func(t *testing.T) { testFinishFailed(t, newFixture(t, open)) })
	t.Run("Retry", func(t *testing.T) { testFinishRetry(t, newFixture(t, open)) })
	t.Run("Purge", func(t *testing.T) { testFinishPurge(t, newFixture(t, open)) })
	t.Run("Absent", func(t *testing.T) { testFinishAbsent(t, newFixture(t, open)) })
	t.Run("Spared", func(t *testing.T) { testFinishSpared(t, newFixture(t, open)) })
	t.Run("Refused", func(t *testing.T) { testFinishRefused(t, newFixture(t, open)) })
	t.Run("Then", func(t *testing.T) { testFinishThen(t, newFixture(t, open)) })
}

// startRun makes the task of a run of the fixture's job and claims it.
func startRun(f *fixture, change ...func(*shield.Task)) (*shield.Run, *shield.Task, shield.Lease) {
	f.t.Helper()
	run := &shield.Run{Job: f.job.UUID, DueAt: epoch()}
	must(f.t, f.RecordRun(f.ctx, run))
	task := f.newTask()
	for _, c := range change {
		c(task)
	}
	must(f.t, f.StartRun(f.ctx, run, task))
	claimed, l := f.claim(epoch())
	return run, claimed, l
}

func testFinishDone(t *testing.T, f *fixture) {
	run, task, l := startRun(f)
	progress := shield.Progress{RawBytes: 4, StoredBytes: 3, Rate: 2, TotalBytes: 1}
	a := &shield.Archive{Key: "k", RawSize: 4}
	o := shield.Outcome{Status: shield.TaskDone, StoppedAt: epoch().Add(time.Second + 1), Log: "all \xff", Progress: progress, Archive: a}
	must(t, f.FinishTask(f.ctx, task.UUID, l, o))
	got, err := f.Task(f.ctx, task.UUID)
	must(t, err)
	want := *task
	want.Status, want.StoppedAt, want.Log, want.Progress = shield.TaskDone, epoch().Add(time.Second), "all \uFFFD", progress
	want.LeaseExpires = time.Time{}
	wantSame(t, "task", got, &want)
	if a.UUID != task.Archive || a.TakenAt != epoch().Add(time.Second) {
		t.Errorf("archive %s taken at %v, want %s at the end of its task", a.UUID, a.TakenAt, task.Archive)
	}
	wantRun(t, f, run, shield.RunSucceeded)
	wantEvents(t, f, shield.EventTaskEnded, shield.EventArchiveMade)
}

func testFinishFailed(t *testing.T, f *fixture) {
	run, task, l := startRun(f)
	must(t, f.RenewTask(f.ctx, task.UUID, l, "so far"))
	o := shield.Outcome{Status: shield.TaskFailed, StoppedAt: epoch(), Code: shield.TargetFailed, Error: "pg_dump: \x00 exit 1"}
	o.Findings = &shield.Findings{Checks: []shield.Check{{Name: "one byte", Error: "no \x00 \xff", Seconds: 0.5}}}
	must(t, f.FinishTask(f.ctx, task.UUID, l, o))
	got, err := f.Task(f.ctx, task.UUID)
	must(t, err)
	if got.Status != shield.TaskFailed || got.ErrorCode != shield.TargetFailed || got.Error != "pg_dump: \uFFFD exit 1" || got.Log != "so far" {
		t.Errorf("failed task is %s, %s: %q with log %q", got.Status, got.ErrorCode, got.Error, got.Log)
	}
	want := *o.Findings
	want.Checks = []shield.Check{{Name: "one byte", Error: "no \x00 \uFFFD", Seconds: 0.5}}
	wantSame(t, "findings", got.Findings, &want)
	wantRun(t, f, run, shield.RunFailed)
	wantEvents(t, f, shield.EventTaskEnded)
	_, err = f.Archive(f.ctx, task.Archive)
	wantCode(t, err, shield.NotFound, "")
}

func testFinishRetry(t *testing.T, f *fixture) {
	run, task, l := startRun(f)
	o := shield.Outcome{
		Status: shield.TaskFailed, StoppedAt: epoch(), Code: shield.StoreFailed, Error: "503",
		Log: "first try", RetryAt: epoch().Add(time.Minute),
	}
	must(t, f.FinishTask(f.ctx, task.UUID, l, o))
	got, err := f.Task(f.ctx, task.UUID)
	must(t, err)
	want := *task
	want.Status, want.NotBefore, want.ErrorCode, want.Error, want.Log = shield.TaskPending, o.RetryAt, o.Code, "503", "first try"
	want.StartedAt, want.TimeoutAt, want.LeaseExpires, want.LeaseOwner = time.Time{}, time.Time{}, time.Time{}, ""
	wantSame(t, "task to be tried again", got, &want)
	wantRun(t, f, run, shield.RunStarted)
	wantEvents(t, f)
	wantSame(t, "claimed too early", claimAll(f, o.RetryAt.Add(-time.Second)), "")
	second, l := f.claim(o.RetryAt)
	if second.Attempts != 2 || second.Log != "first try" || second.Error != "503" {
		t.Errorf("second attempt has number %d, log %q and error %q", second.Attempts, second.Log, second.Error)
	}
	o.RetryAt, o.RetryArchive, o.RetryKey, o.Log = epoch().Add(2*time.Minute), uuid.NewString(), "another key", ""
	must(t, f.FinishTask(f.ctx, task.UUID, l, o))
	third, l := f.claim(o.RetryAt)
	if third.Archive != o.RetryArchive || third.Key != "another key" || third.Log != "first try" {
		t.Errorf("third attempt makes archive %s under %q, want %s under another key", third.Archive, third.Key, o.RetryArchive)
	}
	must(t, f.FinishTask(f.ctx, task.UUID, l, shield.Outcome{Status: shield.TaskDone, StoppedAt: epoch(), Archive: &shield.Archive{Key: "k"}}))
	got, err = f.Task(f.ctx, task.UUID)
	must(t, err)
	if got.Error != "" || got.ErrorCode != "" {
		t.Errorf("a task that is done keeps error %q", got.Error)
	}
	wantRun(t, f, run, shield.RunSucceeded)
}

func testFinishPurge(t *testing.T, f *fixture) {
	a := f.addArchive(epoch())
	f.setStatus(a, shield.ArchivePurging, "asked for by ann")
	purge := func(archive, purged string) error {
		f.addTask(func(t *shield.Task) { t.Op, t.Target, t.Archive = shield.OpPurge, "", archive })
		task, l := f.claim(epoch())
		err := f.FinishTask(f.ctx, task.UUID, l, shield.Outcome{Status: shield.TaskDone, StoppedAt: epoch(), PurgedArchive: purged})
		if err != nil {
			must(t, f.FinishTask(f.ctx, task.UUID, l, shield.Outcome{Status: shield.TaskFailed, StoppedAt: epoch()}))
		}
		return err
	}
	wantCode(t, purge(a.UUID, unknownUUID()), shield.Invalid, "archive_uuid")
	must(t, purge(uuid.NewString(), "")) // what a failed backup left
	must(t, purge(a.UUID, a.UUID))
	got, err := f.Archive(f.ctx, a.UUID)
	must(t, err)
	a.Status, a.Version = shield.ArchivePurged, a.Version+1
	wantSame(t, "purged archive", got, a)
	must(t, purge(a.UUID, "")) // twice is harmless
	wantEvents(t, f, shield.EventTaskEnded, shield.EventTaskEnded, shield.EventArchivePurged,
		shield.EventTaskEnded, shield.EventTaskEnded, shield.EventTaskEnded, shield.EventArchiveMade)
}

// testFinishSpared cancels purges whose archives are to stay.
func testFinishSpared(t *testing.T, f *fixture) {
	for _, test := range []struct {
		from, to shield.ArchiveStatus
		o        shield.Outcome
	}{
		{shield.ArchiveExpired, shield.ArchiveValid, shield.Outcome{Status: shield.TaskCanceled, Spared: true}},
		{shield.ArchiveExpired, shield.ArchiveExpired, shield.Outcome{Status: shield.TaskCanceled}},
		{shield.ArchiveExpired, shield.ArchiveExpired, shield.Outcome{Status: shield.TaskFailed, Spared: true}},
		{shield.ArchivePurging, shield.ArchivePurging, shield.Outcome{Status: shield.TaskCanceled, Spared: true}},
		{shield.ArchivePurged, shield.ArchivePurged, shield.Outcome{Status: shield.TaskCanceled, Spared: true}},
	} {
		a := f.addArchive(epoch())
		f.setStatus(a, test.from, "expired")
		f.addTask(func(t *shield.Task) { t.Op, t.Target, t.Archive = shield.OpPurge, "", a.UUID })
		task, l := f.claim(epoch())
		test.o.StoppedAt = epoch()
		must(t, f.FinishTask(f.ctx, task.UUID, l, test.o))
		got, err := f.Archive(f.ctx, a.UUID)
		must(t, err)
		if got.Status != test.to || (got.PurgeReason == "") != (test.to == shield.ArchiveValid) {
			t.Errorf("%s became %s because %q, want %s", test.from, got.Status, got.PurgeReason, test.to)
		}
	}
}

// testFinishAbsent ends purges that found nothing to remove.
func testFinishAbsent(t *testing.T, f *fixture) {
	for _, test := range []struct {
		reason, want string
		tries        int
	}{
		{"asked for by ann", "asked for by ann; the store had no blob under its key", 1},
		{"", "the store had no blob under its key", 1},
		{"expired", "expired; the store had no blob under its key, which an earlier try may have removed", 2},
	} {
		a := f.addArchive(epoch())
		f.setStatus(a, shield.ArchivePurging, test.reason)
		f.addTask(func(t *shield.Task) { t.Op, t.Target, t.Archive = shield.OpPurge, "", a.UUID })
		task, l := f.claim(epoch())
		for range test.tries - 1 {
			must(t, f.FinishTask(f.ctx, task.UUID, l, shield.Outcome{Status: shield.TaskFailed, StoppedAt: epoch(), RetryAt: epoch()}))
			task, l = f.claim(epoch())
		}
		must(t, f.FinishTask(f.ctx, task.UUID, l, shield.Outcome{Status: shield.TaskDone, StoppedAt: epoch(), Absent: true}))
		got, err := f.Archive(f.ctx, a.UUID)
		must(t, err)
		if got.Status != shield.ArchivePurged || got.PurgeReason != test.want {
			t.Errorf("archive is %s because %q, want %q", got.Status, got.PurgeReason, test.want)
		}
	}
}

func testFinishRefused(t *testing.T, f *fixture) {
	old := f.addArchive(epoch())
	run, task, l := startRun(f, func(t *shield.Task) { t.Archive = old.UUID })
	for _, test := range []struct {
		field string
		code  shield.Code
		o     shield.Outcome
	}{
		{"status", shield.Invalid, shield.Outcome{Status: shield.TaskRunning}},
		{"status", shield.Invalid, shield.Outcome{Status: "fine"}},
		{"retry_at", shield.Invalid, shield.Outcome{Status: shield.TaskCanceled, RetryAt: epoch()}},
		{"retry_archive", shield.Invalid, shield.Outcome{Status: shield.TaskFailed, RetryAt: epoch(), RetryArchive: "another"}},
		{"archive", shield.Invalid, shield.Outcome{Status: shield.TaskDone}},
		{"store_key", shield.Invalid, shield.Outcome{Status: shield.TaskDone, Archive: &shield.Archive{}}},
		{"status", shield.Invalid, shield.Outcome{Status: shield.TaskDone, Archive: &shield.Archive{Key: "k", Status: "purged"}}},
		{"archive_uuid", shield.Invalid, shield.Outcome{Status: shield.TaskDone, Archive: &shield.Archive{Key: "k", UUID: unknownUUID()}}},
		{"archive_uuid", shield.Conflict, shield.Outcome{Status: shield.TaskDone, Archive: &shield.Archive{Key: "k"}}},
	} {
		err := f.FinishTask(f.ctx, task.UUID, l, test.o)
		wantCode(t, err, test.code, test.field)
	}
	got, err := f.Task(f.ctx, task.UUID)
	must(t, err)
	wantSame(t, "task after refusals", got, task)
	wantRun(t, f, run, shield.RunStarted)
	wantEvents(t, f, shield.EventTaskEnded, shield.EventArchiveMade)
}

// testFinishThen checks that what is to follow an end is queued with it, or
// not at all.
func testFinishThen(t *testing.T, f *fixture) {
	_, task, l := startRun(f)
	purge := func(key string) *shield.Task {
		return &shield.Task{Op: shield.OpPurge, Store: task.Store, StorePlugin: task.StorePlugin, Key: key, Owner: key}
	}
	failed := shield.Outcome{Status: shield.TaskFailed, StoppedAt: epoch(), Then: []*shield.Task{purge("a"), purge("b")}}
	pending := func() []string {
		list, err := f.Tasks(f.ctx, shield.Filter{Op: shield.OpPurge, Statuses: []string{string(shield.TaskPending)}})
		return column(t, list, err, func(t *shield.Task) string { return t.Owner })
	}
	lost := l
	lost.Epoch++
	wantCode(t, f.FinishTask(f.ctx, task.UUID, lost, failed), shield.Conflict, "")
	bad := failed
	bad.Then = []*shield.Task{purge("a"), purge("")}
	wantCode(t, f.FinishTask(f.ctx, task.UUID, l, bad), shield.Invalid, "restore_key")
	wantSame(t, "queued by ends that were refused", len(pending()), 0)
	must(t, f.FinishTask(f.ctx, task.UUID, l, failed))
	got := pending()
	slices.Sort(got)
	wantSame(t, "queued with the end", got, []string{"a", "b"})
}
