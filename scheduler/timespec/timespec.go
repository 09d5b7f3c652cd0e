// Package timespec is the schedule language: it turns texts like "daily
// 4:00" or "every 5 minutes" into a Spec, which tells the next occurrence
// after a given time in a given zone.
//
// Fixed times of day run once a day: in the gap when clocks go forward at the
// first instant after it, in the fold when they go back at the first of the
// two occurrences. Repeating specs ("every N minutes", "hourly") follow real
// hours through both.
package timespec

import (
	"fmt"
	"strings"
	"time"
)

// A kind is a way to repeat.
type kind int

const (
	everyMinutes kind = iota // a grid of minutes from each midnight
	hourly                   // at a minute of every hour
	daily                    // at a time of chosen days of the week
)

// A Spec is a parsed timespec in normal form.
type Spec struct {
	kind   kind
	every  int // minutes, 1 to 1440
	hour   int
	minute int
	days   days
}

// days is a set of days of the week, bit 0 being Sunday.
type days uint8

const allDays days = 1<<7 - 1

func (d days) has(w time.Weekday) bool { return d&(1<<w) != 0 }

// String returns the canonical text, which parses to the same Spec.
func (s Spec) String() string {
	switch {
	case s.kind == everyMinutes && s.every == 1:
		return "every minute"
	case s.kind == everyMinutes:
		return fmt.Sprintf("every %d minutes", s.every)
	case s.kind == hourly:
		return fmt.Sprintf("hourly at :%02d", s.minute)
	case s.days == allDays:
		return fmt.Sprintf("daily %d:%02d", s.hour, s.minute)
	}
	var names []string
	for w := time.Sunday; w <= time.Saturday; w++ {
		if s.days.has(w) {
			names = append(names, strings.ToLower(w.String())+"s")
		}
	}
	return fmt.Sprintf("%s %d:%02d", strings.Join(names, ", "), s.hour, s.minute)
}

// Next returns the first occurrence after t, strictly, in loc. Occurrences
// fall on whole minutes.
func (s Spec) Next(t time.Time, loc *time.Location) time.Time {
	t = t.In(loc)
	switch s.kind {
	case everyMinutes:
		return s.nextOnGrid(t)
	case hourly:
		return s.nextHourly(t)
	}
	return s.nextDaily(t)
}

func (s Spec) nextOnGrid(t time.Time) time.Time {
	step := time.Duration(s.every) * time.Minute
	midnight := clock(t, 0, 0, 0)
	next := midnight.Add((t.Sub(midnight)/step + 1) * step)
	if tomorrow := clock(t, 1, 0, 0); !next.Before(tomorrow) {
		return tomorrow
	}
	return next
}

func (s Spec) nextHourly(t time.Time) time.Time {
	c := t.Truncate(time.Minute).Add(time.Minute)
	// A zone whose clock moves by less than an hour may shift the minute
	// under way, so look again after the jump.
	for c.Minute() != s.minute {
		c = c.Add(time.Duration((s.minute-c.Minute()+60)%60) * time.Minute)
	}
	return c
}

func (s Spec) nextDaily(t time.Time) time.Time {
	// Two weeks hold every day of the week even where a zone skipped one.
	for day := 0; day <= 14; day++ {
		c := clock(t, day, s.hour, s.minute)
		if c.After(t) && s.days.has(dayOf(t, day)) {
			return c
		}
	}
	return time.Time{}
}

// dayOf returns the weekday of t's date plus so many days, by the calendar.
func dayOf(t time.Time, plus int) time.Weekday {
	y, m, d := t.Date()
	return time.Date(y, m, d+plus, 12, 0, 0, 0, time.UTC).Weekday()
}

// clock returns the instant at which the clocks of t's zone show h:m, so
// many days after t's date: the first of two in a fold, the first instant
// after the gap where it is not shown at all.
func clock(t time.Time, plus, h, m int) time.Time {
	y, mo, d := t.Date()
	c := time.Date(y, mo, d+plus, h, m, 0, 0, t.Location())
	want := time.Date(y, mo, d+plus, h, m, 0, 0, time.UTC)
	_, offset := c.Zone()
	start, end := c.ZoneBounds()
	shown := c.Add(time.Duration(offset) * time.Second).UTC()
	switch {
	case shown.After(want):
		return start
	case shown.Before(want):
		return end
	case start.IsZero():
		return c
	}
	_, before := start.Add(-time.Second).Zone()
	if first := want.Add(-time.Duration(before) * time.Second); first.Before(start) {
		return first.In(t.Location())
	}
	return c
}
