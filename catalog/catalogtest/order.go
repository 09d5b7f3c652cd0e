package catalogtest

import (
	"strings"
	"testing"
	"time"

	"github.com/shieldhq/shield"
)

// testOrder sorts lists and begins them at positions.
func testOrder(t *testing.T, open func(t testing.TB) shield.Catalog) {
	f := newFixture(t, open)
	first := f.addArchive(epoch())
	second := f.addArchive(epoch()) // at the same time
	third := f.addArchive(epoch().Add(time.Hour))
	uuids := map[string]string{first.UUID: "1", second.UUID: "2", third.UUID: "3"}
	at := func(a *shield.Archive) *shield.Position {
		return &shield.Position{Value: a.TakenAt.Format(time.RFC3339Nano), ID: a.UUID}
	}
	for _, test := range []struct {
		filter shield.Filter
		want   string
	}{
		{shield.Filter{}, "321"},
		{shield.Filter{Sort: "-taken_at"}, "321"},
		{shield.Filter{Sort: "taken_at"}, "123"},
		{shield.Filter{Sort: "taken_at", Limit: 1}, "1"},
		{shield.Filter{From: at(third)}, "21"},
		{shield.Filter{From: at(second), Limit: 1}, "1"},
		{shield.Filter{From: at(first)}, ""},
		{shield.Filter{Sort: "taken_at", From: at(first)}, "23"},
		{shield.Filter{Sort: "taken_at", From: at(first), Before: third.TakenAt}, "2"},
		// What a position was of is gone: what is equal to it comes again.
		{shield.Filter{Sort: "taken_at", From: &shield.Position{Value: at(first).Value, ID: unknownUUID()}}, "123"},
		{shield.Filter{From: &shield.Position{Value: at(first).Value, ID: unknownUUID()}}, "21"},
		{shield.Filter{From: &shield.Position{Value: at(first).Value, ID: "\x00"}}, ""},
	} {
		list, err := f.Archives(f.ctx, test.filter)
		got := column(t, list, err, func(a *shield.Archive) string { return uuids[a.UUID] })
		wantSame(t, "archives", strings.Join(got, ""), test.want)
	}
	f.addTarget("b")
	f.addTarget("a")
	list, err := f.Targets(f.ctx, shield.Filter{Sort: "-name", From: &shield.Position{Value: "b", ID: unknownUUID()}, Limit: 1})
	wantSame(t, "targets", column(t, list, err, func(n *shield.Target) string { return n.Name }), []string{"b"})
	_, err = f.Targets(f.ctx, shield.Filter{Sort: "endpoint"})
	wantCode(t, err, shield.Invalid, "sort")
	_, err = f.Archives(f.ctx, shield.Filter{From: &shield.Position{Value: "yesterday", ID: first.UUID}})
	wantCode(t, err, shield.Invalid, "cursor")
	_, err = f.Events(f.ctx, shield.Filter{From: &shield.Position{Value: at(first).Value, ID: first.UUID}})
	wantCode(t, err, shield.Invalid, "cursor")
}
