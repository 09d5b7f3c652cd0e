package catalogtest

import (
	"strings"
	"testing"
	"time"

	"github.com/shieldhq/shield"
)

func testArchives(t *testing.T, open func(t testing.TB) shield.Catalog) {
	t.Run("Made", func(t *testing.T) { testArchiveMade(t, newFixture(t, open)) })
	t.Run("Update", func(t *testing.T) { testArchiveUpdate(t, newFixture(t, open)) })
	t.Run("Suspicious", func(t *testing.T) { testArchiveSuspicious(t, newFixture(t, open)) })
	t.Run("Stale", func(t *testing.T) { testArchiveStale(t, newFixture(t, open)) })
	t.Run("Version", func(t *testing.T) { testArchiveVersion(t, newFixture(t, open)) })
	t.Run("Review", func(t *testing.T) { testReviews(t, newFixture(t, open)) })
	t.Run("ToPurge", func(t *testing.T) { testToPurge(t, newFixture(t, open)) })
	t.Run("Filter", func(t *testing.T) { testArchiveFilter(t, newFixture(t, open)) })
}

func testArchiveMade(t *testing.T, f *fixture) {
	taken := epoch().Add(123456 * time.Nanosecond)
	a := f.addArchive(taken, func(t *shield.Task) { t.Job = f.job.UUID })
	if !a.TakenAt.Equal(epoch()) || !a.ExpiresAt.Equal(epoch().Add(f.policy.Retention())) {
		t.Errorf("taken at %v, expires at %v: want %v and a month later, in whole milliseconds", a.TakenAt, a.ExpiresAt, epoch())
	}
	if a.Target != f.target.UUID || a.TargetName != "prod" || a.Store != f.store.UUID || a.Job != f.job.UUID || a.Status != shield.ArchiveValid {
		t.Errorf("archive %+v does not have what its task has", a)
	}
	got, err := f.Archive(f.ctx, a.UUID)
	must(t, err)
	wantSame(t, "archive", got, a)
	for _, ref := range []string{"", "prod", unknownUUID(), "\xff"} {
		_, err := f.Archive(f.ctx, ref)
		wantCode(t, err, shield.NotFound, "")
	}
}

func testArchiveUpdate(t *testing.T, f *fixture) {
	a := f.addArchive(epoch())
	a.Notes, a.PurgeReason, a.ExpiresAt, a.Status = "kept for the audit", "none", time.Time{}, shield.ArchiveInvalid
	a.Held = true
	must(t, f.UpdateArchive(f.ctx, a))
	got, err := f.Archive(f.ctx, a.UUID)
	must(t, err)
	wantSame(t, "archive", got, a)

	other := *a
	other.Key, other.RawSize, other.Target = "moved", 1, unknownUUID()
	must(t, f.UpdateArchive(f.ctx, &other))
	wantSame(t, "the rest of the archive", &other, a)

	for field, change := range map[string]func(*shield.Archive){
		"status":       func(a *shield.Archive) { a.Status = "fine" },
		"notes":        func(a *shield.Archive) { a.Notes = strings.Repeat("x", 1<<20) },
		"purge_reason": func(a *shield.Archive) { a.PurgeReason = "\x00" },
	} {
		bad := *a
		change(&bad)
		wantCode(t, f.UpdateArchive(f.ctx, &bad), shield.Invalid, field)
	}
	wantCode(t, f.UpdateArchive(f.ctx, &shield.Archive{UUID: unknownUUID(), Status: shield.ArchiveValid}), shield.NotFound, "")
	f.setStatus(a, shield.ArchivePurged, "asked for")
	a.Status = shield.ArchiveValid
	wantCode(t, f.UpdateArchive(f.ctx, a), shield.Invalid, "status")
}

// testArchiveSuspicious makes a suspicious archive, which lets no older one go
// until it is acknowledged, once and for good.
func testArchiveSuspicious(t *testing.T, f *fixture) {
	const why = "has 1 bytes"
	old := f.addArchive(epoch())
	a := f.addSuspicious(epoch().Add(time.Second), why)
	if a.Suspicion != why || !a.Suspicious() {
		t.Errorf("archive %+v is not suspicious", a)
	}
	events, err := f.Events(f.ctx, shield.Filter{})
	must(t, err)
	if events[1].Kind != shield.EventArchiveSuspicious || events[1].Subject != a.UUID || !strings.Contains(events[1].Message, why) {
		t.Errorf("events are %+v, %+v", events[0], events[1])
	}
	list := func(suspicious bool) []string {
		list, err := f.Archives(f.ctx, shield.Filter{Suspicious: &suspicious, Target: f.target.UUID})
		return column(t, list, err, func(a *shield.Archive) string { return a.UUID })
	}
	at := epoch().Add(1000 * time.Hour)
	expired := func() []string { // those that are given up, if nobody wants any
		at = at.Add(time.Hour)
		f.review(at, func(*shield.Archive) bool { return true })
		list, err := f.Archives(f.ctx, shield.Filter{Statuses: []string{string(shield.ArchiveExpired)}})
		return column(t, list, err, func(a *shield.Archive) string { return a.UUID })
	}
	wantSame(t, "suspicious ones", list(true), []string{a.UUID})
	wantSame(t, "others", list(false), []string{old.UUID})
	wantSame(t, "expired ones", expired(), []string{})

	bad := *old
	bad.AcknowledgedAt = epoch()
	wantCode(t, f.UpdateArchive(f.ctx, &bad), shield.Invalid, "acknowledged_at")
	a, err = f.Archive(f.ctx, a.UUID) // which was reviewed
	must(t, err)
	bad = *a
	bad.AcknowledgedAt, bad.AcknowledgedNote = epoch(), "\x00"
	wantCode(t, f.UpdateArchive(f.ctx, &bad), shield.Invalid, "acknowledged_note")

	a.AcknowledgedAt, a.AcknowledgedBy, a.AcknowledgedNote = epoch().Add(time.Hour), "ann", "half of it moved"
	must(t, f.UpdateArchive(f.ctx, a))
	stale := *a
	stale.AcknowledgedAt, stale.AcknowledgedBy, stale.Suspicion = time.Time{}, "", ""
	must(t, f.UpdateArchive(f.ctx, &stale))
	got, err := f.Archive(f.ctx, a.UUID)
	must(t, err)
	wantSame(t, "the acknowledged archive", got, a)
	wantSame(t, "suspicious ones", list(true), []string{})
	wantSame(t, "expired ones", expired(), []string{old.UUID})
	events, err = f.Events(f.ctx, shield.Filter{})
	must(t, err)
	if e := events[0]; e.Kind != shield.EventArchiveAcknowledged || !strings.HasSuffix(e.Message, why+", is acknowledged by ann: half of it moved") {
		t.Errorf("the event is %+v", e)
	}
}

