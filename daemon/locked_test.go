package daemon_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/daemon"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugin/plugintest"
	"github.com/shieldhq/shield/server"
)

// TestLockedArchive takes an archive into a store that keeps it until it
// expires, and deletes it: it goes when it can.
func TestLockedArchive(t *testing.T) {
	memory := plugintest.NewMemory()
	memory.GenerateTarget("db", 1<<20, 1)
	ctx := t.Context()
	d := run(t, daemon.Config{Data: t.TempDir(), Listen: "127.0.0.1:0", Plugins: map[string]plugin.Opener{"memory": memory}})
	api, err := server.NewClient(d.URL(), d.Token())
	if err != nil {
		t.Fatal(err)
	}
	s := &system{t: t, api: api}
	meta := shield.Meta{Name: "db"}
	_, err = api.Targets().Create(ctx, &shield.Target{Meta: meta, Plugin: "memory", Endpoint: shield.Endpoint(`{"name":"db"}`)})
	s.check(err)
	_, err = api.Stores().Create(ctx, &shield.Store{Meta: meta, Plugin: "memory", Endpoint: shield.Endpoint(`{"name":"vault","lock":true}`), Limit: shield.Limit{Up: "100MiB"}})
	s.check(err)
	_, err = api.Schedules().Create(ctx, &shield.Schedule{Meta: meta, Timespec: "daily 4am"})
	s.check(err)
	_, err = api.Policies().Create(ctx, &shield.Policy{Meta: meta, Expiry: 86400})
	s.check(err)
	_, err = api.Jobs().Create(ctx, &shield.Job{Meta: meta, Target: "db", Store: "db", Schedule: "db", Policy: "db"})
	s.check(err)

	task := s.run("db")
	if task.Status != shield.TaskDone {
		t.Fatalf("the backup is %s: %s", task.Status, task.Error)
	}
	a, err := api.Archives().Get(ctx, task.Archive)
	s.check(err)
	if a.Counts["bytes"] != 1<<20 || a.Versions["memory"] == "" {
		t.Errorf("the archive says %v and %v", a.Counts, a.Versions)
	}
	purge, err := api.PurgeArchive(ctx, a.UUID)
	s.check(err)
	purge = s.wait(purge)
	until := a.ExpiresAt.Truncate(time.Second).Format(time.RFC3339)
	if !purge.Waits() || !strings.Contains(purge.Error, until) || len(memory.Keys("vault")) != 2 {
		t.Errorf("the purge is %s: %q; want that it waits until %s", purge.Status, purge.Error, until)
	}
	if _, err := api.PurgeArchive(ctx, a.UUID); !errors.Is(err, shield.Conflict) {
		t.Errorf("deleting it again: %v", err)
	}
	if a, err = api.Archives().Get(ctx, a.UUID); err != nil || a.Status != shield.ArchivePurging {
		t.Errorf("the archive is %s, %v", a.Status, err)
	}
	// A probe and a test of the target, and a check of the store, all at once.
	probe, err := api.ProbeTarget(ctx, "db")
	s.check(err)
	if probe = s.wait(probe); probe.Findings == nil || probe.Findings.Counts["bytes"] != 1<<20 {
		t.Errorf("the probe is %s with %+v", probe.Status, probe.Findings)
	}
	test, err := api.TestTarget(ctx, "db")
	s.check(err)
	if test = s.wait(test); test.Status != shield.TaskDone {
		t.Errorf("the test is %s: %s", test.Status, test.Error)
	}
	check, err := api.CheckStore(ctx, "db")
	s.check(err)
	if check = s.wait(check); check.Status != shield.TaskDone || len(check.Findings.Checks) < 15 || len(memory.Keys("vault")) != 2 {
		t.Errorf("the check is %s: %s; the store has %q", check.Status, check.Error, memory.Keys("vault"))
	}
}
