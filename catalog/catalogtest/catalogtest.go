// Package catalogtest holds the tests that every shield.Catalog must pass.
package catalogtest

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/shieldhq/shield"
)

// Run tests catalogs made by open. Each call of open must return a new, empty
// one, and close it in a Cleanup; the catalog's tests may close it before.
func Run(t *testing.T, open func(t testing.TB) shield.Catalog) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T, open func(t testing.TB) shield.Catalog)
	}{
		{"Nouns", testNouns},
		{"Jobs", testJobs},
		{"InUse", testInUse},
		{"Archives", testArchives},
		{"Expired", testExpired},
		{"Reconcile", testReconcile},
		{"Tasks", testTasks},
		{"Claim", testClaim},
		{"Lease", testLease},
		{"Finish", testFinish},
		{"Runs", testRuns},
		{"Objectives", testObjectives},
		{"Events", testEvents},
		{"Modules", testModules},
		{"Prefix", testPrefix},
		{"Own", testOwn},
		{"Order", testOrder},
		{"Figures", testFigures},
		{"Users", testUsers},
		{"Audit", testAudit},
		{"Agents", testAgents},
		{"AgentTokens", testAgentTokens},
		{"Hostile", testHostile},
		{"Context", testContext},
		{"Concurrent", testConcurrent},
		{"Model", testModel},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, open) })
	}
}

// epoch is where the time of most tests begins.
func epoch() time.Time { return time.Date(2026, 3, 4, 5, 6, 7, 891_000_000, time.UTC) }

// A fixture is a catalog with one of each noun, wired by a job.
type fixture struct {
	shield.Catalog
	t        testing.TB
	ctx      context.Context
	target   *shield.Target
	store    *shield.Store
	schedule *shield.Schedule
	policy   *shield.Policy
	job      *shield.Job
}

func newFixture(t testing.TB, open func(t testing.TB) shield.Catalog) *fixture {
	t.Helper()
	f := &fixture{
		Catalog: open(t), t: t, ctx: context.Background(),
		target: newTarget("prod"), store: newStore("s3"), schedule: newSchedule("daily"), policy: newPolicy("month"),
	}
	must(t, f.CreateTarget(f.ctx, f.target))
	must(t, f.CreateStore(f.ctx, f.store))
	must(t, f.CreateSchedule(f.ctx, f.schedule))
	must(t, f.CreatePolicy(f.ctx, f.policy))
	f.job = f.addJob("nightly", "prod")
	return f
}

func newTarget(name string) *shield.Target {
	return &shield.Target{
		Meta: shield.Meta{Name: name, Summary: "a database"}, Plugin: "postgres",
		Endpoint: shield.Endpoint(`{"host":"db","password":"it's \"secret\" ? ?0 ?name"}`), Agent: "db1:5444", MaxTasks: 1000, Scratch: true,
	}
}

func newStore(name string) *shield.Store {
	return &shield.Store{
		Meta: shield.Meta{Name: name}, Plugin: "s3", Endpoint: shield.Endpoint(`{"bucket":"b"}`), MaxTasks: 2000,
		Limit: shield.Limit{Up: "20MiB", Timezone: "Europe/Rome", Windows: []shield.Window{{Days: "weekdays", From: "08:00", To: "18:00", Down: "1MiB"}}},
	}
}

func newSchedule(name string) *shield.Schedule {
	return &shield.Schedule{
		Meta: shield.Meta{Name: name}, Timespec: "daily 4:00", Timezone: "Europe/Rome",
		Jitter: 600, Blackout: []string{"weekdays 8:00 to 18:00", `"odd", text`}, CatchUp: shield.CatchUpNone,
	}
}

func newPolicy(name string) *shield.Policy {
	return &shield.Policy{
		Meta: shield.Meta{Name: name}, Expiry: 30 * 24 * 3600, KeepLast: 1, KeepHourly: 2, KeepDaily: 3, KeepWeekly: 4,
		KeepMonthly: 5, KeepYearly: 6, MinValid: 7, Timezone: "Europe/Rome",
	}
}

func newJob(name, target string) *shield.Job {
	return &shield.Job{
		Meta: shield.Meta{Name: name}, Target: target, Store: "s3", Schedule: "daily", Policy: "month",
		Priority: shield.DefaultPriority, Compression: "default", Timeout: 600, IdleTimeout: 60,
		Overlap: shield.OverlapQueue, Attempts: 5, Backoff: 30, RPO: shield.MaxExpiry,
	}
}

func (f *fixture) addTarget(name string) *shield.Target {
	f.t.Helper()
	t := newTarget(name)
	must(f.t, f.CreateTarget(f.ctx, t))
	return t
}

