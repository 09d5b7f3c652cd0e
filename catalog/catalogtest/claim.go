package catalogtest

import (
	"strings"
	"testing"
	"time"

	"github.com/shieldhq/shield"
)

func testClaim(t *testing.T, open func(t testing.TB) shield.Catalog) {
	t.Run("Fields", func(t *testing.T) { testClaimFields(t, newFixture(t, open)) })
	t.Run("Order", func(t *testing.T) { testClaimOrder(t, newFixture(t, open)) })
	t.Run("NotBefore", func(t *testing.T) { testClaimNotBefore(t, newFixture(t, open)) })
	t.Run("Exclusion", func(t *testing.T) { testClaimExclusion(t, newFixture(t, open)) })
	t.Run("Limits", func(t *testing.T) { testClaimLimits(t, open) })
	t.Run("Refused", func(t *testing.T) { testClaimRefused(t, newFixture(t, open)) })
}

func testClaimFields(t *testing.T, f *fixture) {
	made := f.addTask(func(t *shield.Task) { t.Log = "queued" })
	now := epoch().Add(time.Minute + 1)
	l := shield.Lease{Owner: "core-1", Expires: now.Add(time.Minute), Timeout: 90 * time.Second}
	got, err := f.ClaimTask(f.ctx, l, now)
	must(t, err)
	want := *made
	want.Status, want.Attempts = shield.TaskRunning, 1
	want.StartedAt, want.TimeoutAt = epoch().Add(time.Minute), epoch().Add(time.Minute+90*time.Second)
	want.LeaseOwner, want.LeaseEpoch, want.LeaseExpires = "core-1", 1, epoch().Add(2*time.Minute)
	wantSame(t, "claimed task", got, &want)
	stored, err := f.Task(f.ctx, made.UUID)
	must(t, err)
	wantSame(t, "stored task", stored, got)

	f.addTask(func(t *shield.Task) { t.Op, t.Timeout = shield.OpTestStore, 5 })
	own, _ := f.claim(now)
	if own.TimeoutAt != own.StartedAt.Add(5*time.Second) {
		t.Errorf("a task with a timeout of 5 s started at %v has deadline %v", own.StartedAt, own.TimeoutAt)
	}
}

// newFreeTask changes a task into one that excludes no other.
func newFreeTask(name string, priority int, requested time.Time) func(*shield.Task) {
	return func(t *shield.Task) {
		t.Op, t.Target, t.Owner, t.Priority, t.RequestedAt = shield.OpTestStore, "", name, priority, requested
	}
}

func claimAll(f *fixture, now time.Time) string {
	var names []string
	for {
		t, err := f.ClaimTask(f.ctx, leaseOf("core", now), now)
		if shield.CodeOf(err) == shield.NotFound {
			return strings.Join(names, " ")
		}
		must(f.t, err)
		names = append(names, t.Owner)
	}
}

func testClaimOrder(t *testing.T, f *fixture) {
	for _, task := range []struct {
		name     string
		priority int
		age      time.Duration
	}{
		{"last", 100, 0},
		{"old", 60, 30 * time.Minute},
		{"normal", 50, 0},
		{"first", 0, 0},
		{"first2", 0, 0},
		{"young", 50, time.Second},
		{"starving", 100, 101 * time.Minute},
	} {
		f.addTask(newFreeTask(task.name, task.priority, epoch().Add(-task.age)))
	}
	wantSame(t, "order", claimAll(f, epoch()), "starving first first2 old young normal last")
}

func testClaimNotBefore(t *testing.T, f *fixture) {
	f.addTask(func(t *shield.Task) { t.NotBefore = epoch().Add(time.Minute) })
	f.addTask(newFreeTask("ready", 100, epoch()))
	wantSame(t, "claimed at once", claimAll(f, epoch().Add(time.Minute-time.Millisecond)), "ready")
	wantSame(t, "claimed in time", claimAll(f, epoch().Add(time.Minute)), "system")
}

