package retention_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/scheduler/retention"
)

func at(text string) time.Time {
	t, err := time.Parse("2006-01-02 15:04", text)
	if err != nil {
		panic(err)
	}
	return t
}

// archives are expired valid ones of the job "j".
func archives(times ...string) []*shield.Archive {
	var all []*shield.Archive
	for _, text := range times {
		all = append(all, &shield.Archive{UUID: text, Job: "j", Status: shield.ArchiveValid, TakenAt: at(text), ExpiresAt: at(text).Add(time.Minute)})
	}
	return all
}

func plan(t testing.TB, p *shield.Policy, all []*shield.Archive) []string {
	t.Helper()
	decisions, err := retention.Plan(p, "j", all, at("2026-03-10 12:00"))
	if err != nil {
		t.Fatal(err)
	}
	lines := []string{}
	for _, d := range decisions {
		lines = append(lines, d.Archive.UUID+": "+strings.Join(d.Rules, ", "))
	}
	return lines
}

func TestPlan(t *testing.T) {
	t.Parallel()
	all := archives("2026-03-09 23:30", "2026-03-09 08:00", "2026-03-08 10:00", "2026-03-01 10:00", "2026-02-20 10:00", "2025-12-30 10:00", "2025-12-28 10:00")
	for name, tt := range map[string]struct {
		p    shield.Policy
		want []string // rules of each
	}{
		"expiry alone": {shield.Policy{}, []string{"newest valid 1", "", "", "", "", "", ""}},
		"min valid":    {shield.Policy{MinValid: 2}, []string{"newest valid 1", "newest valid 2", "", "", "", "", ""}},
		"last":         {shield.Policy{KeepLast: 2}, []string{"newest valid 1, last 1", "last 2", "", "", "", "", ""}},
		"daily":        {shield.Policy{KeepDaily: 3}, []string{"newest valid 1, daily 2026-03-09", "", "daily 2026-03-08", "daily 2026-03-01", "", "", ""}},
		"daily in another zone": {shield.Policy{KeepDaily: 2, Timezone: "Europe/Rome"},
			[]string{"newest valid 1, daily 2026-03-10", "daily 2026-03-09", "", "", "", "", ""}},
		"weekly over a new year": {shield.Policy{KeepWeekly: 9},
			[]string{"newest valid 1, weekly 2026-W11", "", "weekly 2026-W10", "weekly 2026-W09", "weekly 2026-W08", "weekly 2026-W01", "weekly 2025-W52"}},
		"monthly and yearly": {shield.Policy{KeepMonthly: 2, KeepYearly: 5},
			[]string{"newest valid 1, monthly 2026-03, yearly 2026", "", "", "", "monthly 2026-02", "yearly 2025", ""}},
		"hourly": {shield.Policy{KeepHourly: 2}, []string{"newest valid 1, hourly 2026-03-09 23h +00:00", "hourly 2026-03-09 08h +00:00", "", "", "", "", ""}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var want []string
			for i, a := range all {
				want = append(want, a.UUID+": "+tt.want[i])
			}
			if diff := cmp.Diff(want, plan(t, &tt.p, all)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestPlanLeavesAlone(t *testing.T) {
	t.Parallel()
	all := archives("2026-03-09 10:00", "2026-03-08 10:00", "2026-03-07 10:00", "2026-03-06 10:00", "2026-03-05 10:00")
	all[0].Status = shield.ArchiveInvalid // no archive at all
	all[1].Job = "another"                // the newest valid one of the target
	all[2].Held = true
	all[3].ExpiresAt = at("2027-01-01 00:00")
	want := []string{"2026-03-07 10:00: held", "2026-03-06 10:00: expiry", "2026-03-05 10:00: "}
	if diff := cmp.Diff(want, plan(t, &shield.Policy{}, all)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, err := retention.Plan(&shield.Policy{Timezone: "Mars/Base"}, "j", nil, time.Now()); err == nil || !strings.Contains(err.Error(), "Mars/Base") {
		t.Errorf("error %v", err)
	}
}

// TestModel compares with what the rules say in the plainest way: an archive is
// wanted by a rule if none of its period is newer, and fewer periods than the
// rule asks for are.
func TestModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		some := rapid.IntRange(0, 6)
		p := shield.Policy{
			KeepLast: some.Draw(r, "last"), KeepHourly: some.Draw(r, "hourly"), KeepDaily: some.Draw(r, "daily"), KeepWeekly: some.Draw(r, "weekly"),
			KeepMonthly: some.Draw(r, "monthly"), KeepYearly: some.Draw(r, "yearly"), MinValid: some.Draw(r, "min valid"),
			Timezone: rapid.SampledFrom([]string{"", "Europe/Rome", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia"}).Draw(r, "zone"),
		}
		zone, err := time.LoadLocation(p.Timezone)
		if err != nil {
			t.Fatal(err)
		}
		now := at("2026-03-10 12:00")
		var all []*shield.Archive
		for n := range rapid.IntRange(0, 40).Draw(r, "archives") {
			taken := now.Add(-time.Duration(rapid.Int64Range(0, int64(3*365*24*time.Hour)).Draw(r, "age"))).Truncate(time.Minute)
			all = append(all, &shield.Archive{
				UUID: fmt.Sprintf("%03d", n), Job: rapid.SampledFrom([]string{"j", "j", "k"}).Draw(r, "job"), TakenAt: taken,
				ExpiresAt: taken.Add(time.Duration(rapid.Int64Range(0, int64(365*24*time.Hour)).Draw(r, "expiry"))),
				Status:    rapid.SampledFrom([]shield.ArchiveStatus{shield.ArchiveValid, shield.ArchiveValid, shield.ArchiveInvalid}).Draw(r, "status"),
				Held:      rapid.IntRange(0, 9).Draw(r, "held") == 0,
			})
		}
		newer := func(a, b *shield.Archive) bool {
			return a.TakenAt.After(b.TakenAt) || a.TakenAt.Equal(b.TakenAt) && a.UUID > b.UUID
		}
		valid := func(a *shield.Archive) bool { return a.Status == shield.ArchiveValid }
		own := func(a *shield.Archive) bool { return valid(a) && a.Job == "j" }
		count := func(f func(*shield.Archive) bool) (n int) {
			for _, a := range all {
				if f(a) {
					n++
				}
			}
			return n
		}
		periods := []struct {
			n  int
			of func(time.Time) string
		}{
			{p.KeepHourly, func(t time.Time) string { return t.Format("2006-01-02 15 -0700") }},
			{p.KeepDaily, func(t time.Time) string { return t.Format("2006-01-02") }},
			{p.KeepWeekly, func(t time.Time) string { y, w := t.ISOWeek(); return fmt.Sprint(y, w) }},
			{p.KeepMonthly, func(t time.Time) string { return t.Format("2006-01") }},
			{p.KeepYearly, func(t time.Time) string { return t.Format("2006") }},
		}
		want := map[string]bool{}
		for _, a := range all {
			if !own(a) {
				continue
			}
			kept := a.Held || a.ExpiresAt.After(now) ||
				count(func(b *shield.Archive) bool { return valid(b) && newer(b, a) }) < max(1, p.MinValid) ||
				count(func(b *shield.Archive) bool { return own(b) && newer(b, a) }) < p.KeepLast
			for _, x := range periods {
				mine := x.of(a.TakenAt.In(zone))
				seen := map[string]bool{}
				for _, b := range all {
					if own(b) && newer(b, a) {
						seen[x.of(b.TakenAt.In(zone))] = true
					}
				}
				kept = kept || x.n > 0 && !seen[mine] && len(seen) < x.n
			}
			want[a.UUID] = kept
		}
		decisions, err := retention.Plan(&p, "j", all, now)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]bool{}
		for _, d := range decisions {
			got[d.Archive.UUID] = d.Kept()
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if !slices.IsSortedFunc(decisions, func(a, b retention.Decision) int { return b.Archive.TakenAt.Compare(a.Archive.TakenAt) }) {
			t.Error("the newest is not first")
		}
	})
}
