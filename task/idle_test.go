package task_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin/plugintest"
	"github.com/shieldhq/shield/task"
)

// TestIdleTimeoutOfTask: the task's own counts, whether it is shorter or longer
// than the runner's.
func TestIdleTimeoutOfTask(t *testing.T) {
	for _, c := range []struct {
		name   string
		runner time.Duration
		task   int64
		want   time.Duration
		text   string
	}{
		{"shorter", time.Hour, 5, 5 * time.Second, "no byte moved for 5s"},
		{"longer", time.Second, 60, time.Minute, "no byte moved for 1m0s"},
		{"the runner's", time.Minute, 0, time.Minute, "no byte moved for 1m0s"},
	} {
		for _, f := range []struct {
			fault plugintest.Fault
			text  string
		}{
			{plugintest.TargetHangsAfter, "backup: target db (memory) hangs: "},
			{plugintest.PutHangsAfter, "backup: store vault (memory) hangs: "},
		} {
			t.Run(c.name+", "+string(f.fault), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					b := newBench(t, func(o *task.Options) { o.IdleTimeout = c.runner })
					b.faulty.Set(f.fault, 200_000)
					job := backupTask()
					job.IdleTimeout = c.task
					began := time.Now()
					_, err := b.runner.Run(t.Context(), job, &b.monitor)
					if !errors.Is(err, shield.TimedOut) || !strings.HasPrefix(err.Error(), f.text+c.text) {
						t.Errorf("got %v, want timed out with %q", err, f.text+c.text)
					}
					if took := time.Since(began); took < c.want || took > c.want+time.Second {
						t.Errorf("it was ended after %s, want %s", took, c.want)
					}
					if left := b.memory.Keys("vault"); len(left) > 0 {
						t.Errorf("the store has %q", left)
					}
				})
			})
		}
	}
}

// TestThrottledIsNotIdle: twenty backups share a store's limit, so that each
// waits for seconds between two pieces. None of them hangs.
func TestThrottledIsNotIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.memory.GenerateTarget("db", 2000, 1)
		var backups sync.WaitGroup
		store, began := backupTask(), time.Now()
		for range 20 {
			backups.Go(func() {
				job := backupTask()
				job.Store, job.StoreLimit, job.IdleTimeout = store.Store, shield.Limit{Up: "1KiB"}, 1
				if _, err := b.runner.Run(t.Context(), job, &b.monitor); err != nil {
					t.Errorf("got %v", err)
				}
			})
		}
		backups.Wait()
		if took := time.Since(began); took < 40*time.Second {
			t.Errorf("it took %s: the limit did not hold, and the test proves nothing", took)
		}
	})
}