// testArchiveStale checks that a user and a scheduler do not take back what the
// other has just done.
func testArchiveStale(t *testing.T, f *fixture) {
	read := func(uuid string) *shield.Archive {
		a, err := f.Archive(f.ctx, uuid)
		must(t, err)
		return a
	}
	a := f.addArchive(epoch())
	stale := read(a.UUID)
	a.Held = true
	must(t, f.UpdateArchive(f.ctx, a))
	late := *stale
	late.Status = shield.ArchiveExpired
	wantCode(t, f.UpdateArchive(f.ctx, &late), shield.Conflict, "held")
	wantSame(t, "the archive that is held", read(a.UUID), a)

	a.Held = false
	must(t, f.UpdateArchive(f.ctx, a))
	stale = read(a.UUID)
	a.Status = shield.ArchiveExpired
	must(t, f.UpdateArchive(f.ctx, a))
	stale.Held = true
	wantCode(t, f.UpdateArchive(f.ctx, stale), shield.Conflict, "status")
	stale.Held, stale.Notes = false, "late"
	wantCode(t, f.UpdateArchive(f.ctx, stale), shield.Conflict, "status")
	wantSame(t, "the archive that was given up", read(a.UUID), a)
}

// testArchiveVersion has two users write the same of an archive in the same
// millisecond, and a third hold it in between.
func testArchiveVersion(t *testing.T, f *fixture) {
	a := f.addArchive(epoch())
	wantSame(t, "the first version", a.Version, int64(1))
	first, second := *a, *a
	first.Notes, second.Notes = "kept for the audit", "kept for the audit"
	must(t, f.UpdateArchive(f.ctx, &first))
	held := first
	held.Held = true
	must(t, f.UpdateArchive(f.ctx, &held))
	wantCode(t, f.UpdateArchive(f.ctx, &second), shield.Conflict, "version")
	must(t, f.UpdateArchive(f.ctx, &held)) // changes nothing
	got, err := f.Archive(f.ctx, a.UUID)
	must(t, err)
	wantSame(t, "the archive that is held", got, &held)
	wantSame(t, "its version", got.Version, int64(3))
	second.Version, second.Notes, second.Held = 0, "whatever it is", true
	must(t, f.UpdateArchive(f.ctx, &second))
}

func testArchiveFilter(t *testing.T, f *fixture) {
	other := f.addTarget("other")
	names := map[string]string{}
	for i, name := range []string{"0", "1", "2", "3"} {
		change := func(t *shield.Task) {
			if name == "3" {
				t.Target, t.Job = other.UUID, f.job.UUID
			}
		}
		a := f.addArchive(epoch().Add(time.Duration(i)*time.Second), change)
		names[a.UUID] = name
		if name == "1" {
			f.setStatus(a, shield.ArchivePurged, "test")
		}
	}
	second := epoch().Add(time.Second)
	for _, test := range []struct {
		filter shield.Filter
		want   string
	}{
		{shield.Filter{}, "3210"},
		{shield.Filter{Limit: 2}, "32"},
		{shield.Filter{Target: f.target.UUID}, "210"},
		{shield.Filter{Store: f.store.UUID, Plugin: "postgres"}, "3210"},
		{shield.Filter{Job: f.job.UUID}, "3"},
		{shield.Filter{Statuses: []string{"purged"}}, "1"},
		{shield.Filter{Statuses: []string{"purged", "valid"}, Limit: 3}, "321"},
		{shield.Filter{Statuses: []string{"no such"}}, ""},
		{shield.Filter{After: second}, "321"},
		{shield.Filter{After: second.Add(1)}, "32"},
		{shield.Filter{Before: second}, "0"},
		{shield.Filter{Before: second.Add(1)}, "10"},
		{shield.Filter{After: second, Before: second.Add(time.Second)}, "1"},
		{shield.Filter{Target: "prod\x00"}, ""},
	} {
		list, err := f.Archives(f.ctx, test.filter)
		got := column(t, list, err, func(a *shield.Archive) string { return names[a.UUID] })
		wantSame(t, "archives", strings.Join(got, ""), test.want)
	}
}

// archive returns one by the name that a test has given it.
func (f *fixture) archive(names map[string]string, name string) *shield.Archive {
	f.t.Helper()
	for uuid, n := range names {
		if n == name {
			a, err := f.Archive(f.ctx, uuid)
			must(f.t, err)
			return a
		}
	}
	f.t.Fatalf("there is no archive %s", name)
	return nil
}
