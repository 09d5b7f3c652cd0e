package task_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugin/plugintest"
	"github.com/shieldhq/shield/task"
)

func locking(t *shield.Task) { t.StoreEndpoint = shield.Endpoint(`{"name":"vault","lock":true}`) }

func purgeTask(a *shield.Archive) *shield.Task {
	t := restoreTask(a)
	t.Op, t.Expected, t.Target, t.TargetPlugin = shield.OpPurge, nil, "", ""
	return t
}

// TestKeeping: a store that can is told to keep blob and manifest until the
// archive expires. Until then a purge is Locked and the archive can be
// restored; then it goes.
func TestKeeping(t *testing.T) {
	b := newBench(t)
	a := b.backup(t, locking, func(t *shield.Task) { t.Retention = 3600 })
	purge := purgeTask(a)
	locking(purge)
	_, err := b.runner.Run(t.Context(), purge, &b.monitor)
	if !errors.Is(err, shield.Locked) || !shield.UntilOf(err).Equal(a.ExpiresAt) {
		t.Errorf("got %v until %s, want locked until %s", err, shield.UntilOf(err), a.ExpiresAt)
	}
	if want := []string{a.Key, a.Key + ".manifest"}; !slices.Equal(b.memory.Keys("vault"), want) {
		t.Errorf("the store has %q, want %q", b.memory.Keys("vault"), want)
	}
	if _, err := b.runner.Run(t.Context(), restoreTask(a), &b.monitor); err != nil {
		t.Error(err)
	}
	// An endpoint that asks for no lock gets none.
	free := b.backup(t)
	if _, err := b.runner.Run(t.Context(), purgeTask(free), &b.monitor); err != nil {
		t.Error(err)
	}
}

// TestNotKeeping: a plugin whose info does not say keeping is not asked to.
func TestNotKeeping(t *testing.T) {
	b := newBench(t)
	info, err := b.memory.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	info.Keeping = false
	plugins := plugin.NewRegistry()
	asked := false
	modest := &plugin.Native{
		About: info,
		Target: func(e shield.Endpoint, log plugin.Log) (plugin.Target, error) {
			return b.memory.OpenTarget(t.Context(), e, log)
		},
		Store: func(e shield.Endpoint, log plugin.Log) (plugin.Store, error) {
			s, err := b.memory.OpenStore(t.Context(), e, log)
			return askedKeeper{s, &asked}, err
		},
	}
	if err := plugins.Register("memory", modest); err != nil {
		t.Fatal(err)
	}
	if _, err := b.runnerOver(plugins).Run(t.Context(), backupTask(), &b.monitor); err != nil || asked {
		t.Errorf("%v, asked to keep: %v", err, asked)
	}
}

type askedKeeper struct {
	plugin.Store
	asked *bool
}

func (k askedKeeper) PutUntil(ctx context.Context, key string, r io.Reader, _ time.Time) (plugin.Stored, error) {
	*k.asked = true
	return k.Put(ctx, key, r)
}

// TestUnavailable: what can be done again is, a bounded number of times; an
// upload is not.
func TestUnavailable(t *testing.T) {
	for _, c := range []struct {
		fault plugintest.Fault
		n     int64
		op    shield.Op
		good  bool
		hits  int
	}{
		{plugintest.DeleteUnavailable, 3, shield.OpPurge, true, 3},
		{plugintest.DeleteUnavailable, 100, shield.OpPurge, false, 4},
		{plugintest.ListUnavailable, 3, shield.OpPurge, true, 3},
		{plugintest.ListUnavailable, 3, shield.OpBackup, true, 3},
		{plugintest.GetUnavailable, 3, shield.OpBackup, true, 3},
		{plugintest.GetUnavailable, 3, shield.OpRestore, true, 3},
		{plugintest.GetUnavailable, 100, shield.OpRestore, false, 4},
		{plugintest.PutUnavailable, 1, shield.OpBackup, false, 1},
	} {
		t.Run(string(c.fault)+" "+string(c.op), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, func(o *task.Options) { o.Workers = 1 })
				job := backupTask()
				if c.op == shield.OpPurge {
					job = purgeTask(b.backup(t))
				}
				if c.op == shield.OpRestore {
					job = restoreTask(b.backup(t))
				}
				b.faulty.Set(c.fault, c.n)
				began := time.Now()
				_, err := b.runner.Run(t.Context(), job, &b.monitor)
				if (err == nil) != c.good || err != nil && !errors.Is(err, shield.Unavailable) {
					t.Errorf("got %v", err)
				}
				if hits := b.faulty.Hits(c.fault); hits != c.hits {
					t.Errorf("the fault struck %d times, want %d", hits, c.hits)
				}
				if took := time.Since(began); c.hits >= 3 && (took < 3500*time.Millisecond || took > 8*time.Second) {
					t.Errorf("it took %s: pauses that double are wanted", took)
				}
				if said := strings.Contains(strings.Join(b.monitor.lines, "\n"), "trying again in"); said != (c.hits > 1) {
					t.Errorf("the log has %q", b.monitor.lines)
				}
			})
		})
	}
}

