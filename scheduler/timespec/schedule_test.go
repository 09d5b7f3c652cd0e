package timespec_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/scheduler/timespec"
)

func TestWindows(t *testing.T) {
	for _, c := range []struct{ text, want, in, out string }{
		{"weekdays 8:00 to 18:00", "mondays, tuesdays, wednesdays, thursdays, fridays 8:00 to 18:00", "2026-11-23T08:00", "2026-11-22T12:00"},
		{"weekdays 8 am-6 pm", "mondays, tuesdays, wednesdays, thursdays, fridays 8:00 to 18:00", "2026-11-23T17:59", "2026-11-23T18:00"},
		{"22:00-2:00", "daily 22:00 to 2:00", "2026-11-23T01:59", "2026-11-23T02:00"},
		{"from 22:00 until 2:00", "daily 22:00 to 2:00", "2026-11-22T22:00", "2026-11-22T21:59"},
		{"fridays 22:00 to 6:00", "fridays 22:00 to 6:00", "2026-11-28T05:59", "2026-11-27T05:59"}, // into saturday
		{"sundays", "sundays 0:00 to 0:00", "2026-11-22T23:59", "2026-11-23T00:00"},
		{"last friday 20:00 to midnight", "last friday 20:00 to 0:00", "2026-11-27T20:00", "2026-11-20T20:00"},
		{"1st monday", "1st monday 0:00 to 0:00", "2026-12-07T12:00", "2026-12-14T12:00"},
		{"last day noon to 13", "monthly on last day 12:00 to 13:00", "2026-11-30T12:30", "2026-11-29T12:30"},
		{"monthly on 1st, 15th 4:00 to 5:00", "monthly on 1st, 15th 4:00 to 5:00", "2026-11-15T04:00", "2026-11-14T04:00"},
		{"daily 4:00 to 4:00", "daily 4:00 to 4:00", "2026-11-15T04:00", ""},
	} {
		w, err := timespec.ParseWindow(c.text)
		if err != nil || w.String() != c.want {
			t.Errorf("%q: got %q, %v, want %q", c.text, w, err, c.want)
			continue
		}
		if again, err := timespec.ParseWindow(w.String()); err != nil || again != w {
			t.Errorf("%q: its canonical text %q parses to %v, %v", c.text, w, again, err)
		}
		if !w.Holds(instant(t, c.in+":00Z"), time.UTC) {
			t.Errorf("%q does not hold at %s", c.text, c.in)
		}
		if c.out != "" && w.Holds(instant(t, c.out+":00Z"), time.UTC) {
			t.Errorf("%q holds at %s", c.text, c.out)
		}
	}
	for text, want := range map[string]string{
		"":                       "is empty",
		"weekdays 8:00":          `"to" and a time were expected`,
		"weekdays 8:00 to 25:00": "hour 25: hours run 0 to 23",
		"wekdays 8:00 to 9:00":   "did you mean weekdays?",
		"8:00 to 9:00 sharp":     "nothing more was expected",
		"monthly on 32nd":        "days of the month run 1 to 31",
	} {
		_, err := timespec.ParseWindow(text)
		var e *shield.Error
		if !errors.As(err, &e) || e.Field != "blackout" || !strings.Contains(e.Message, want) {
			t.Errorf("%q: got %v, want an error about blackout with %q", text, err, want)
		}
	}
}