func (f *fixture) addJob(name, target string) *shield.Job {
	f.t.Helper()
	j := newJob(name, target)
	must(f.t, f.CreateJob(f.ctx, j))
	return j
}

// newTask returns a backup of the fixture's target that belongs to no job.
func (f *fixture) newTask() *shield.Task {
	return &shield.Task{
		Owner: "system", Op: shield.OpBackup, Priority: shield.DefaultPriority, Archive: uuid.NewString(),
		Target: f.target.UUID, TargetPlugin: f.target.Plugin, TargetEndpoint: f.target.Endpoint,
		Store: f.store.UUID, StorePlugin: f.store.Plugin, StoreEndpoint: f.store.Endpoint,
		Key: "prod/2026/a", ManifestKey: "prod/2026/a.json", Retention: f.policy.Expiry, RequestedAt: epoch(),
		IdleTimeout: 60, MaxAttempts: 5, Backoff: 30,
	}
}

// addTask makes a task, changed by the functions given.
func (f *fixture) addTask(change ...func(*shield.Task)) *shield.Task {
	f.t.Helper()
	t := f.newTask()
	for _, c := range change {
		c(t)
	}
	must(f.t, f.CreateTask(f.ctx, t))
	return t
}

func leaseOf(owner string, now time.Time) shield.Lease {
	return shield.Lease{Owner: owner, Expires: now.Add(time.Minute), Timeout: time.Hour}
}

// claim claims the next task and returns it with the lease on it.
func (f *fixture) claim(now time.Time) (*shield.Task, shield.Lease) {
	f.t.Helper()
	l := leaseOf("core", now)
	t, err := f.ClaimTask(f.ctx, l, now)
	must(f.t, err)
	l.Epoch = t.LeaseEpoch
	return t, l
}

// addArchive runs a backup taken at a time to its good end.
func (f *fixture) addArchive(taken time.Time, change ...func(*shield.Task)) *shield.Archive {
	f.t.Helper()
	return f.makeArchive(taken, "", change...)
}

// addSuspicious makes an archive that is suspicious for a reason.
func (f *fixture) addSuspicious(taken time.Time, why string) *shield.Archive {
	f.t.Helper()
	return f.makeArchive(taken, why)
}

func (f *fixture) makeArchive(taken time.Time, suspicion string, change ...func(*shield.Task)) *shield.Archive {
	f.t.Helper()
	f.addTask(change...)
	t, l := f.claim(epoch())
	a := &shield.Archive{
		Suspicion: suspicion,
		Key:       "key-" + t.UUID, ManifestKey: "manifest-" + t.UUID, TakenAt: taken, Plugin: "postgres", PluginVersion: "1.2.3",
		PluginDigest: "blake3:aa", Compression: "fastest", Encrypted: true, RawSize: 1 << 40, RawDigest: "blake3:bb",
		StoredSize: 1 << 39, StoredDigest: "blake3:cc", Seal: "age " + t.Archive, Frames: 1 << 20,
		Versions: map[string]string{"server": "PostgreSQL 15.18"}, Counts: map[string]int64{"rows": 1 << 40, "views": 0},
		Recipients: []string{"age1one", "age1two"},
	}
	must(f.t, f.FinishTask(f.ctx, t.UUID, l, shield.Outcome{Status: shield.TaskDone, StoppedAt: taken, Archive: a}))
	return a
}

// setStatus changes the status of an archive.
func (f *fixture) setStatus(a *shield.Archive, s shield.ArchiveStatus, reason string) {
	f.t.Helper()
	a.Status, a.PurgeReason = s, reason
	must(f.t, f.UpdateArchive(f.ctx, a))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wantCode checks that err is a *shield.Error of that code, about that field
// if one is given.
func wantCode(t testing.TB, err error, code shield.Code, field string) {
	t.Helper()
	var e *shield.Error
	if !errors.As(err, &e) {
		t.Fatalf("error is %v, want a *shield.Error with code %s", err, code)
	}
	if e.Code != code || field != "" && e.Field != field {
		t.Fatalf("error is %q with code %s and field %q, want code %s and field %q", e, e.Code, e.Field, code, field)
	}
	if !strings.HasPrefix(e.Op, "catalog.") {
		t.Errorf("error %q names operation %q, want catalog.Method", e, e.Op)
	}
}

func wantSame(t testing.TB, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("%s differs (-want +got):\n%s", what, diff)
	}
}

// column returns one field of each of what a list call returned.
func column[N any](t testing.TB, list []*N, err error, field func(*N) string) []string {
	t.Helper()
	must(t, err)
	texts := make([]string, len(list))
	for i, n := range list {
		texts[i] = field(n)
	}
	return texts
}

func unknownUUID() string { return "ffffffff-ffff-4fff-8fff-ffffffffffff" }
