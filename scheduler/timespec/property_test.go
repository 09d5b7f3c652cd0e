package timespec_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/robfig/cron/v3"
	"pgregory.net/rapid"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/scheduler/timespec"
)

// peculiar are zones whose clocks do what others do not, and a year in which
// they do.
var peculiar = []struct {
	name string
	year int
}{
	{"UTC", 2026}, {"America/New_York", 2026}, {"Europe/London", 2026}, {"Africa/Cairo", 2026},
	{"America/Sao_Paulo", 2018}, {"Australia/Lord_Howe", 2026}, {"Pacific/Apia", 2011}, {"Asia/Kathmandu", 1985},
	{"America/Havana", 2026}, {"Asia/Beirut", 2026}, {"America/Nuuk", 2026}, {"Africa/Casablanca", 2026},
	{"Antarctica/Troll", 2026}, {"Pacific/Kwajalein", 1993}, {"America/Toronto", 1919}, {"Asia/Manila", 1844},
	{"America/Juneau", 1867}, {"Africa/Monrovia", 1972}, {"Europe/Dublin", 2026}, {"Pacific/Chatham", 2026},
}

func anyTime(rt *rapid.T, loc *time.Location, year int) time.Time {
	start := time.Date(year, 1, 1, 0, 0, 0, 0, loc)
	return start.Add(time.Duration(rapid.Int64Range(-10*24*3600, 400*24*3600).Draw(rt, "seconds")) * time.Second)
}

// anySpec draws a text of one of the syntaxes.
func anySpec(rt *rapid.T) string {
	number := func(label string, low, high int) int { return rapid.IntRange(low, high).Draw(rt, label) }
	hm := func() string { return fmt.Sprintf("%d:%02d", number("hour", 0, 23), number("minute", 0, 59)) }
	field := func(label string, low, high int, more ...string) string {
		all := append([]string{"*", "*", fmt.Sprintf("*/%d", number("step", 2, 6)),
			fmt.Sprint(number(label, low, high)), fmt.Sprintf("%d,%d", number(label, low, high), number(label, low, high)),
			fmt.Sprintf("%d-%d/2", low, number(label, low, high))}, more...)
		return rapid.SampledFrom(all).Draw(rt, label)
	}
	day := rapid.SampledFrom([]string{"mondays", "weekdays", "sat, sun", "1st tuesday", "5th friday", "last sunday", "daily", "daily"}).Draw(rt, "days")
	switch rapid.IntRange(0, 6).Draw(rt, "form") {
	case 0:
		n := number("every", 1, 1440)
		return fmt.Sprintf("every %d minutes from %d:%02d", n, (n-1)/60, (n-1)%60)
	case 1:
		return fmt.Sprintf("hourly at :%02d", number("minute", 0, 59))
	case 2:
		return "daily " + hm()
	case 3:
		return fmt.Sprintf("monthly %s on %d", hm(), number("date", 1, 31))
	case 4:
		return fmt.Sprintf("%s %s %s %s %s", field("minute", 0, 59), field("hour", 0, 23), field("date", 1, 31, "L", "1,L-3"),
			field("month", 1, 12), field("weekday", 0, 7, "1#1", "5L", "0L,1#2,3"))
	case 5:
		return fmt.Sprintf("Mon..Thu *-%d..%d~%d/1 %s", number("month", 1, 6), number("month", 6, 12), number("date", 1, 12), hm())
	}
	return day + " " + hm()
}

// TestSpecsAreSound: for any spec, zone and time, the next occurrence is
// after it, is the next for all times before it, and shows a whole minute;
// the canonical text means the same.
func TestSpecsAreSound(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		text := anySpec(rt)
		s, err := timespec.Parse(text)
		if err != nil {
			if strings.Contains(err.Error(), "never comes") || strings.Contains(err.Error(), "backwards") {
				return
			}
			rt.Fatal(err)
		}
		again, err := timespec.Parse(s.String())
		if err != nil || again != s {
			rt.Fatalf("%q: its canonical text %q parses to %v, %v", text, s, again, err)
		}
		place := rapid.SampledFrom(peculiar).Draw(rt, "zone")
		loc := zone(t, place.name)
		at := anyTime(rt, loc, place.year)
		for range 20 {
			next := s.Next(at, loc)
			if next.IsZero() {
				return
			}
			if !next.After(at) || next.Second() != 0 && next.Year() > 1972 {
				rt.Fatalf("%s in %s: after %s comes %s", text, loc, at, next)
			}
			between := at.Add(time.Duration(rapid.Int64Range(0, int64(next.Sub(at))-1).Draw(rt, "between")))
			if other := s.Next(between, loc); !other.Equal(next) {
				rt.Fatalf("%s in %s: after %s comes %s, but after %s, between them, %s", text, loc, at, next, between, other)
			}
			at = next
		}
	})
}

