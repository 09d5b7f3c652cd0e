package timespec_test

import (
	"errors"
	"fmt"
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

// TestTenYears lets a virtual clock run through ten years of 10,000
// schedules, with all their zones and jitter, and counts their runs.
func TestTenYears(t *testing.T) {
	n := 10_000
	switch {
	case testing.Short():
		n = 300
	case slow:
		n = 2_000
	}
	type state struct {
		text      string
		seed      string
		s         *timespec.Schedule
		due       time.Time
		runs      int
		low, high int // runs to expect
		most      time.Duration
	}
	const day = 24 * time.Hour
	start := instant(t, "2026-01-01T00:00:00Z")
	end := instant(t, "2036-01-01T00:00:00Z")
	all := make([]state, n)
	for i := range all {
		st := &all[i]
		st.seed = fmt.Sprint(i)
		clock := fmt.Sprintf("%d:%02d", i%24, i/24%60)
		switch {
		case i%1000 == 0:
			st.text, st.low, st.high, st.most = "hourly at :15", 3652*24-100, 3652*24+20, 2*time.Hour
		case i%11 == 0:
			st.text, st.low, st.high, st.most = "daily "+clock, 3651, 3652, 26*time.Hour
		case i%3 == 0:
			st.text, st.low, st.high, st.most = fmt.Sprintf("monthly %s on %d", clock, i%28+1), 119, 120, 32*day
		case i%3 == 1:
			st.text, st.low, st.high, st.most = fmt.Sprintf("last friday %s", clock), 119, 121, 36*day
		default:
			st.text, st.low, st.high, st.most = fmt.Sprintf("%s %s", []string{"mondays", "sundays"}[i%2], clock), 521, 523, 7*day+2*time.Hour
		}
		zone := peculiar[i%len(peculiar)].name
		var err error
		st.s, err = timespec.New(&shield.Schedule{Meta: shield.Meta{Name: "s"}, Timespec: st.text, Timezone: zone, Jitter: int64(i % 3600)})
		if err != nil {
			t.Fatal(err)
		}
		st.due = st.s.Next(start, st.seed)
	}
	for now := start; now.Before(end); now = now.Add(day) {
		for i := range all {
			st := &all[i]
			for st.due.Before(now.Add(day)) {
				next := st.s.Next(st.due, st.seed)
				if gap := next.Sub(st.due); gap <= 0 || gap > st.most {
					t.Fatalf("%s in %s: %s after %s comes %s", st.text, st.s.Location, gap, st.due, next)
				}
				st.due = next
				st.runs++
			}
		}
	}
	for i := range all {
		if st := &all[i]; st.runs < st.low || st.runs > st.high {
			t.Errorf("%s in %s ran %d times in ten years, want %d to %d", st.text, st.s.Location, st.runs, st.low, st.high)
		}
	}
}
