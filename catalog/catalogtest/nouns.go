package catalogtest

import (
	"context"
	"testing"

	"github.com/google/uuid"

	"github.com/shieldhq/shield"
)

// methods are those of one service of nouns, so that one test serves all.
type methods[N any] struct {
	made    func(name string) *N
	meta    func(*N) *shield.Meta
	spoil   func(*N) // makes it invalid
	field   string   // the field that is then wrong
	create  func(context.Context, *N) error
	get     func(context.Context, string) (*N, error)
	list    func(context.Context, shield.Filter) ([]*N, error)
	update  func(context.Context, *N) error
	remove  func(context.Context, string) error
	missing string // what a filter by this plugin leaves; empty if it has none
}

func testNouns(t *testing.T, open func(t testing.TB) shield.Catalog) {
	t.Run("Target", func(t *testing.T) {
		c := open(t)
		testNoun(t, methods[shield.Target]{
			made: newTarget, meta: func(n *shield.Target) *shield.Meta { return &n.Meta },
			spoil: func(n *shield.Target) { n.Endpoint = shield.Endpoint("[]") }, field: "endpoint",
			create: c.CreateTarget, get: c.Target, list: c.Targets, update: c.UpdateTarget, remove: c.DeleteTarget,
			missing: "postgres",
		})
	})
	t.Run("Store", func(t *testing.T) {
		c := open(t)
		testNoun(t, methods[shield.Store]{
			made: newStore, meta: func(n *shield.Store) *shield.Meta { return &n.Meta },
			spoil: func(n *shield.Store) { n.Plugin = "" }, field: "plugin",
			create: c.CreateStore, get: c.Store, list: c.Stores, update: c.UpdateStore, remove: c.DeleteStore,
			missing: "s3",
		})
	})
	t.Run("Schedule", func(t *testing.T) {
		c := open(t)
		testNoun(t, methods[shield.Schedule]{
			made: newSchedule, meta: func(n *shield.Schedule) *shield.Meta { return &n.Meta },
			spoil: func(n *shield.Schedule) { n.Timespec = "" }, field: "timespec",
			create: c.CreateSchedule, get: c.Schedule, list: c.Schedules, update: c.UpdateSchedule, remove: c.DeleteSchedule,
		})
	})
	t.Run("Policy", func(t *testing.T) {
		c := open(t)
		testNoun(t, methods[shield.Policy]{
			made: newPolicy, meta: func(n *shield.Policy) *shield.Meta { return &n.Meta },
			spoil: func(n *shield.Policy) { n.Expiry = -1 }, field: "expiry",
			create: c.CreatePolicy, get: c.Policy, list: c.Policies, update: c.UpdatePolicy, remove: c.DeletePolicy,
		})
	})
	t.Run("Job", func(t *testing.T) {
		f := newFixture(t, open)
		must(t, f.DeleteJob(f.ctx, "nightly"))
		testNoun(t, methods[shield.Job]{
			made:  func(name string) *shield.Job { return newJob(name, "prod") },
			meta:  func(n *shield.Job) *shield.Meta { return &n.Meta },
			spoil: func(n *shield.Job) { n.Priority = 101 }, field: "priority",
			create: f.CreateJob, get: f.Job, list: f.Jobs, update: f.UpdateJob, remove: f.DeleteJob,
		})
	})
}

func testNoun[N any](t *testing.T, m methods[N]) {
	ctx := context.Background()
	n := m.made("b")
	must(t, m.create(ctx, n))
	checkMade(t, m, n)
	testNounCreate(t, m, n)
	testNounList(t, m)
	testNounUpdate(t, m, n)
	testNounDelete(t, m, n)
}

// checkMade checks what a creation sets and that it is what is read.
func checkMade[N any](t *testing.T, m methods[N], n *N) {
	meta := m.meta(n)
	if !shield.IsUUID(meta.UUID) || meta.Version != 1 || meta.CreatedAt.IsZero() || !meta.CreatedAt.Equal(meta.UpdatedAt) {
		t.Errorf("created with %+v, want a UUID, version 1 and the time", *meta)
	}
	for _, ref := range []string{meta.UUID, meta.Name} {
		got, err := m.get(context.Background(), ref)
		must(t, err)
		wantSame(t, "read by "+ref, got, n)
	}
}

