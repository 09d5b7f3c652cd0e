package server_test

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin/plugintest"
	"github.com/shieldhq/shield/server"
)

// found returns what the check of a name came to in a preflight.
func (f *fixture) found(t *shield.Task, check string) shield.Finding {
	f.t.Helper()
	if t.Findings != nil {
		for _, x := range t.Findings.Preflight {
			if x.Check == check {
				return x
			}
		}
	}
	f.t.Fatalf("task %s has found nothing about %s: %+v", t.UUID, check, t.Findings)
	return shield.Finding{}
}

// TestConfirm: a restore overwrites a target only if its name was given, or it
// is there to be overwritten.
func TestConfirm(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.setUp("a")
	f.setUp("b")
	a := f.backup("a")
	content, _ := f.memory.Target("b")
	routes := []string{"/v1/archives/" + a.UUID + "/restore", "/v1/targets/a/restore"}
	for _, path := range routes {
		for _, body := range []string{`{"target":"b"}`, `{"target":"b","confirm":""}`, `{"target":"b","confirm":"a"}`, `{"target":"b","confirm":"B"}`, ``} {
			if p := f.refused(f.do("POST", path, body)); p.Status != 400 || p.Field != "confirm" {
				t.Errorf("%s %s: %+v", path, body, p)
			}
		}
		for _, query := range []string{"?dry_run=perhaps", "?dryrun=true", "?dry_run=true&dry_run=true"} {
			if p := f.refused(f.do("POST", path+query, `{"target":"b","confirm":"b"}`)); p.Status != 400 {
				t.Errorf("%s%s: %+v", path, query, p)
			}
		}
	}
	if now, _ := f.memory.Target("b"); !bytes.Equal(now, content) {
		t.Error("a restore that nobody confirmed has changed its target")
	}
	restores, err := f.catalog.Tasks(t.Context(), shield.Filter{Op: shield.OpRestore})
	f.must(err)
	if len(restores) > 0 {
		t.Errorf("%d restores that were refused have tasks", len(restores))
	}
	for _, path := range routes { // false is what it is without
		if r := f.do("POST", path+"?dry_run=false", `{"target":"b","confirm":"b"}`); r.status != 202 {
			t.Errorf("%s: %d %s", path, r.status, r.body)
		}
	}
	if _, err := f.client.Targets().Edit(t.Context(), "b", map[string]any{"scratch": true}); err != nil {
		t.Fatal(err)
	}
	end := f.wait(f.client.Restore(t.Context(), a.UUID, server.RestoreRequest{Target: "b"}))
	if end.Status != shield.TaskDone || f.found(end, shield.CheckConfirmation).State != shield.FindingOK {
		t.Errorf("restore into a scratch target %s: %s", end.Status, end.Error)
	}
}

