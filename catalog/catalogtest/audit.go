package catalogtest

import (
	"testing"
	"time"

	"github.com/shieldhq/shield"
)

// auditLog returns the whole log, the oldest first, and checks its chain.
func auditLog(t testing.TB, c shield.Catalog) []*shield.AuditEntry {
	t.Helper()
	all, err := c.AuditLog(t.Context(), shield.AuditFilter{Behind: new(int64)})
	must(t, err)
	var before *shield.AuditEntry
	for _, e := range all {
		must(t, e.Follows(before))
		before = e
	}
	return all
}

func testAudit(t *testing.T, open func(t testing.TB) shield.Catalog) {
	c, ctx := open(t), t.Context()
	if all := auditLog(t, c); len(all) != 0 {
		t.Fatalf("a new log has %d entries", len(all))
	}
	for n := range 3 {
		e := &shield.AuditEntry{At: epoch().Add(time.Duration(n)*time.Minute + 999*time.Microsecond), Who: "ann", Action: "login", Object: "a\x00b\n\xff<\u2028", Result: shield.AuditDone}
		must(t, c.Audit(ctx, e))
		got := auditLog(t, c)
		wantSame(t, "entry", got[n], e)
	}
	must(t, c.Audit(ctx, &shield.AuditEntry{Who: "bob", Action: "create-target", Result: string(shield.Forbidden)}))
	wantCode(t, c.Audit(ctx, &shield.AuditEntry{Who: "bob"}), shield.Invalid, "action")
	two := int64(2)
	for _, test := range []struct {
		filter shield.AuditFilter
		want   []int64
	}{
		{shield.AuditFilter{}, []int64{4, 3, 2, 1}},
		{shield.AuditFilter{Limit: 2}, []int64{4, 3}},
		{shield.AuditFilter{Behind: &two}, []int64{3, 4}},
		{shield.AuditFilter{Behind: new(int64), Limit: 1}, []int64{1}},
		{shield.AuditFilter{Who: "ann", Limit: 1}, []int64{3}},
		{shield.AuditFilter{Who: "x\xff"}, nil},
		{shield.AuditFilter{After: epoch().Add(time.Minute), Before: epoch().Add(2 * time.Minute)}, []int64{2}},
	} {
		list, err := c.AuditLog(ctx, test.filter)
		must(t, err)
		var ids []int64
		for _, e := range list {
			ids = append(ids, e.ID)
		}
		wantSame(t, "log", ids, test.want)
	}
	testDeeds(t, open)
}

// testDeeds checks that a change and what the log says of it are written
// together or not at all.
func testDeeds(t *testing.T, open func(t testing.TB) shield.Catalog) {
	f := newFixture(t, open)
	deed := func() (*shield.Deed, func(error) int) {
		d := shield.NewDeed(shield.AuditEntry{Who: "ann", From: "192.0.2.1", Action: "x", Object: "y"})
		return d, func(err error) int {
			t.Helper()
			must(t, err)
			return len(auditLog(t, f))
		}
	}
	d, entries := deed()
	ctx := shield.WithDeed(f.ctx, d)
	made := newTarget("audited")
	if n := entries(f.CreateTarget(ctx, made)); n != 1 {
		t.Fatalf("%d entries after a change, want 1", n)
	}
	if e := auditLog(t, f)[0]; e.Who != "ann" || e.From != "192.0.2.1" || e.Object != "target audited "+made.UUID || e.Result != shield.AuditDone {
		t.Errorf("the entry is %+v", e)
	}
	if n := entries(f.DeleteTarget(ctx, "audited")); n != 1 || d.Entry() != nil {
		t.Errorf("%d entries after the second change of a deed, want 1", n)
	}
	d, _ = deed()
	ctx = shield.WithDeed(f.ctx, d)
	wantCode(t, f.CreateTarget(ctx, newTarget("prod")), shield.Conflict, "name")
	if n := entries(nil); n != 1 || d.Entry() == nil {
		t.Errorf("%d entries after a change that failed, want 1", n)
	}
	if n := entries(f.CreateTask(ctx, f.newTask())); n != 2 {
		t.Errorf("%d entries after a task, want 2", n)
	}
}
