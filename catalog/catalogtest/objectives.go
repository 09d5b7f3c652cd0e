package catalogtest

import (
	"strings"
	"testing"
	"time"

	"github.com/shieldhq/shield"
)

func testObjectives(t *testing.T, open func(t testing.TB) shield.Catalog) {
	t.Run("Standing", func(t *testing.T) { testJobStanding(t, newFixture(t, open)) })
	t.Run("Judged", func(t *testing.T) { testObjectivesJudged(t, newFixture(t, open)) })
	t.Run("Many", func(t *testing.T) { testManyObjectives(t, newFixture(t, open)) })
}

// testJobStanding checks what a job is read with, and that writing it back
// does not change that.
func testJobStanding(t *testing.T, f *fixture) {
	job := func() *shield.Job {
		t.Helper()
		j, err := f.Job(f.ctx, "nightly")
		must(t, err)
		return j
	}
	if j := job(); !j.LastSuccess.IsZero() || !j.NextDue.IsZero() || j.Breached {
		t.Errorf("a new job has its last success at %v, its next run at %v, breached %t", j.LastSuccess, j.NextDue, j.Breached)
	}
	ofJob := func(t *shield.Task) { t.Job = f.job.UUID }
	f.addArchive(epoch(), ofJob)
	f.addArchive(epoch().Add(-time.Hour), ofJob) // an older one that took longer
	for i, status := range []shield.RunStatus{shield.RunMissed, shield.RunDue, shield.RunDue} {
		must(t, f.RecordRun(f.ctx, &shield.Run{Job: f.job.UUID, DueAt: epoch().Add(time.Duration(i) * time.Hour), Status: status}))
	}
	before := job()
	if !before.LastSuccess.Equal(epoch()) || !before.NextDue.Equal(epoch().Add(time.Hour)) {
		t.Errorf("last success at %v and next run at %v, want %v and an hour later", before.LastSuccess, before.NextDue, epoch())
	}
	changed := *before
	changed.Summary, changed.LastSuccess, changed.NextDue, changed.RPO = "changed", time.Time{}, time.Time{}, 1
	must(t, f.UpdateJob(f.ctx, &changed))
	after := job()
	if !after.LastSuccess.Equal(before.LastSuccess) || !after.NextDue.Equal(before.NextDue) || !after.Breached {
		t.Errorf("after a change: last success at %v, next run at %v, breached %t", after.LastSuccess, after.NextDue, after.Breached)
	}
	list, err := f.Jobs(f.ctx, shield.Filter{})
	must(t, err)
	wantSame(t, "listed job", list[0], after)
}

func testObjectivesJudged(t *testing.T, f *fixture) {
	const hour = 3600
	change := func(rpo int64, paused bool) {
		t.Helper()
		j, err := f.Job(f.ctx, "nightly")
		must(t, err)
		j.RPO, j.Paused = rpo, paused
		must(t, f.UpdateJob(f.ctx, j))
	}
	made := f.job.CreatedAt
	judge := func(at time.Duration, kind shield.EventKind, text string) {
		t.Helper()
		told, err := f.JudgeObjectives(f.ctx, made.Add(at))
		must(t, err)
		if kind == "" {
			if len(told) > 0 {
				t.Errorf("after %s: %q is told", at, told[0].Message)
			}
			return
		}
		if len(told) != 1 || told[0].Kind != kind || told[0].Subject != f.job.UUID || !strings.Contains(told[0].Message, text) {
			t.Fatalf("after %s: told %+v, want one event %s with %q", at, told, kind, text)
		}
		listed, err := f.Events(f.ctx, shield.Filter{Limit: 1, Before: made.Add(1000 * time.Hour)})
		must(t, err)
		if len(listed) == 0 || listed[0].ID == 0 {
			t.Error("the event is not listed")
		}
	}
	change(hour, false)
	judge(time.Hour, "", "") // not over it yet
	judge(time.Hour+time.Millisecond, shield.EventJobBreached, "misses its objective of 1h0m0s: it never succeeded")
	judge(2*time.Hour, "", "") // told once
	f.addArchive(made.Add(2*time.Hour), func(t *shield.Task) { t.Job = f.job.UUID })
	judge(150*time.Minute, shield.EventJobMet, "meets its objective of 1h0m0s again")
	judge(160*time.Minute, "", "")
	change(hour, true)
	judge(24*time.Hour, shield.EventJobBreached, "it is paused")
	change(48*hour, true)
	judge(24*time.Hour, shield.EventJobMet, "again")
	change(hour, false)
	judge(24*time.Hour, shield.EventJobBreached, "newest good backup was taken at ")
	change(0, false)
	judge(24*time.Hour, shield.EventJobMet, "has no objective any more")
	judge(1000*time.Hour, "", "")
}

// testManyObjectives checks that every job is told of once, however many there
// are.
func testManyObjectives(t *testing.T, f *fixture) {
	const many = 501
	f.job.RPO = 1
	must(t, f.UpdateJob(f.ctx, f.job))
	for i := range many - 1 {
		j := newJob("job "+string(rune(0x4e00+i)), "prod")
		j.RPO = 1
		must(t, f.CreateJob(f.ctx, j))
	}
	seen := map[string]bool{}
	for {
		told, err := f.JudgeObjectives(f.ctx, time.Now().Add(time.Minute))
		must(t, err)
		if len(told) == 0 {
			break
		}
		for _, e := range told {
			if seen[e.Subject] {
				t.Errorf("told twice: %s", e.Message)
			}
			seen[e.Subject] = true
		}
	}
	if len(seen) != many {
		t.Errorf("told of %d jobs, want %d", len(seen), many)
	}
}
