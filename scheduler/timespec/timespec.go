// Package timespec is the schedule language: it turns texts like "daily
// 4:00", "*/5 * * * *" or "Mon..Fri 22:00" into a Spec, which tells the next
// occurrence after a given time in a given zone. All three syntaxes, plain
// English, cron and systemd's OnCalendar, come to one normal form, which has
// one canonical text.
//
// Fixed times of day run once a day: in the gap when clocks go forward at the
// first instant after it, in the fold when they go back at the first of the
// two occurrences. Repeating specs ("every N minutes", "hourly", cron lines
// that name no hour) follow real hours through both.
//
// A Schedule adds what else says when a job runs: the zone, jitter, blackout
// windows and whether missed runs are caught up.
//
// All functions are pure: they take the time as an argument, and the same
// arguments always give the same result.
package timespec

import (
	"strings"

	"github.com/shieldhq/shield"
)

// Limit is the length, in bytes, of the longest timespec.
const Limit = 1000

// A Spec is a parsed timespec in normal form. It is either a grid of minutes
// from each midnight, or a set of times of day on a set of days. Specs that
// mean the same by the rules of normal are equal.
type Spec struct {
	every int // minutes between runs of a grid; 0: not a grid
	from  int // minute of the day at which the grid begins, below every

	hours   uint32 // bit n: hour n
	minutes uint64 // bit n: minute n of each of the hours
	days    days

	zone string // the IANA zone that the text names, if it does
}

const (
	allHours   = 1<<24 - 1
	allMinutes = 1<<60 - 1
	minutesDay = 24 * 60
)

// Zone returns the IANA zone that the timespec ends with, or "". It is for
// the caller to apply; Next does not.
func (s Spec) Zone() string { return s.zone }

// repeating reports whether a spec names no hour, and so follows real hours
// when clocks change.
func (s Spec) repeating() bool { return s.every > 0 || s.hours == allHours }

// gridSpec is a run every so many minutes, beginning at a minute of the day.
func gridSpec(every, from int) Spec {
	from %= every
	if 60%every != 0 {
		return Spec{every: every, from: from}
	}
	// It is the same in each hour.
	s := Spec{hours: allHours, days: everyDay}
	for m := from % every; m < 60; m += every {
		s.minutes |= 1 << m
	}
	return s
}

// timeSpec is one time of day on some days.
func timeSpec(minute int, d days) Spec {
	return Spec{hours: 1 << (minute / 60), minutes: 1 << (minute % 60), days: d.normal()}
}

// Parse reads a timespec in any of the three syntaxes; docs/schedules.md
// lists them. An error is Invalid and says at which byte what was wrong and
// what would be right.
func Parse(text string) (Spec, error) {
	if len(text) > Limit {
		return Spec{}, shield.FieldErrorf("timespec", "has %d bytes: at most %d are allowed", len(text), Limit)
	}
	c := newCursor("timespec", text)
	zone, err := c.cutZone()
	if err != nil {
		return Spec{}, err
	}
	s, err := parserOf(c)(c)
	if err == nil && !c.done() {
		err = c.unexpected()
	}
	if err == nil && s.every == 0 && !s.days.exist() {
		err = shield.FieldErrorf("timespec", "%q: never comes: no month has such a day", text)
	}
	s.zone = zone
	return s, err
}

// parserOf tells the syntaxes apart. English begins with a letter or an
// ordinal; a cron line has five fields of which the first two have no
// letters; what else has digits and asterisks is OnCalendar.
func parserOf(c *cursor) func(*cursor) (Spec, error) {
	rest := c.rest()
	fields := strings.Fields(rest)
	switch {
	case rest == "":
		return english
	case rest[0] == '@':
		return cronName
	case shorthands[rest] != "":
		return shorthand
	case isLetter(rest[0]) && !calendarWeekday(rest), isOrdinal(rest):
		return english
	case isLetter(rest[0]):
		return onCalendar
	case len(fields) == 1 || strings.ContainsAny(rest, ":~") || strings.Contains(rest, ".."):
		return onCalendar
	case len(fields) == 2 && strings.Count(fields[0], "-") == 2:
		return onCalendar // a date and half a time: let it say so
	}
	return cron
}
