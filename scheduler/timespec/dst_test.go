package timespec_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/shieldhq/shield/scheduler/timespec"
)

func parse(t testing.TB, text string) timespec.Spec {
	t.Helper()
	s, err := timespec.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func instant(t testing.TB, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// TestClockChanges has, for a zone, a spec and a time, the occurrences that
// follow, as local times with their offsets.
func TestClockChanges(t *testing.T) {
	for _, c := range []struct {
		zone, name, spec, after string
		want                    []string
	}{
		{"America/New_York", "gap", "daily 2:30", "2026-03-07T12:00:00Z",
			[]string{"03-08 03:00 -04", "03-09 02:30 -04"}},
		{"America/New_York", "start of the gap", "daily 2:00", "2026-03-07T12:00:00Z",
			[]string{"03-08 03:00 -04", "03-09 02:00 -04"}},
		{"America/New_York", "end of the gap", "daily 3:00", "2026-03-07T12:00:00Z",
			[]string{"03-08 03:00 -04", "03-09 03:00 -04"}},
		{"America/New_York", "several times in a gap run once", "0,30 2 * * *", "2026-03-08T05:00:00Z",
			[]string{"03-08 03:00 -04", "03-09 02:00 -04", "03-09 02:30 -04"}},
		{"America/New_York", "fold", "daily 1:30", "2026-10-31T12:00:00Z",
			[]string{"11-01 01:30 -04", "11-02 01:30 -05"}},
		{"America/New_York", "asked within the second hour of the fold", "daily 1:30", "2026-11-01T06:10:00Z",
			[]string{"11-02 01:30 -05"}},
		{"America/New_York", "every 15 minutes over the gap", "every 15 minutes", "2026-03-08T06:40:00Z",
			[]string{"03-08 01:45 -05", "03-08 03:00 -04", "03-08 03:15 -04"}},
		{"America/New_York", "hourly through the fold", "hourly at :15", "2026-11-01T04:30:00Z",
			[]string{"11-01 01:15 -04", "11-01 01:15 -05", "11-01 02:15 -05"}},
		{"America/New_York", "hourly on mondays begins and ends with them", "30 * * * 1", "2026-11-01T12:00:00Z",
			[]string{"11-02 00:30 -05", "11-02 01:30 -05"}},
		{"America/New_York", "a grid follows real hours forward", "every 4 hours from 3:15", "2026-03-08T05:00:00Z",
			[]string{"03-08 04:15 -04", "03-08 08:15 -04", "03-08 12:15 -04", "03-08 16:15 -04", "03-08 20:15 -04", "03-09 03:15 -04"}},
		{"America/New_York", "a grid follows real hours back", "every 4 hours", "2026-11-01T04:00:00Z",
			[]string{"11-01 03:00 -05", "11-01 07:00 -05", "11-01 11:00 -05", "11-01 15:00 -05", "11-01 19:00 -05", "11-01 23:00 -05", "11-02 00:00 -05"}},
		{"America/New_York", "every 6 hours by the clock", "0 */6 * * *", "2026-03-08T04:59:00Z",
			[]string{"03-08 00:00 -05", "03-08 06:00 -04", "03-08 12:00 -04"}},
		{"America/New_York", "monthly in the gap", "monthly 2:30 on 8th", "2026-02-20T00:00:00Z",
			[]string{"03-08 03:00 -04", "04-08 02:30 -04"}},

		{"Europe/London", "gap", "daily 1:30", "2026-03-28T12:00:00Z",
			[]string{"03-29 02:00 +01", "03-30 01:30 +01"}},
		{"Europe/London", "fold", "daily 1:30", "2026-10-24T12:00:00Z",
			[]string{"10-25 01:30 +01", "10-26 01:30 +00"}},
		{"Europe/London", "last sunday is the day of the fold", "last sunday 1:00", "2026-10-01T00:00:00Z",
			[]string{"10-25 01:00 +01", "11-29 01:00 +00"}},

		{"Africa/Cairo", "midnight gap", "fridays 0:00", "2026-04-20T00:00:00Z",
			[]string{"04-24 01:00 +03", "05-01 00:00 +03"}},
		{"Africa/Cairo", "midnight gap, daily", "daily 0:30", "2026-04-22T12:00:00Z",
			[]string{"04-23 00:30 +02", "04-24 01:00 +03", "04-25 00:30 +03"}},
		{"Africa/Cairo", "midnight gap, grid", "every 7 hours", "2026-04-23T12:00:00Z",
			[]string{"04-23 21:00 +02", "04-24 01:00 +03", "04-24 08:00 +03"}},
		{"Africa/Cairo", "fold before midnight", "daily 23:30", "2026-10-28T12:00:00Z",
			[]string{"10-28 23:30 +03", "10-29 23:30 +03", "10-30 23:30 +02"}},
		{"Africa/Cairo", "across a midnight gap", "monthly 9:00 on 10th", "2026-04-01T00:00:00Z",
			[]string{"04-10 09:00 +02", "05-10 09:00 +03"}},

		{"America/Sao_Paulo", "2018: midnight gap", "daily 0:00", "2018-11-03T12:00:00Z",
			[]string{"11-04 01:00 -02", "11-05 00:00 -02"}},
		{"America/Sao_Paulo", "2018: hourly", "hourly at :00", "2018-11-04T01:30:00Z",
			[]string{"11-03 23:00 -03", "11-04 01:00 -02"}},
		{"America/Sao_Paulo", "2018: fold to the day before", "daily 23:30", "2018-02-17T12:00:00Z",
			[]string{"02-17 23:30 -02", "02-18 23:30 -03"}},
		{"America/Sao_Paulo", "2018: every minute through the fold", "every 30 minutes", "2018-02-18T01:20:00Z",
			[]string{"02-17 23:30 -02", "02-17 23:00 -03", "02-17 23:30 -03", "02-18 00:00 -03"}},

		{"Australia/Lord_Howe", "half-hour gap", "daily 2:15", "2026-10-03T00:00:00Z",
			[]string{"10-04 02:30 +11", "10-05 02:15 +11"}},
		{"Australia/Lord_Howe", "half-hour fold", "daily 1:45", "2026-04-04T00:00:00Z",
			[]string{"04-05 01:45 +11", "04-06 01:45 +1030"}},
		{"Australia/Lord_Howe", "hourly through a half-hour fold", "hourly at :45", "2026-04-04T14:00:00Z",
			[]string{"04-05 01:45 +11", "04-05 01:45 +1030", "04-05 02:45 +1030"}},

		{"Pacific/Apia", "2011: a daily run has no day that was left out", "daily 4:00", "2011-12-28T20:00:00Z",
			[]string{"12-29 04:00 -10", "12-31 04:00 +14", "01-01 04:00 +14"}},
		{"Pacific/Apia", "2011: a weekly run comes right after it", "fridays 4:00", "2011-12-24T00:00:00Z",
			[]string{"12-31 00:00 +14", "01-06 04:00 +14"}},
		{"Pacific/Apia", "2011: a grid goes on with the next day", "every 7 hours", "2011-12-30T03:00:00Z",
			[]string{"12-29 21:00 -10", "12-31 00:00 +14", "12-31 07:00 +14"}},

		{"Asia/Kathmandu", "no change, odd offset", "daily 4:00", "2026-03-28T12:00:00Z",
			[]string{"03-29 04:00 +0545", "03-30 04:00 +0545"}},
		{"Asia/Kathmandu", "1986: a gap of 15 minutes", "daily 0:10", "1985-12-31T12:00:00Z",
			[]string{"01-01 00:15 +0545", "01-02 00:10 +0545"}},
		{"Asia/Kathmandu", "hourly by the local clock", "hourly at :00", "2026-01-01T00:00:00Z",
			[]string{"01-01 06:00 +0545", "01-01 07:00 +0545"}},

		{"America/Nuuk", "2026: a gap that ends at midnight", "daily 23:30", "2026-03-27T12:00:00Z",
			[]string{"03-27 23:30 -02", "03-29 00:00 -01", "03-29 23:30 -01"}},
		{"America/Havana", "fold right after midnight", "daily 0:00", "2026-10-31T12:00:00Z",
			[]string{"11-01 00:00 -04", "11-02 00:00 -05"}},
		{"Africa/Casablanca", "clocks go back for Ramadan", "daily 2:30", "2026-02-14T12:00:00Z",
			[]string{"02-15 02:30 +01", "02-16 02:30 +00"}},
	} {
		t.Run(c.zone+"/"+c.name, func(t *testing.T) {
			var got []string
			for _, o := range parse(t, c.spec).Occurrences(instant(t, c.after), zone(t, c.zone), len(c.want)) {
				got = append(got, o.At.Format("01-02 15:04 ")+offset(o.At))
			}
			if fmt.Sprint(got) != fmt.Sprint(c.want) {
				t.Errorf("%s after %s:\ngot  %q\nwant %q", c.spec, c.after, got, c.want)
			}
		})
	}
}

// TestRulesAfterTheTable: zones go by a rule where their table of changes
// ends. There, package time knows years of 365 days only.
func TestRulesAfterTheTable(t *testing.T) {
	for _, place := range peculiar {
		loc := zone(t, place.name)
		for _, text := range []string{"daily 4:00", "hourly at :15", "every 7 hours", "monthly 23:45 on last day"} {
			s := parse(t, text)
			for year := 2028; year < 2200; year += 4 {
				at := time.Date(year, 12, 29, 0, 0, 0, 0, loc)
				for range 80 {
					next := s.Next(at, loc)
					if gap := next.Sub(at); gap <= 0 || gap > 32*24*time.Hour {
						t.Fatalf("%s in %s: after %s comes %s", s, loc, at, next)
					}
					if c, ok := timespec.NextChange(at, loc); ok && !c.At.After(at) {
						t.Fatalf("the clocks of %s change after %s at %s", loc, at, c.At)
					}
					at = next
				}
			}
		}
	}
}

// offset is +02 or +0545.
func offset(t time.Time) string { return strings.TrimSuffix(t.Format("-0700"), "00") }

// TestNotes explains what changes of clocks do to a run.
func TestNotes(t *testing.T) {
	ny := zone(t, "America/New_York")
	for _, c := range []struct{ spec, after, want string }{
		{"daily 2:30", "2026-03-07T12:00:00Z", "clocks go forward by 1h: Sun 2026-03-08 02:00 becomes Sun 2026-03-08 03:00; its time does not exist, so it runs at the first instant after it"},
		{"daily 4:00", "2026-03-07T12:00:00Z", "clocks go forward by 1h: Sun 2026-03-08 02:00 becomes Sun 2026-03-08 03:00"},
		{"daily 4:00", "2026-03-08T12:00:00Z", ""},
		{"daily 1:30", "2026-10-31T12:00:00Z", "this time comes twice: it runs at the first"},
		{"daily 1:30", "2026-11-01T05:30:00Z", "clocks go back by 1h: Sun 2026-11-01 02:00 becomes Sun 2026-11-01 01:00"},
		{"hourly at :30", "2026-11-01T05:00:00Z", "this time comes twice: the first"},
		{"hourly at :30", "2026-11-01T05:30:00Z", "clocks go back by 1h: Sun 2026-11-01 02:00 becomes Sun 2026-11-01 01:00; this time comes twice: the second"},
		{"hourly at :30", "2026-11-01T06:30:00Z", ""},
	} {
		got := parse(t, c.spec).Occurrences(instant(t, c.after), ny, 1)
		if len(got) != 1 || got[0].Note != c.want {
			t.Errorf("%s after %s: got %q, want %q", c.spec, c.after, got, c.want)
		}
	}
}
