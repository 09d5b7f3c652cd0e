package catalogtest

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shieldhq/shield"
)

// review gives up what is unwanted, and has the rest looked at an hour later.
func (f *fixture) review(now time.Time, unwanted func(a *shield.Archive) bool) {
	f.t.Helper()
	for more := true; more; {
		var err error
		more, err = f.ReviewArchives(f.ctx, now, now.Add(time.Hour), func(r *shield.Review) error {
			for _, a := range r.Archives {
				r.Unwanted[a.UUID] = unwanted(a)
			}
			return nil
		})
		must(f.t, err)
	}
}

// testExpired gives up all that it can of: a, b, whose removal somebody asked
// for, c, which never expires, d, and e, the newest, which is damaged. Beside
// them is the only archive of another target.
func testExpired(t *testing.T, open func(t testing.TB) shield.Catalog) {
	f := newFixture(t, open)
	now := epoch().Add(f.policy.Retention())
	newer := func(f *fixture, _ map[string]string) { f.addArchive(epoch().Add(time.Hour)) }
	set := func(change func(a *shield.Archive)) func(*fixture, map[string]string) {
		return func(f *fixture, names map[string]string) {
			newer(f, names)
			a := f.archive(names, "a")
			change(a)
			must(f.t, f.UpdateArchive(f.ctx, a))
		}
	}
	kept := func(f *fixture, names map[string]string) { // by a review, all of them
		newer(f, names)
		f.review(now.Add(time.Second), func(*shield.Archive) bool { return false })
	}
	for _, test := range []struct {
		name   string
		change func(f *fixture, names map[string]string)
		now    time.Time
		want   string
	}{
		{"a second before anything expires", nil, now.Add(-4 * time.Second), ""},
		{"when the first expires", nil, now.Add(-3 * time.Second), "a"},
		{"when all but one have expired", nil, now.Add(time.Hour), "a"},
		{"when a newer one exists", newer, now.Add(time.Second), "ad"},
		{"without the one that is held", set(func(a *shield.Archive) { a.Held = true }), now.Add(time.Second), "d"},
		{"before the next review", kept, now.Add(59 * time.Minute), ""},
		{"at the next review", kept, now.Add(time.Hour + time.Second), "ad"},
		{"before it, but after one more was made", func(f *fixture, names map[string]string) {
			kept(f, names)
			f.addArchive(epoch().Add(2 * time.Hour))
		}, now.Add(2 * time.Second), "ad"},
		{"before it, but after another expiry was set", func(f *fixture, names map[string]string) {
			kept(f, names)
			a := f.archive(names, "c")
			a.ExpiresAt = now
			must(f.t, f.UpdateArchive(f.ctx, a))
		}, now.Add(2 * time.Second), "acd"},
		{"before it, but after one was released", func(f *fixture, names map[string]string) {
			a := f.archive(names, "a")
			a.Held = true
			must(f.t, f.UpdateArchive(f.ctx, a))
			kept(f, names)
			a = f.archive(names, "a")
			a.Held = false
			must(f.t, f.UpdateArchive(f.ctx, a))
		}, now.Add(2 * time.Second), "ad"},
	} {
		f := newFixture(t, open)
		lone := f.addTarget("lone")
		names := f.someArchives()
		f.addArchive(epoch().Add(-time.Hour), func(t *shield.Task) { t.Target = lone.UUID })
		if test.change != nil {
			test.change(f, names)
		}
		f.review(test.now, func(*shield.Archive) bool { return true })
		list, err := f.Archives(f.ctx, shield.Filter{Statuses: []string{string(shield.ArchiveExpired)}})
		got := column(t, list, err, func(a *shield.Archive) string { return names[a.UUID] })
		slices.Sort(got)
		wantSame(t, test.name, strings.Join(got, ""), test.want)
		for _, a := range list {
			wantSame(t, "the reason", a.PurgeReason, "expired "+a.ExpiresAt.Format(time.RFC3339))
		}
	}
}

