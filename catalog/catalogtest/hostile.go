package catalogtest

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/shieldhq/shield"
)

func testHostile(t *testing.T, open func(t testing.TB) shield.Catalog) {
	t.Run("GoodNames", func(t *testing.T) { testGoodNames(t, newFixture(t, open)) })
	t.Run("BadNames", func(t *testing.T) { testBadNames(t, newFixture(t, open)) })
	t.Run("Big", func(t *testing.T) { testBig(t, newFixture(t, open)) })
	t.Run("Secrets", func(t *testing.T) { testSecrets(t, newFixture(t, open)) })
}

// testGoodNames takes names that are odd but allowed through the whole life of
// a target.
func testGoodNames(t *testing.T, f *fixture) {
	for _, name := range []string{
		`'; DROP TABLE targets; --`, `"`, "`", "?", "?0", "?TableAlias", "%s%n", `\'`, "/* */", "NULL", "0", "-1",
		"a?b = ?", "日本語", "e\u0301", "\u00e9", "😀", "\u202egnp", "\ufffd", "[x]", "*", "$1", ":a", "@a",
		strings.Repeat("n", shield.NameLimit), "FFFFFFFF-FFFF-4FFF-8FFF-FFFFFFFFFFFF",
	} {
		made := newTarget(name)
		made.Summary = name
		must(t, f.CreateTarget(f.ctx, made))
		got, err := f.Target(f.ctx, name)
		must(t, err)
		wantSame(t, "target", got, made)
		list, err := f.Targets(f.ctx, shield.Filter{Name: name})
		wantSame(t, "found", column(t, list, err, func(t *shield.Target) string { return t.UUID }), []string{made.UUID})
		j := f.addJob(name, name)
		wantSame(t, "target of the job", j.TargetName, name)
		wantInUse(t, f.DeleteTarget(f.ctx, name), "job "+name)
		must(t, f.DeleteJob(f.ctx, name))
		must(t, f.DeleteTarget(f.ctx, name))
	}
}

func testBadNames(t *testing.T, f *fixture) {
	for _, name := range []string{
		"", " a", "a\n", "\x00", "a\x00b", "a\x1b[2J", "\xff", "prod\xff", strings.Repeat("n", 1<<20), unknownUUID(),
	} {
		wantCode(t, f.CreateTarget(f.ctx, newTarget(name)), shield.Invalid, "name")
		bad := *f.target
		bad.Name = name
		wantCode(t, f.UpdateTarget(f.ctx, &bad), shield.Invalid, "name")
		_, err := f.Target(f.ctx, name)
		wantCode(t, err, shield.NotFound, "")
		wantCode(t, f.DeleteTarget(f.ctx, name), shield.NotFound, "")
		if len(err.Error()) > 1000 {
			t.Errorf("the error for a name of %d bytes has %d bytes", len(name), len(err.Error()))
		}
	}
	agent := newTarget("x")
	agent.Agent = "\x00"
	wantCode(t, f.CreateTarget(f.ctx, agent), shield.Invalid, "agent")
}

func testBig(t *testing.T, f *fixture) {
	big := newTarget("big")
	big.Endpoint = shield.Endpoint(fmt.Sprintf(`{"a":"%s"}`, strings.Repeat("'", shield.EndpointLimit-8)))
	must(t, f.CreateTarget(f.ctx, big))
	got, err := f.Target(f.ctx, "big")
	must(t, err)
	if string(got.Endpoint) != string(big.Endpoint) {
		t.Error("a large endpoint came back changed")
	}
	big.Endpoint = append(big.Endpoint, ' ')
	wantCode(t, f.UpdateTarget(f.ctx, big), shield.Invalid, "endpoint")

	f.addTask()
	task, l := f.claim(epoch())
	log := strings.Repeat("2026-03-04T05:06:07.891Z target it's ?\n", 1<<15)
	must(t, f.RenewTask(f.ctx, task.UUID, l, log))
	stored, err := f.Task(f.ctx, task.UUID)
	must(t, err)
	if stored.Log != log {
		t.Errorf("a log of %d bytes came back as %d bytes", len(log), len(stored.Log))
	}
}

// testSecrets checks that no error shows what an endpoint holds.
func testSecrets(t *testing.T, f *fixture) {
	bad := newTarget("x")
	bad.Endpoint = shield.Endpoint(`{"password":"hunter2` + "\xff" + `"}`)
	task := f.newTask()
	task.TargetEndpoint = bad.Endpoint
	taken := newTarget("prod")
	taken.Endpoint = shield.Endpoint(`{"password":"hunter2"}`)
	ctx, cancel := context.WithCancel(f.ctx)
	cancel()
	for _, err := range []error{
		f.CreateTarget(f.ctx, bad), f.CreateTask(f.ctx, task), f.CreateTarget(f.ctx, taken), f.CreateTarget(ctx, taken),
	} {
		if err == nil || strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err), "hunter2") {
			t.Errorf("error %v is missing or shows the endpoint", err)
		}
	}
}

func testContext(t *testing.T, open func(t testing.TB) shield.Catalog) {
	f := newFixture(t, open)
	canceled, cancel := context.WithCancel(f.ctx)
	cancel()
	late, cancel := context.WithDeadline(f.ctx, time.Unix(1, 0))
	defer cancel()
	for ctx, code := range map[context.Context]shield.Code{canceled: shield.Canceled, late: shield.TimedOut} {
		_, err := f.Target(ctx, "prod")
		wantCode(t, err, code, "")
		wantCode(t, f.CreateTarget(ctx, newTarget("x")), code, "")
		_, err = f.ClaimTask(ctx, leaseOf("core", epoch()), epoch())
		wantCode(t, err, code, "")
	}
	if _, err := f.Target(f.ctx, "x"); shield.CodeOf(err) != shield.NotFound {
		t.Errorf("a canceled creation left something: %v", err)
	}
	must(t, f.Close())
	must(t, f.Close())
	_, err := f.Target(f.ctx, "prod")
	wantCode(t, err, shield.Unavailable, "")
	wantCode(t, f.CreateTarget(f.ctx, newTarget("x")), shield.Unavailable, "")
}