// TestDryRun changes nothing, and says what a restore would meet.
func TestDryRun(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ctx := t.Context()
	f.setUp("a")
	first := f.backup("a")
	for time.Now().UTC().Truncate(time.Millisecond).Equal(first.TakenAt) { // archives are told apart by milliseconds
		time.Sleep(time.Millisecond)
	}
	second := f.backup("a")
	f.memory.SetTarget("a", []byte("what is there now"))
	keys := fmt.Sprint(f.memory.Keys("a"))

	end := f.wait(f.client.PreflightRestore(ctx, first.UUID, server.RestoreRequest{}))
	if end.Op != shield.OpPreflight || end.Status != shield.TaskDone || end.TargetName != "a" || end.Archive != first.UUID {
		t.Errorf("dry run of an archive: %+v", end)
	}
	for check, want := range map[string]shield.FindingState{
		shield.CheckConfirmation: shield.FindingWarning, shield.CheckArchive: shield.FindingOK, shield.CheckNewest: shield.FindingOK,
		shield.CheckPlugin: shield.FindingOK, shield.CheckTarget: shield.FindingOK, shield.CheckSpace: shield.FindingSkipped,
		shield.CheckStore: shield.FindingOK,
	} {
		if got := f.found(end, check); got.State != want || got.Text == "" {
			t.Errorf("got %+v, want %s", got, want)
		}
	}
	end = f.wait(f.client.PreflightTarget(ctx, "a", server.RestoreTargetRequest{Confirm: "a"}))
	if end.Status != shield.TaskDone || end.Archive != second.UUID || end.Expected == nil || f.found(end, shield.CheckConfirmation).State != shield.FindingOK {
		t.Errorf("dry run of a target: %+v", end)
	}
	end = f.wait(f.client.PreflightTarget(ctx, "a", server.RestoreTargetRequest{At: first.TakenAt}))
	if end.Archive != first.UUID {
		t.Errorf("dry run of a target at a time: %+v", end)
	}
	if now := fmt.Sprint(f.memory.Keys("a")); now != keys {
		t.Errorf("the store has %s, and had %s", now, keys)
	}
	f.memory.RemoveBlob("a", first.Key)
	end = f.wait(f.client.PreflightRestore(ctx, first.UUID, server.RestoreRequest{}))
	if end.Status != shield.TaskFailed || end.ErrorCode != shield.NotFound || f.found(end, shield.CheckStore).State != shield.FindingFailed {
		t.Errorf("dry run without a blob: %s %s: %s", end.Status, end.ErrorCode, end.Error)
	}
	end = f.wait(f.client.Restore(ctx, first.UUID, server.RestoreRequest{Confirm: "a"}))
	if end.Status != shield.TaskFailed || end.ErrorCode != shield.NotFound {
		t.Errorf("restore without a blob: %s %s: %s", end.Status, end.ErrorCode, end.Error)
	}

	if now, _ := f.memory.Target("a"); string(now) != "what is there now" {
		t.Errorf("the target holds %.20q", now)
	}
	now, err := f.client.Archives().Get(ctx, second.UUID)
	f.must(err)
	if now.Status != shield.ArchiveValid {
		t.Errorf("the archive is %s", now.Status)
	}
}

// TestDryRunRefused: what no restore can be of is answered at once.
func TestDryRunRefused(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ctx := t.Context()
	f.setUp("a")
	f.register("other", plugintest.NewMemory())
	_, err := f.client.Targets().Create(ctx, &shield.Target{Meta: shield.Meta{Name: "other"}, Plugin: "other", Endpoint: shield.Endpoint(`{"name":"x"}`)})
	f.must(err)
	_, err = f.client.PreflightTarget(ctx, "a", server.RestoreTargetRequest{})
	want(t, err, shield.NotFound, "", "no archive that can be restored")
	purged, kept := f.backup("a"), f.backup("a")
	for name, c := range map[string]func(context.Context, string, server.RestoreRequest) (*shield.Task, error){
		"restore": f.client.Restore, "dry run": f.client.PreflightRestore,
	} {
		_, err = c(ctx, kept.UUID, server.RestoreRequest{Target: "other", Confirm: "other"})
		want(t, err, shield.Invalid, "target", "was made by memory")
		_, err = c(ctx, kept.UUID, server.RestoreRequest{Target: "nope"})
		want(t, err, shield.NotFound, "", "nope")
		_, err = c(ctx, kept.UUID, server.RestoreRequest{Confirm: "nope"})
		want(t, err, shield.Invalid, "confirm", `"a": type exactly that name`)
		if t.Failed() {
			t.Errorf("that was a %s", name)
		}
	}
	before := server.RestoreTargetRequest{At: purged.TakenAt.Add(-time.Hour), Confirm: "a"}
	_, err = f.client.PreflightTarget(ctx, "a", before)
	want(t, err, shield.NotFound, "at", "the oldest is from")
	_, err = f.client.RestoreTarget(ctx, "a", before)
	want(t, err, shield.NotFound, "at", "the oldest is from")

	f.faulty.Set(plugintest.DeleteHangs, 0)
	task, err := f.client.PurgeArchive(ctx, purged.UUID)
	f.must(err)
	_, err = f.client.PreflightRestore(ctx, purged.UUID, server.RestoreRequest{Confirm: "a"})
	want(t, err, shield.Conflict, "", "is purging")
	_, err = f.client.Restore(ctx, purged.UUID, server.RestoreRequest{Confirm: "a"})
	want(t, err, shield.Conflict, "", "is purging")
	_, err = f.client.CancelTask(ctx, task.UUID)
	f.must(err)
	f.wait(task, nil)
	f.faulty.Clear()
	f.wait(f.client.PurgeArchive(ctx, purged.UUID))
	_, err = f.client.PreflightRestore(ctx, purged.UUID, server.RestoreRequest{Confirm: "a"})
	want(t, err, shield.Conflict, "", "is purged")
}