// TestDailyIsDaily: a time of day comes once each local day, in every zone.
func TestDailyIsDaily(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		place := rapid.SampledFrom(peculiar).Draw(rt, "zone")
		loc := zone(t, place.name)
		minute := rapid.IntRange(0, 24*60-1).Draw(rt, "minute")
		s := parse(t, fmt.Sprintf("daily %d:%02d", minute/60, minute%60))
		at := time.Date(place.year, 1, 1, 12, 0, 0, 0, loc)
		day := ""
		for range 400 {
			next := s.Next(at, loc)
			if gap := next.Sub(at); gap <= 0 || gap > 49*time.Hour {
				rt.Fatalf("%s in %s: %s between %s and %s", s, loc, gap, at, next)
			}
			date := ranFor(next, minute)
			if date <= day {
				rt.Fatalf("%s in %s: two runs of %s, the second at %s", s, loc, day, next)
			}
			day, at = date, next
		}
	})
}

// ranFor is the local day that a run belongs to. Where clocks go forward at
// the end of a day, what falls in that gap runs at the start of the next.
func ranFor(t time.Time, minute int) string {
	start, _ := t.ZoneBounds()
	if t.Hour()*60+t.Minute() < minute && t.Equal(start) {
		return t.Add(-time.Second).Format(time.DateOnly)
	}
	return t.Format(time.DateOnly)
}

// TestAgainstEveryMinute compares fixed times with a look at every minute of
// the clock: a time of day runs when it is first shown or, if it never is,
// at the first later time shown.
func TestAgainstEveryMinute(t *testing.T) {
	for _, place := range peculiar {
		if place.year < 1970 || place.name == "Africa/Monrovia" {
			continue // offsets with seconds: minutes do not begin together
		}
		loc := zone(t, place.name)
		change, ok := timespec.NextChange(time.Date(place.year, 1, 1, 0, 0, 0, 0, loc), loc)
		for ; ok && change.At.Year() <= place.year+1; change, ok = timespec.NextChange(change.At, loc) {
			for minute := 0; minute < 24*60; minute += 7 {
				s := parse(t, fmt.Sprintf("daily %d:%02d", minute/60, minute%60))
				from := change.At.Add(-50 * time.Hour)
				want := firstShown(from, loc, minute, 100)
				for _, w := range want {
					next := s.Next(from, loc)
					if !next.Equal(w) {
						t.Fatalf("%s in %s after %s: got %s, want %s", s, loc, from, next, w)
					}
					from = next
				}
			}
		}
	}
}

// firstShown walks so many hours minute by minute and returns the runs of a
// daily time of day in them.
func firstShown(from time.Time, loc *time.Location, minute, hours int) []time.Time {
	var runs []time.Time
	wall := func(u int64) int64 { // local minutes
		_, offset := time.Unix(u, 0).In(loc).Zone()
		return (u + int64(offset)) / 60
	}
	start := from.Unix()/60*60 + 60
	highest := wall(start - 60)
	for u := start; u < start+int64(hours)*3600; u += 60 {
		shown := wall(u)
		if shown <= highest { // in a fold
			continue
		}
		due := false
		for w := highest + 1; w <= shown; w++ {
			due = due || w%(24*60) == int64(minute)
		}
		if due {
			runs = append(runs, time.Unix(u, 0))
		}
		highest = shown
	}
	return dropStandIns(runs, minute, loc)
}

// dropStandIns drops runs at the start of a day, after one was left out, that
// has its own run later.
func dropStandIns(runs []time.Time, minute int, loc *time.Location) []time.Time {
	var kept []time.Time
	for _, r := range runs {
		_, after := r.In(loc).Zone()
		_, before := r.Add(-time.Second).In(loc).Zone()
		l := r.In(loc)
		if after-before >= 24*3600 && l.Hour()*60+l.Minute() < minute {
			continue
		}
		kept = append(kept, r)
	}
	return kept
}

// TestAgainstRobfig compares cron lines with a well-known library where no
// clock changes.
func TestAgainstRobfig(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	n := 3000
	if testing.Short() {
		n = 300
	}
	for range n {
		line := cronLine(r)
		theirs, err := cron.ParseStandard(line)
		if err != nil {
			t.Fatal(line, err)
		}
		ours, err := timespec.Parse(line)
		if err != nil {
			if at := theirs.Next(time.Unix(0, 0).UTC()); at.IsZero() {
				continue // it never comes
			}
			t.Fatal(err)
		}
		at := time.Unix(1_700_000_000+r.Int64N(100_000_000), r.Int64N(1_000_000_000)).UTC()
		for range 10 {
			want, got := theirs.Next(at), ours.Next(at, time.UTC)
			if want.IsZero() { // they look five years ahead
				break
			}
			if !got.Equal(want) {
				t.Fatalf("%s after %s: got %s, want %s", line, at, got, want)
			}
			at = got
		}
	}
}

