package catalogtest

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/shieldhq/shield"
)

func module(name, digit string) *shield.Module {
	return &shield.Module{
		Name: name, Digest: "sha256:" + strings.Repeat(digit, 64), Version: "1." + digit,
		Info: json.RawMessage(`{"name":"x"}`), Grant: json.RawMessage(`{}`),
	}
}

func testModules(t *testing.T, open func(t testing.TB) shield.Catalog) {
	f := newFixture(t, open)
	one, two := module(f.target.Plugin, "1"), module(f.target.Plugin, "2")
	for _, m := range []*shield.Module{one, two} {
		if err := f.InstallModule(f.ctx, m); err != nil {
			t.Fatal(err)
		}
	}
	all, err := f.Modules(f.ctx)
	if err != nil || len(all) != 2 || all[0].Digest != two.Digest || !all[0].Current || all[1].Current {
		t.Fatalf("after an upgrade: %+v, %v", all, err)
	}
	if err := f.GrantModule(f.ctx, one.Name, json.RawMessage(`{"tcp":["*:5432"]}`)); err != nil {
		t.Fatal(err)
	}
	all, err = f.Modules(f.ctx)
	if err != nil || string(all[0].Grant) != `{"tcp":["*:5432"]}` || string(all[1].Grant) != string(all[0].Grant) {
		t.Errorf("after a grant: %+v, %v", all, err)
	}
	testModuleInTask(t, f, two)
	if err := f.RemoveModule(f.ctx, two.Name, two.Digest); err != nil {
		t.Errorf("removing one that nothing needs: %v", err)
	}
	err = f.RemoveModule(f.ctx, one.Name, one.Digest)
	if !errors.Is(err, shield.InUse) || !strings.Contains(err.Error(), "target") {
		t.Errorf("removing the last one that targets use: %v, want InUse", err)
	}
	testModuleErrors(t, f)
}

// testModuleInTask checks that a module outlives the tasks of its plugin: one
// may have begun with it, and be about to make an archive that needs it.
func testModuleInTask(t *testing.T, f *fixture, m *shield.Module) {
	f.addTask()
	task, lease := f.claim(epoch())
	err := f.RemoveModule(f.ctx, m.Name, m.Digest)
	if !errors.Is(err, shield.InUse) || !strings.Contains(err.Error(), "1 running task") {
		t.Errorf("removing one that a running task may use: %v, want InUse", err)
	}
	must(t, f.FinishTask(f.ctx, task.UUID, lease, shield.Outcome{Status: shield.TaskFailed, StoppedAt: epoch(), Error: "x"}))
}

func testModuleErrors(t *testing.T, f *fixture) {
	bad := module("x", "1")
	bad.Digest = "md5:1"
	noJSON := module("x", "1")
	noJSON.Info = json.RawMessage("{")
	for _, m := range []*shield.Module{bad, noJSON, module("", "1"), module("a\x00", "1")} {
		if err := f.InstallModule(f.ctx, m); !errors.Is(err, shield.Invalid) {
			t.Errorf("installing %+v: %v, want Invalid", m, err)
		}
	}
	if err := f.GrantModule(f.ctx, "nobody", json.RawMessage(`{}`)); !errors.Is(err, shield.NotFound) {
		t.Errorf("granting to nobody: %v, want NotFound", err)
	}
	if err := f.RemoveModule(f.ctx, "nobody", "x"); !errors.Is(err, shield.NotFound) {
		t.Errorf("removing nobody: %v, want NotFound", err)
	}
}