// testClaimExclusion checks that a running task holds back what shares its job
// or target, and nothing else.
func testClaimExclusion(t *testing.T, f *fixture) {
	other := f.addTarget("other")
	add := func(name, job, target string, op shield.Op) {
		f.addTask(func(t *shield.Task) { t.Owner, t.Job, t.Target, t.Op = name, job, target, op })
	}
	add("running", f.job.UUID, f.target.UUID, shield.OpBackup)
	running, l := f.claim(epoch())
	add("same-job", f.job.UUID, other.UUID, shield.OpBackup)
	add("same-target", "", f.target.UUID, shield.OpRestore)
	add("purge", "", "", shield.OpPurge)
	add("test", "", "", shield.OpTestStore)
	add("other", "", other.UUID, shield.OpBackup)
	wantSame(t, "beside a running one", claimAll(f, epoch()), "purge test other")
	must(t, f.FinishTask(f.ctx, running.UUID, l, shield.Outcome{Status: shield.TaskFailed, StoppedAt: epoch()}))
	wantSame(t, "when it has ended", claimAll(f, epoch()), "same-target")
}

// testClaimLimits checks each limit by itself. Tasks a and b are of the noun
// that has it, c is not; they are asked for in this order.
func testClaimLimits(t *testing.T, open func(t testing.TB) shield.Catalog) {
	for _, test := range []struct {
		name  string
		limit int
		first string // all that can be claimed at once
		then  string // when the first of them has ended
		setUp func(f *fixture, limit int) shield.Lease
	}{
		{"target", 1, "a c", "b", func(f *fixture, limit int) shield.Lease {
			f.target.MaxTasks = limit
			must(f.t, f.UpdateTarget(f.ctx, f.target))
			return leaseOf("core", epoch())
		}},
		{"target, 2", 2, "a b c", "", func(f *fixture, limit int) shield.Lease {
			f.target.MaxTasks = limit
			must(f.t, f.UpdateTarget(f.ctx, f.target))
			return leaseOf("core", epoch())
		}},
		{"store", 1, "a c", "b", func(f *fixture, limit int) shield.Lease {
			f.store.MaxTasks = limit
			must(f.t, f.UpdateStore(f.ctx, f.store))
			return leaseOf("core", epoch())
		}},
		{"agent", 1, "a c", "b", func(f *fixture, limit int) shield.Lease {
			l := leaseOf("core", epoch())
			l.AgentLimit = limit
			return l
		}},
		{"in all", 2, "a b", "c", func(f *fixture, limit int) shield.Lease {
			l := leaseOf("core", epoch())
			l.Limit = limit
			return l
		}},
		{"none", 0, "a b c", "", func(*fixture, int) shield.Lease { return leaseOf("core", epoch()) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newFixture(t, open)
			target, store := f.addTarget("other"), newStore("other")
			must(t, f.CreateStore(f.ctx, store))
			for i, name := range []string{"a", "b", "c"} {
				f.addTask(func(t *shield.Task) {
					t.Op, t.Owner, t.Agent, t.RequestedAt = shield.OpProbeTarget, name, "db1", epoch().Add(time.Duration(i)*time.Second)
					if name == "c" {
						t.Target, t.Store, t.Agent = target.UUID, store.UUID, "db2"
					}
				})
			}
			l := test.setUp(f, test.limit)
			claimed := claimWith(f, l)
			wantSame(t, "claimed at once", owners(claimed), test.first)
			l.Epoch = claimed[0].LeaseEpoch
			must(t, f.FinishTask(f.ctx, claimed[0].UUID, l, shield.Outcome{Status: shield.TaskDone, StoppedAt: epoch()}))
			wantSame(t, "claimed then", owners(claimWith(f, l)), test.then)
		})
	}
}

// claimWith claims what can be claimed.
func claimWith(f *fixture, l shield.Lease) []*shield.Task {
	var claimed []*shield.Task
	for {
		t, err := f.ClaimTask(f.ctx, l, epoch().Add(time.Hour))
		if shield.CodeOf(err) == shield.NotFound {
			return claimed
		}
		must(f.t, err)
		claimed = append(claimed, t)
	}
}

func owners(tasks []*shield.Task) string {
	names := make([]string, len(tasks))
	for i, t := range tasks {
		names[i] = t.Owner
	}
	return strings.Join(names, " ")
}

func testClaimRefused(t *testing.T, f *fixture) {
	_, err := f.ClaimTask(f.ctx, leaseOf("core", epoch()), epoch())
	wantCode(t, err, shield.NotFound, "")
	f.addTask()
	_, err = f.ClaimTask(f.ctx, leaseOf("", epoch()), epoch())
	wantCode(t, err, shield.Invalid, "owner")
	_, err = f.ClaimTask(f.ctx, shield.Lease{Owner: "core"}, epoch())
	wantCode(t, err, shield.Invalid, "expires")
}