// cronLine leaves out */N for days: they take it for restricted, cron does
// not.
func cronLine(r *rand.Rand) string {
	field := func(low, high int, star bool) string {
		a := low + r.IntN(high-low+1)
		b := a + r.IntN(high-a+1)
		switch r.IntN(6) {
		case 0:
			if star {
				return fmt.Sprintf("*/%d", 2+r.IntN(8))
			}
			return "*"
		case 1:
			return fmt.Sprint(a)
		case 2:
			return fmt.Sprintf("%d-%d", a, b)
		case 3:
			return fmt.Sprintf("%d,%d", a, b)
		case 4:
			return fmt.Sprintf("%d-%d/%d", a, b, 1+r.IntN(5))
		}
		return "*"
	}
	return strings.Join([]string{field(0, 59, true), field(0, 23, true), field(1, 31, false), field(1, 12, true), field(0, 6, false)}, " ")
}

// checkText holds a text to what is true of every one.
func checkText(t *testing.T, text string) {
	t.Helper()
	s, err := timespec.Parse(text)
	if err != nil {
		if !errors.Is(err, shield.Invalid) {
			t.Fatalf("%q: %v is not Invalid", text, err)
		}
		return
	}
	again, err := timespec.Parse(s.String())
	if err != nil || again != s || again.String() != s.String() {
		t.Fatalf("%q: canonical %q parses to %v, %v", text, s, again, err)
	}
	if s.Meaning() == "" {
		t.Fatalf("%q means nothing", text)
	}
	loc := zone(t, "America/New_York")
	at := time.Date(2026, 10, 30, 1, 2, 3, 4, loc)
	for range 3 {
		next := s.Next(at, loc)
		if next.IsZero() && !strings.Contains(s.Meaning(), " of ") {
			t.Fatalf("%q has no occurrence after %s", text, at)
		}
		if next.IsZero() {
			return
		}
		if !next.After(at) {
			t.Fatalf("%q does not advance after %s", text, at)
		}
		at = next
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"every 5 minutes", "daily 4:30 pm", "mon, tue and wed 6am", "hourly at h:5", "every", "1st and last friday at 6",
		"monthly at 2am on 15th, last day", "every 90 minutes from 0:45", "every half hour from :10", "weekly at 1am on thursday", "@daily",
		"*/5 0-23/2 L 1 5L", "Mon..Fri *-*~1 4:00", "daily 4:00 Europe/Rome", "quarterly"} {
		f.Add(s)
	}
	f.Fuzz(checkText)
}

func FuzzCron(f *testing.F) {
	f.Add("*/5", "0-23/2", "L,L-3,1", "JAN,3", "1#2,5L")
	f.Add("0", "4", "1", "*", "1")
	f.Add("59", "?", "*/2", "2-12/5", "*/2")
	f.Fuzz(func(t *testing.T, minute, hour, date, month, weekday string) {
		checkText(t, strings.Join([]string{minute, hour, date, month, weekday}, " "))
	})
}

func FuzzOnCalendar(f *testing.F) {
	f.Add("Mon..Fri", "2026..2030/2-*-1,15", "4:00:00")
	f.Add("Sat,Sun", "*-02~07/1", "*:0/15")
	f.Add("", "12-24", "8..18/2:30")
	f.Fuzz(func(t *testing.T, weekdays, date, clock string) {
		checkText(t, strings.Join([]string{weekdays, date, clock}, " "))
	})
}

func FuzzWindow(f *testing.F) {
	for _, s := range []string{"weekdays 8:00 to 18:00", "22:00-2:00", "sundays", "last friday 20:00 to 6:00", "monthly on 1st, last day noon to midnight", "daily"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		w, err := timespec.ParseWindow(text)
		if err != nil {
			if !errors.Is(err, shield.Invalid) {
				t.Fatalf("%q: %v is not Invalid", text, err)
			}
			return
		}
		again, err := timespec.ParseWindow(w.String())
		if err != nil || again != w {
			t.Fatalf("%q: canonical %q parses to %v, %v", text, w, again, err)
		}
		w.Holds(time.Unix(1_750_000_000, 0), time.UTC)
	})
}

// FuzzNext asks at any time, in zones with peculiar clocks.
func FuzzNext(f *testing.F) {
	f.Add("daily 2:30", uint8(1), int64(1_772_000_000))
	f.Add("every 7 hours from 6:59", uint8(6), int64(1_325_200_000))
	f.Add("*/7 * 29 2 1", uint8(4), int64(-5_000_000_000))
	f.Fuzz(func(t *testing.T, text string, place uint8, seconds int64) {
		s, err := timespec.Parse(text)
		if err != nil || seconds > 1<<36 || seconds < -1<<36 {
			return
		}
		loc := zone(t, peculiar[int(place)%len(peculiar)].name)
		at := time.Unix(seconds, 0)
		for range 5 {
			next := s.Next(at, loc)
			if next.IsZero() {
				return
			}
			if !next.After(at) {
				t.Fatalf("%s in %s: after %s comes %s", text, loc, at, next)
			}
			if mid := at.Add(next.Sub(at) / 2); !s.Next(mid, loc).Equal(next) {
				t.Fatalf("%s in %s: after %s comes %s, but after %s %s", text, loc, at, next, mid, s.Next(mid, loc))
			}
			at = next
		}
	})
}
