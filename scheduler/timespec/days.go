package timespec

import (
	"math/bits"
	"time"
)

// weekdays is a set of days of the week, bit 0 being Sunday.
type weekdays uint8

const allWeekdays weekdays = 1<<7 - 1

// Years can be named from firstYear on.
const (
	firstYear = 1970
	yearCount = 256
)

// last is the index in days.weeks of the last of a weekday in a month.
const last = 5

// days is a set of days: those that are among its dates and among its weeks
// or, if either is set, among one of them; in its months and years.
type days struct {
	dates  uint32      // bit n: day n of the month
	ends   uint32      // bit n: the day n days before the last of the month
	weeks  [6]weekdays // weeks[n]: weekdays of which it is the n+1st in the month
	either bool
	months uint16 // bit n: month n
	years  [yearCount / 64]uint64
}

const (
	allDates  = 1<<32 - 2
	allMonths = 1<<13 - 2
)

var everyDay = days{dates: allDates, weeks: onWeekdays(allWeekdays), months: allMonths}

var allYears = [yearCount / 64]uint64{1<<64 - 1, 1<<64 - 1, 1<<64 - 1, 1<<64 - 1}

// onWeekdays is every occurrence of some weekdays.
func onWeekdays(w weekdays) [6]weekdays { return [6]weekdays{w, w, w, w, w, 0} }

// whole returns the weekdays that are in the set in every week.
func (d *days) whole() weekdays {
	w := d.weeks[0]
	for _, x := range d.weeks[1:last] {
		w &= x
	}
	return w
}

func (d *days) anyDate() bool { return d.dates == allDates }
func (d *days) anyWeek() bool { return d.whole() == allWeekdays }

// onlyDays reports whether neither months nor years narrow the set.
func (d *days) onlyDays() bool { return d.months == allMonths && !d.hasYears() }

func (d *days) hasYears() bool { return d.years != [yearCount / 64]uint64{} }

func (d *days) addYear(y int) { d.years[(y-firstYear)/64] |= 1 << ((y - firstYear) % 64) }

func (d *days) hasYear(y int) bool {
	n := y - firstYear
	return 0 <= n && n < yearCount && d.years[n/64]&(1<<(n%64)) != 0
}

// normal makes sets that are written differently and mean the same equal.
func (d days) normal() days {
	if d.ends == 1<<31-1 {
		d.dates = allDates
	}
	if d.either && (d.anyDate() || d.anyWeek()) {
		d.dates, d.weeks, d.either = allDates, everyDay.weeks, false
	}
	if d.anyDate() {
		d.ends = 0
	}
	d.weeks[last] &^= d.whole()
	if d.years == allYears {
		d.years = everyDay.years
	}
	return d
}

// exist reports whether there is any such day.
func (d *days) exist() bool {
	_, ok := d.next(dayNumber(firstYear, time.January, 1))
	return ok
}

// next returns the first day of the set at or after a day, both counted from
// 1970-01-01.
func (d *days) next(day int64) (int64, bool) {
	if *d == everyDay {
		return day, true
	}
	y, m, date := civil(day)
	if d.hasYears() && y < firstYear {
		y, m, date = firstYear, time.January, 1
	}
	// The calendar repeats itself after 400 years.
	for range 12 * 401 {
		if set := d.in(y, m) >> date << date; set != 0 {
			return dayNumber(y, m, bits.TrailingZeros32(set)), true
		}
		if m, date = m+1, 1; m > time.December {
			y, m = y+1, time.January
		}
	}
	return 0, false
}

// has reports whether a day is in the set.
func (d *days) has(day int64) bool {
	next, ok := d.next(day)
	return ok && next == day
}

// in returns the days of a month that are in the set, bit n being day n.
func (d *days) in(y int, m time.Month) uint32 {
	if d.months&(1<<m) == 0 || d.hasYears() && !d.hasYear(y) {
		return 0
	}
	first := dayNumber(y, m, 1)
	length := int(dayNumber(y, m+1, 1) - first)
	dates := d.dates
	for ends := d.ends; ends != 0; ends &= ends - 1 {
		if n := length - bits.TrailingZeros32(ends); n > 0 {
			dates |= 1 << n
		}
	}
	set := d.inWeeks(weekdayOf(first), length)
	if d.either {
		set |= dates
	} else {
		set &= dates
	}
	return set & (1<<(length+1) - 2)
}

// inWeeks returns the days of a month that begins on a weekday which weeks
// has.
func (d *days) inWeeks(first time.Weekday, length int) uint32 {
	// turned has bit 0 for the weekday of the first of the month.
	turned := func(w weekdays) uint32 {
		return (uint32(w)>>first | uint32(w)<<(7-first)) & uint32(allWeekdays)
	}
	var set uint64
	for week, w := range d.weeks[:last] {
		set |= uint64(turned(w)) << (7*week + 1)
	}
	for w := turned(d.weeks[last]); w != 0; w &= w - 1 {
		n := bits.TrailingZeros32(w)
		set |= 2 << (n + (length-1-n)/7*7)
	}
	return uint32(set)
}

// dayNumber counts days from 1970-01-01. Month 13 is January of the next
// year.
func dayNumber(y int, m time.Month, d int) int64 {
	return floorDiv(time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix(), daySeconds)
}

func civil(day int64) (int, time.Month, int) {
	return time.Unix(day*daySeconds, 0).UTC().Date()
}

func weekdayOf(day int64) time.Weekday {
	return time.Weekday(((day+4)%7 + 7) % 7)
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