// TestStoreCallsHang: calls without a stream are ended by the idle timeout,
// too, and blamed on the store.
func TestStoreCallsHang(t *testing.T) {
	for _, c := range []struct {
		fault plugintest.Fault
		op    shield.Op
	}{
		{plugintest.DeleteHangs, shield.OpPurge},
		{plugintest.ListHangs, shield.OpPurge},
		{plugintest.DeleteHangs, shield.OpTestStore},
		{plugintest.PutHangsAfter, shield.OpTestStore},
		{plugintest.ListHangs, shield.OpBackup},
		{plugintest.PutHangsAfter, shield.OpBackup}, // when it has read all
	} {
		t.Run(string(c.fault)+" "+string(c.op), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, func(o *task.Options) { o.Workers, o.IdleTimeout = 1, 20*time.Second })
				job := backupTask()
				if c.op != shield.OpBackup {
					job = purgeTask(b.backup(t))
					job.Op = c.op
				}
				b.faulty.Set(c.fault, 100<<20)
				_, err := b.runner.Run(t.Context(), job, &b.monitor)
				if !errors.Is(err, shield.TimedOut) || !strings.Contains(err.Error(), "store vault (memory) hangs") {
					t.Errorf("got %v, want that the store hangs", err)
				}
			})
		})
	}
}

// TestLimit moves content of 3 MiB and looks at a clock that only waits move.
func TestLimit(t *testing.T) {
	for _, c := range []struct {
		name     string
		limit    shield.Limit
		tasks    int
		restore  bool
		from, to time.Duration
	}{
		{"none", shield.Limit{}, 1, false, 0, 0},
		{"up", shield.Limit{Up: "1MiB"}, 1, false, 2900 * time.Millisecond, 4 * time.Second},
		{"down does not bound up", shield.Limit{Down: "1MiB"}, 1, false, 0, time.Second},
		{"down", shield.Limit{Down: "1MiB"}, 1, true, 2900 * time.Millisecond, 4 * time.Second},
		{"two tasks share it", shield.Limit{Up: "1MiB"}, 2, false, 5900 * time.Millisecond, 7 * time.Second},
		// The clock begins at midnight UTC, where it is one o'clock in Berlin.
		{"a window begins", shield.Limit{Up: "32KiB", Timezone: "Europe/Berlin", Windows: []shield.Window{{From: "01:01", To: "02:00", Up: "none"}}},
			1, false, time.Minute, 65 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, func(o *task.Options) { o.Workers = 1 })
				var jobs []*shield.Task
				for range c.tasks {
					job := backupTask()
					if c.restore {
						job = restoreTask(b.backup(t))
					}
					job.StoreLimit = c.limit
					if len(jobs) > 0 {
						job.Store = jobs[0].Store
					}
					jobs = append(jobs, job)
				}
				began := time.Now()
				var wg sync.WaitGroup
				for _, job := range jobs {
					wg.Go(func() {
						if _, err := b.runner.Run(t.Context(), job, &b.monitor); err != nil {
							t.Error(err)
						}
					})
				}
				wg.Wait()
				if took := time.Since(began); took < c.from || took > c.to {
					t.Errorf("it took %s, want %s to %s", took, c.from, c.to)
				}
			})
		})
	}
	b := newBench(t)
	job := backupTask()
	job.StoreLimit = shield.Limit{Up: "1MiB", Timezone: "Europe/Nowhere"}
	if _, err := b.runner.Run(t.Context(), job, &b.monitor); !errors.Is(err, shield.Invalid) || !strings.Contains(err.Error(), "limit.timezone") {
		t.Errorf("got %v, want one about the time zone", err)
	}
}

// TestCheckStore runs the suite on a store that others use, too.
func TestCheckStore(t *testing.T) {
	b := newBench(t)
	b.memory.SetBlob("vault", "precious", []byte("x"))
	job := purgeTask(&shield.Archive{UUID: "x", Key: "x"})
	job.Op, job.Key, job.ManifestKey = shield.OpCheckStore, "", ""
	r, err := b.runner.Run(t.Context(), job, &b.monitor)
	if err != nil || len(r.Findings.Checks) < 15 {
		t.Errorf("got %+v, %v", r.Findings, err)
	}
	b.faulty.Set(plugintest.ListMisses, 0)
	r, err = b.runner.Run(t.Context(), job, &b.monitor)
	if !errors.Is(err, shield.StoreFailed) || !strings.Contains(err.Error(), "checks failed: store: list") {
		t.Errorf("got %v", err)
	}
	failed := slices.IndexFunc(r.Findings.Checks, func(c shield.Check) bool { return c.Name == "store: list" })
	if failed < 0 || r.Findings.Checks[failed].Passed || r.Findings.Checks[failed].Error == "" {
		t.Errorf("got %+v", r.Findings)
	}
	if blob, _ := b.memory.Blob("vault", "precious"); !bytes.Equal(blob, []byte("x")) || len(b.memory.Keys("vault")) != 1 {
		t.Errorf("the store has %q", b.memory.Keys("vault"))
	}
	job.StoreEndpoint = shield.Endpoint(`{}`)
	if _, err := b.runner.Run(t.Context(), job, &b.monitor); !errors.Is(err, shield.Invalid) {
		t.Errorf("got %v, want invalid", err)
	}
}

// TestTestOfKeepingStore: the test blob of a store that keeps every blob
// stays, and that is said.
func TestTestOfKeepingStore(t *testing.T) {
	b := newBench(t)
	b.faulty.Set(plugintest.DeleteLocked, 3600)
	job := purgeTask(&shield.Archive{UUID: "x", Key: "x"})
	job.Op = shield.OpTestStore
	if _, err := b.runner.Run(t.Context(), job, &b.monitor); err != nil {
		t.Error(err)
	}
	if !strings.Contains(strings.Join(b.monitor.lines, "\n"), "stays for the time being") {
		t.Errorf("the log has %q", b.monitor.lines)
	}
}