func testNounCreate[N any](t *testing.T, m methods[N], n *N) {
	ctx := context.Background()
	wantCode(t, m.create(ctx, m.made("b")), shield.Conflict, "name")
	same := m.made("other")
	m.meta(same).UUID = m.meta(n).UUID
	wantCode(t, m.create(ctx, same), shield.Conflict, "uuid")
	odd := m.made("other")
	m.meta(odd).UUID = "not a uuid"
	wantCode(t, m.create(ctx, odd), shield.Invalid, "uuid")
	bad := m.made("bad")
	m.spoil(bad)
	wantCode(t, m.create(ctx, bad), shield.Invalid, m.field)
	if m.meta(bad).UUID != "" || m.meta(bad).Version != 0 {
		t.Errorf("a failed creation changed its argument: %+v", *m.meta(bad))
	}
	for _, ref := range []string{"", "B", "b ", "b\x00", unknownUUID()} {
		_, err := m.get(ctx, ref)
		wantCode(t, err, shield.NotFound, "")
	}
	given := m.made("given")
	m.meta(given).UUID = uuid.NewString()
	must(t, m.create(ctx, given))
	checkMade(t, m, given)
}

func testNounList[N any](t *testing.T, m methods[N]) {
	ctx := context.Background()
	must(t, m.create(ctx, m.made("a")))
	must(t, m.create(ctx, m.made("A")))
	no, yes := false, true
	type test struct {
		filter shield.Filter
		want   []string
	}
	tests := []test{
		{shield.Filter{}, []string{"A", "a", "b", "given"}},
		{shield.Filter{Name: "a"}, []string{"a"}},
		{shield.Filter{Name: "a' OR 1=1"}, []string{}},
		{shield.Filter{Name: "a\xff"}, []string{}},
		{shield.Filter{Limit: 2}, []string{"A", "a"}},
	}
	if m.missing != "" {
		tests = append(tests,
			test{shield.Filter{Plugin: m.missing, Limit: 1}, []string{"A"}},
			test{shield.Filter{Plugin: "other"}, []string{}},
			test{shield.Filter{Used: &no, Limit: 1}, []string{"A"}},
			test{shield.Filter{Used: &yes}, []string{}})
	}
	for _, test := range tests {
		list, err := m.list(ctx, test.filter)
		wantSame(t, "list", column(t, list, err, func(n *N) string { return m.meta(n).Name }), test.want)
	}
}

func testNounUpdate[N any](t *testing.T, m methods[N], n *N) {
	ctx := context.Background()
	stale := *n
	m.meta(n).Summary = "changed"
	m.meta(n).Name = "renamed"
	must(t, m.update(ctx, n))
	if m.meta(n).Version != 2 {
		t.Errorf("version is %d after one change, want 2", m.meta(n).Version)
	}
	got, err := m.get(ctx, "renamed")
	must(t, err)
	wantSame(t, "updated", got, n)
	wantCode(t, m.update(ctx, &stale), shield.Conflict, "version")
	m.meta(&stale).Version = 0
	must(t, m.update(ctx, &stale))
	taken := stale
	m.meta(&taken).Name = "a"
	wantCode(t, m.update(ctx, &taken), shield.Conflict, "name")
	bad := stale
	m.spoil(&bad)
	wantCode(t, m.update(ctx, &bad), shield.Invalid, m.field)
	for _, id := range []string{"", "a", unknownUUID()} {
		unknown := stale
		m.meta(&unknown).UUID = id
		wantCode(t, m.update(ctx, &unknown), shield.NotFound, "")
	}
	*n = stale
}

func testNounDelete[N any](t *testing.T, m methods[N], n *N) {
	ctx := context.Background()
	wantCode(t, m.remove(ctx, "no such"), shield.NotFound, "")
	must(t, m.remove(ctx, m.meta(n).UUID))
	must(t, m.remove(ctx, "A"))
	wantCode(t, m.remove(ctx, "A"), shield.NotFound, "")
	_, err := m.get(ctx, m.meta(n).UUID)
	wantCode(t, err, shield.NotFound, "")
	must(t, m.create(ctx, m.made("A"))) // the name is free again
}