func TestNewNamesTheField(t *testing.T) {
	for _, c := range []struct {
		s     shield.Schedule
		field string
	}{
		{shield.Schedule{Timespec: "daily 4:00", Timezone: "Europe/Rome", Jitter: 60, Blackout: []string{"sundays"}, CatchUp: "none"}, ""},
		{shield.Schedule{Timespec: "daily 4:00 Europe/Rome"}, ""},
		{shield.Schedule{Timespec: "daily 4:00 Europe/Rome", Timezone: "Europe/Rome"}, ""},
		{shield.Schedule{Timespec: "daily 4:00 Europe/Rome", Timezone: "UTC"}, "timezone"},
		{shield.Schedule{Timespec: "daily 4:00", Timezone: "Mars/Olympus"}, "timezone"},
		{shield.Schedule{Timespec: "daily 4:00", Timezone: "Local"}, "timezone"},
		{shield.Schedule{}, "timespec"},
		{shield.Schedule{Timespec: "daily 25:00"}, "timespec"},
		{shield.Schedule{Timespec: "daily 4:00", Jitter: -1}, "jitter"},
		{shield.Schedule{Timespec: "daily 4:00", Jitter: 86401}, "jitter"},
		{shield.Schedule{Timespec: "daily 4:00", Blackout: []string{"sundays", "x"}}, "blackout"},
		{shield.Schedule{Timespec: "daily 4:00", Blackout: make([]string, 51)}, "blackout"},
		{shield.Schedule{Timespec: "daily 4:00", CatchUp: "two"}, "catch_up"},
	} {
		c.s.Name = "s"
		_, err := timespec.New(&c.s)
		var e *shield.Error
		if errors.As(err, &e); c.field == "" && err != nil || c.field != "" && (e == nil || e.Field != c.field) {
			t.Errorf("%+v: got %v, want an error about %q", c.s, err, c.field)
		}
	}
}

// TestJitter: the delay of a seed is always the same, runs stay as far apart
// as without it, and many seeds spread evenly.
func TestJitter(t *testing.T) {
	s, err := timespec.New(&shield.Schedule{Meta: shield.Meta{Name: "s"}, Timespec: "daily 4:00", Jitter: 3600})
	if err != nil {
		t.Fatal(err)
	}
	var quarters [4]int
	for i := range 1000 {
		seed := fmt.Sprint("job ", i)
		at := instant(t, "2026-01-01T04:30:00Z")
		first := s.Next(at, seed)
		delay := timespec.Delay(seed, time.Hour)
		if delay < 0 || delay >= time.Hour || delay != delay.Truncate(time.Second) {
			t.Fatalf("%s is delayed by %s", seed, delay)
		}
		want := instant(t, "2026-01-01T04:00:00Z").Add(delay)
		if !want.After(at) {
			want = want.Add(24 * time.Hour)
		}
		if !first.Equal(want) {
			t.Fatalf("%s is first due at %s, want %s", seed, first, want)
		}
		if gap := s.Next(first, seed).Sub(first); gap != 24*time.Hour {
			t.Fatalf("%s: %s between runs", seed, gap)
		}
		quarters[delay/(15*time.Minute)]++
	}
	for _, n := range quarters {
		if n < 200 || n > 300 {
			t.Errorf("1000 delays are spread as %v over the quarters of an hour", quarters)
		}
	}
	if d := timespec.Delay("x", 0); d != 0 {
		t.Errorf("without jitter the delay is %s", d)
	}
}

// slow is set where the race detector is on: it makes the evaluator, which
// shares nothing, ten times slower.
var slow = false

// A yearly form is one of the language with the days on which it runs, as the
// calendar tells without it, and how often on each.
type yearlyForm struct {
	text  string // with a time of the day in it
	runs  int    // on a day
	on    func(day time.Time) bool
	exact bool // one run on each such day, and on no other
}

func onAny(days ...time.Weekday) func(time.Time) bool {
	return func(day time.Time) bool { return slices.Contains(days, day.Weekday()) }
}

func always(time.Time) bool { return true }

func lastOfMonth(day time.Time) bool { return day.AddDate(0, 0, 1).Day() == 1 }

