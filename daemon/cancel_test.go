package daemon_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/daemon"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugin/plugintest"
	"github.com/shieldhq/shield/server"
)

// faultySystem is a daemon in this process whose job "db" backs up a target
// of 3 MiB into a store, both of them in memory and as faulty as is wanted.
func faultySystem(t *testing.T) (*system, *plugintest.Memory, *plugintest.Faulty) {
	t.Helper()
	memory := plugintest.NewMemory()
	memory.GenerateTarget("db", 3<<20, 1)
	faulty := plugintest.NewFaulty(memory)
	ctx := t.Context()
	d := run(t, daemon.Config{
		Data: t.TempDir(), Listen: "127.0.0.1:0", Grace: 5 * time.Second, Plugins: map[string]plugin.Opener{"memory": faulty},
	})
	api, err := server.NewClient(d.URL(), d.Token())
	s := &system{t: t, api: api}
	s.check(err)
	meta := shield.Meta{Name: "db"}
	_, err = s.api.Targets().Create(ctx, &shield.Target{Meta: meta, Plugin: "memory", Endpoint: shield.Endpoint(`{"name":"db"}`)})
	s.check(err)
	_, err = s.api.Stores().Create(ctx, &shield.Store{Meta: meta, Plugin: "memory", Endpoint: shield.Endpoint(`{"name":"vault"}`)})
	s.check(err)
	_, err = s.api.Schedules().Create(ctx, &shield.Schedule{Meta: meta, Timespec: "daily 4am"})
	s.check(err)
	_, err = s.api.Policies().Create(ctx, &shield.Policy{Meta: meta, Expiry: 86400})
	s.check(err)
	_, err = s.api.Jobs().Create(ctx, &shield.Job{Meta: meta, Target: "db", Store: "db", Schedule: "db", Policy: "db", Paused: true})
	s.check(err)
	return s, memory, faulty
}

// TestCancelAtEachStage cancels a backup at each stage of its life: it ends as
// canceled, leaves nothing, and the next one succeeds.
func TestCancelAtEachStage(t *testing.T) {
	any := func(string) bool { return true }
	manifest := func(key string) bool { return strings.HasSuffix(key, shield.ManifestSuffix) }
	for _, c := range []struct {
		stage string
		fault plugintest.Fault
		n     int64
		where func(key string) bool
	}{
		{"claimed, the target is asked", plugintest.ProbeHangs, 0, any},
		{"before the first byte", plugintest.TargetHangsAfter, 0, any},
		{"in the middle", plugintest.TargetHangsAfter, 2 << 20, any},
		{"the store hangs in the middle", plugintest.PutHangsAfter, 1 << 20, any},
		{"all is read, before the store confirms", plugintest.PutHangsAfter, 4 << 20, any},
		{"at the confirmation", plugintest.ListHangs, 0, any},
		{"at the commit", plugintest.PutHangsAfter, 0, manifest},
		{"after the commit, when it is read back", plugintest.GetHangsAfter, 0, manifest},
	} {
		t.Run(c.stage, func(t *testing.T) {
			t.Parallel()
			s, memory, faulty := faultySystem(t)
			faulty.SetWhere(c.fault, c.n, c.where)
			task, err := s.api.RunJob(t.Context(), "db")
			s.check(err)
			s.eventually("the backup is there", func() bool { return faulty.Hits(c.fault) > 0 })
			faulty.Clear() // the call that hangs goes on hanging, those that clean up do not
			_, err = s.api.CancelTask(t.Context(), task.UUID)
			s.check(err)
			got := s.wait(task)
			if got.Status != shield.TaskCanceled || got.ErrorCode != shield.Canceled || got.Error != "canceled on request" {
				t.Errorf("the task is %s, %s: %s\n%s", got.Status, got.ErrorCode, got.Error, got.Log)
			}
			if keys, archives := memory.Keys("vault"), s.archives(); len(keys) > 0 || len(archives) > 0 {
				t.Errorf("it left %q in the store and %d archives", keys, len(archives))
			}
			if _, err := s.api.CancelTask(t.Context(), task.UUID); !errors.Is(err, shield.Conflict) {
				t.Errorf("canceling it twice: %v, want a conflict", err)
			}
			if next := s.run("db"); next.Status != shield.TaskDone {
				t.Fatalf("the next backup is %s: %s", next.Status, next.Error)
			}
			a := s.archives()
			if len(a) != 1 || !slices.Equal(memory.Keys("vault"), []string{a[0].Key, a[0].ManifestKey}) {
				t.Errorf("%d archives, and %q in the store", len(a), memory.Keys("vault"))
			}
		})
	}
}

// TestCancelPending cancels a backup that waits for the one before it.
func TestCancelPending(t *testing.T) {
	s, memory, faulty := faultySystem(t)
	faulty.Set(plugintest.TargetHangsAfter, 0)
	first, err := s.api.RunJob(t.Context(), "db")
	s.check(err)
	s.eventually("the first backup is there", func() bool { return faulty.Hits(plugintest.TargetHangsAfter) > 0 })
	second, err := s.api.RunJob(t.Context(), "db")
	s.check(err)
	for _, task := range []*shield.Task{second, first} {
		_, err := s.api.CancelTask(t.Context(), task.UUID)
		s.check(err)
		if got := s.wait(task); got.Status != shield.TaskCanceled || got.Error != "canceled on request" {
			t.Errorf("the task is %s: %s", got.Status, got.Error)
		}
	}
	if n := faulty.Hits(plugintest.TargetHangsAfter); n != 1 || len(memory.Keys("vault")) > 0 {
		t.Errorf("%d backups began, and %q is in the store", n, memory.Keys("vault"))
	}
}