// someArchives returns their names, by UUID.
func (f *fixture) someArchives() map[string]string {
	names := map[string]string{}
	for i, name := range []string{"a", "b", "c", "d", "e"} {
		a := f.addArchive(epoch().Add(time.Duration(i-3) * time.Second))
		names[a.UUID] = name
		switch name {
		case "b":
			f.setStatus(a, shield.ArchivePurging, "")
		case "c":
			a.ExpiresAt = time.Time{}
			must(f.t, f.UpdateArchive(f.ctx, a))
		case "e":
			f.setStatus(a, shield.ArchiveInvalid, "")
		}
	}
	return names
}

// testReviews checks what retention is asked, and what becomes of its answers.
func testReviews(t *testing.T, f *fixture) {
	now := epoch().Add(f.policy.Retention()).Add(time.Hour)
	job := f.addJob("reviewed", f.target.Name)
	ofJob := func(t *shield.Task) { t.Job = job.UUID }
	old, newest := f.addArchive(epoch()), f.addArchive(epoch().Add(time.Minute), ofJob)
	asked, changed := 0, f.addArchive(epoch().Add(time.Second))
	more, err := f.ReviewArchives(f.ctx, now, now.Add(time.Hour), func(r *shield.Review) error {
		asked++
		if r.Target != f.target.UUID || len(r.Archives) != 3 || r.Archives[0].UUID != newest.UUID || r.Policies[old.Job] != nil || r.Policies[job.UUID].UUID != job.Policy {
			t.Errorf("review %+v", r)
		}
		held := *changed // by a user, in the same moment
		held.Held = true
		must(t, f.UpdateArchive(f.ctx, &held))
		r.Unwanted[changed.UUID] = true
		return nil
	})
	must(t, err)
	if more || asked != 1 {
		t.Errorf("asked %d times, more %v", asked, more)
	}
	for _, a := range []*shield.Archive{old, newest} {
		got, err := f.Archive(f.ctx, a.UUID)
		must(t, err)
		wantSame(t, "an archive that is kept", got, a)
	}
	got, err := f.Archive(f.ctx, changed.UUID)
	must(t, err)
	if !got.Held || got.Status != shield.ArchiveValid || got.Version != changed.Version+1 {
		t.Errorf("the archive that was held meanwhile is %+v", got)
	}
	failed := errors.New("who knows")
	_, err = f.ReviewArchives(f.ctx, now.Add(time.Hour), now.Add(2*time.Hour), func(*shield.Review) error { return failed })
	if !errors.Is(err, failed) {
		t.Errorf("error %v", err)
	}
}

// testToPurge checks that what is to go comes once, and not too much of it.
func testToPurge(t *testing.T, f *fixture) {
	var all []*shield.Archive
	for i := range 3 {
		a := f.addArchive(epoch().Add(time.Duration(i) * time.Second))
		if i < 2 {
			f.setStatus(a, shield.ArchivePurging, "asked for")
		}
		all = append(all, a)
	}
	slices.SortFunc(all[:2], func(a, b *shield.Archive) int { return strings.Compare(a.UUID, b.UUID) })
	want := func(after string, limit int, uuids ...string) {
		t.Helper()
		list, err := f.ArchivesToPurge(f.ctx, after, limit)
		wantSame(t, "archives to purge", column(t, list, err, func(a *shield.Archive) string { return a.UUID }), append([]string{}, uuids...))
	}
	want("", 10, all[0].UUID, all[1].UUID)
	want("", 1, all[0].UUID)
	want(all[0].UUID, 10, all[1].UUID)
	f.addTask(func(t *shield.Task) {
		t.Op, t.Archive, t.Key, t.Target, t.Job = shield.OpPurge, all[0].UUID, all[0].Key, "", ""
	})
	want("", 10, all[1].UUID)
	n, err := f.OpenPurges(f.ctx)
	must(t, err)
	wantSame(t, "purges that are open", n, 1)
}