// tenYearForms are of every kind. Those of a time of the day run once on each
// of their days, whatever the clocks do; grids follow real hours, so that some
// days have more runs and some fewer.
var tenYearForms = []yearlyForm{
	{"daily %d:%02d", 1, always, true},
	{"mondays, wednesdays and fridays %d:%02d", 1, onAny(time.Monday, time.Wednesday, time.Friday), true},
	{"sundays %d:%02d", 1, onAny(time.Sunday), true},
	{"weekdays at %d:%02d", 1, func(d time.Time) bool { return d.Weekday() != time.Sunday && d.Weekday() != time.Saturday }, true},
	{"weekends %d:%02d", 1, onAny(time.Saturday, time.Sunday), true},
	{"monthly %d:%02d on 31", 1, func(d time.Time) bool { return d.Day() == 31 }, true},
	{"monthly %d:%02d on last day", 1, lastOfMonth, true},
	{"1st tuesday %d:%02d", 1, func(d time.Time) bool { return d.Weekday() == time.Tuesday && d.Day() <= 7 }, true},
	{"5th thursday %d:%02d", 1, func(d time.Time) bool { return d.Weekday() == time.Thursday && d.Day() > 28 }, true},
	{"last friday %d:%02d", 1, func(d time.Time) bool { return d.Weekday() == time.Friday && d.AddDate(0, 0, 7).Month() != d.Month() }, true},
	{"%[2]d %[1]d 29 2 *", 1, func(d time.Time) bool { return d.Month() == time.February && d.Day() == 29 }, true},
	{"%[2]d %[1]d 1,15 * *", 1, func(d time.Time) bool { return d.Day() == 1 || d.Day() == 15 }, true},
	{"%[2]d %[1]d * * 6#2", 1, func(d time.Time) bool { return d.Weekday() == time.Saturday && (d.Day()-1)/7 == 1 }, true},
	{"Mon..Thu *-06..12-* %02d:%02d", 1, func(d time.Time) bool {
		return d.Month() >= time.June && d.Weekday() >= time.Monday && d.Weekday() <= time.Thursday
	}, true},
	{"every 4 hours from %[1]d:%02[2]d", 0, always, false},
	{"every 90 minutes from 0:%02[2]d", 16, always, false},
	{"hourly at :%02[2]d", 24, always, false},
}

// TestTenYears lets a virtual clock run through ten years of 10,000 schedules
// of every form, with all their zones and jitter: each run is later than the
// one before, and the days of the runs are those of the calendar.
func TestTenYears(t *testing.T) {
	n := 10_000
	switch {
	case testing.Short():
		n = 300
	case slow:
		n = 1_000
	}
	r := rand.New(rand.NewPCG(10, 1))
	for i := range n {
		f := tenYearForms[r.IntN(len(tenYearForms))]
		if !f.exact && r.IntN(20) > 0 {
			f = tenYearForms[r.IntN(7)] // grids have a hundred times more runs
		}
		hour := r.IntN(24)
		if f.runs == 0 {
			hour, f.runs = r.IntN(4), 6
		}
		minute := r.IntN(60)
		// A format that has no use for the hour says so.
		text, _, _ := strings.Cut(fmt.Sprintf(f.text, hour, minute), "%!(EXTRA")
		zone := peculiar[r.IntN(len(peculiar))].name
		s, err := timespec.New(&shield.Schedule{Meta: shield.Meta{Name: "s"}, Timespec: text, Timezone: zone, Jitter: int64(r.IntN(2) * r.IntN(3600))})
		if err != nil {
			t.Fatal(err)
		}
		tenYears(t, s, fmt.Sprint(i), f, hour*60+minute)
	}
}

// tenYears counts the runs of a schedule on each day of ten years; minute is
// the time of the day, if it has one.
func tenYears(t *testing.T, s *timespec.Schedule, seed string, f yearlyForm, minute int) {
	t.Helper()
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, s.Location)
	end := time.Date(2036, 1, 1, 0, 0, 0, 0, s.Location)
	delay := timespec.Delay(seed, s.Jitter)
	var want []string
	for day := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC); day.Year() < 2036; day = day.AddDate(0, 0, 1) {
		if f.on(day) {
			want = append(want, day.Format(time.DateOnly))
		}
	}
	n := 0
	for at := start.Add(delay - time.Second); ; n++ {
		next := s.Next(at, seed)
		if !next.After(at) {
			t.Fatalf("%s in %s: after %s comes %s", s.Spec, s.Location, at, next)
		}
		if !next.Add(-delay).Before(end) {
			break
		}
		if day := ranFor(next.Add(-delay).In(s.Location), minute); f.exact && (n == len(want) || day != want[n]) {
			t.Fatalf("%s in %s: run %d is of %s, want %q", s.Spec, s.Location, n, day, want[n:min(n+1, len(want))])
		}
		at = next
	}
	// The clocks change at most twice a year.
	if most := f.runs * len(want); f.exact && n != most || n < most-20 || n > most+20 {
		t.Fatalf("%s in %s: %d runs in ten years, want %d", s.Spec, s.Location, n, most)
	}
}
