package timespec

import (
	"fmt"
	"math/bits"
	"slices"
	"strconv"
	"strings"
)

// String returns the canonical text, which parses to the same Spec: English
// where there is a form for it, else a cron line, else an OnCalendar text.
func (s Spec) String() string {
	text := s.english()
	if text == "" {
		text = s.cron()
	}
	if text == "" {
		text = s.onCalendar()
	}
	if s.zone != "" {
		text += " " + s.zone
	}
	return text
}

func (s Spec) english() string {
	switch {
	case s.every > 0:
		return s.gridText()
	case s.hours == allHours && s.days == everyDay:
		return s.hourText()
	}
	minute, single := s.single()
	if !single || !s.days.onlyDays() {
		return ""
	}
	d, at := &s.days, clockText(minute)
	switch {
	case *d == everyDay:
		return "daily " + at
	case d.anyDate():
		if names := d.weekText(); names != "" {
			return names + " " + at
		}
	case d.anyWeek() && d.ends <= 1:
		return "monthly " + at + " on " + d.dateText()
	}
	return ""
}

func (s Spec) gridText() string {
	text := fmt.Sprintf("every %d minutes", s.every)
	if s.every%60 == 0 && s.every < minutesDay {
		text = fmt.Sprintf("every %d hours", s.every/60)
	}
	if s.from > 0 {
		text += " from " + clockText(s.from)
	}
	return text
}

// hourText is a spec that is the same in each hour, if its minutes are
// evenly spaced through it.
func (s Spec) hourText() string {
	from, every := bits.TrailingZeros64(s.minutes), 60/bits.OnesCount64(s.minutes)
	switch {
	case s.minutes != gridSpec(every, from).minutes:
		return ""
	case every == 60:
		return fmt.Sprintf("hourly at :%02d", from)
	case every == 1:
		return "every minute"
	case from > 0:
		return fmt.Sprintf("every %d minutes from %s", every, clockText(from))
	}
	return fmt.Sprintf("every %d minutes", every)
}

// single returns the one minute of the day of a spec that has one.
func (s Spec) single() (int, bool) {
	return bits.TrailingZeros32(s.hours)*60 + bits.TrailingZeros64(s.minutes),
		bits.OnesCount32(s.hours) == 1 && bits.OnesCount64(s.minutes) == 1
}

func clockText(minute int) string { return fmt.Sprintf("%d:%02d", minute/60, minute%60) }

// span is a number of minutes in words.
func span(minutes int) string {
	switch {
	case minutes == 60:
		return "hour"
	case minutes == 1:
		return "minute"
	case minutes%60 == 0:
		return fmt.Sprintf("%d hours", minutes/60)
	}
	return fmt.Sprintf("%d minutes", minutes)
}

// names returns the weekdays of a set, with an ending.
func (w weekdays) names(ending string) []string {
	var names []string
	for i, name := range dayUnit.names {
		if w&(1<<i) != 0 {
			names = append(names, name+ending)
		}
	}
	return names
}

// weekText is "mondays, fridays" or "1st, 3rd tuesday", or "" where weeks
// differ in their weekdays.
func (d *days) weekText() string {
	if d.weeks == onWeekdays(d.whole()) {
		return strings.Join(d.whole().names("s"), ", ")
	}
	weeks, set, alike := d.someWeeks()
	if !alike {
		return ""
	}
	var names []string
	for _, week := range weeks {
		names = append(names, weekName(week))
	}
	return strings.Join(names, ", ") + " " + strings.Join(set.names(""), ", ")
}

// someWeeks returns the weeks that have weekdays, and those, if they are the
// same in each.
func (d *days) someWeeks() (weeks []int, set weekdays, alike bool) {
	alike = true
	for week, w := range d.weeks {
		if w == 0 {
			continue
		}
		alike = alike && (set == 0 || set == w)
		weeks, set = append(weeks, week), w
	}
	return weeks, set, alike && set != 0
}

func weekName(week int) string {
	if week == last {
		return "last"
	}
	return ordinal(week + 1)
}

func ordinal(n int) string {
	suffix := "th"
	if n/10 != 1 && 1 <= n%10 && n%10 <= 3 {
		suffix = suffixes[n%10-1]
	}
	return strconv.Itoa(n) + suffix
}

// dateText is "1st, 15th, last day".
func (d *days) dateText() string {
	var names []string
	for n := 1; n <= 31; n++ {
		if d.dates&(1<<n) != 0 {
			names = append(names, ordinal(n))
		}
	}
	if d.ends != 0 {
		names = append(names, "last day")
	}
	return strings.Join(names, ", ")
}

// cron is the spec as a cron line, or "" where it cannot be one.
func (s Spec) cron() string {
	d := &s.days
	if d.hasYears() {
		return ""
	}
	dates, weeks := d.cronDates(), d.cronWeeks()
	if !d.either && !d.anyDate() && !d.anyWeek() {
		// Both have to hold, which cron has only for fields like */2.
		if s.onCalendar() != "" {
			return ""
		}
		if n := starStep(uint64(d.dates), 1, 31); n > 0 && d.ends == 0 {
			dates = fmt.Sprintf("*/%d", n)
		} else {
			weeks = fmt.Sprintf("*/%d", starStep(uint64(d.whole()), 0, 6))
		}
	}
	return strings.Join([]string{
		setText(s.minutes, minuteUnit, "-"), setText(uint64(s.hours), hourUnit, "-"),
		dates, setText(uint64(d.months), monthUnit, "-"), weeks,
	}, " ")
}

// starStep returns the n for which */n is the set, or 0.
func starStep(set uint64, low, high int) int {
	for n := 2; n <= high-low; n++ {
		var all uint64
		for i := low; i <= high; i += n {
			all |= 1 << i
		}
		if all == set {
			return n
		}
	}
	return 0
}

func (d *days) cronDates() string {
	var parts []string
	if d.dates != 0 {
		parts = append(parts, setText(uint64(d.dates), dateUnit, "-"))
	}
	for n := range 31 {
		switch {
		case d.ends&(1<<n) == 0:
		case n == 0:
			parts = append(parts, "L")
		default:
			parts = append(parts, fmt.Sprintf("L-%d", n))
		}
	}
	return strings.Join(parts, ",")
}

func (d *days) cronWeeks() string {
	var parts []string
	whole := d.whole()
	if whole != 0 {
		u := dayUnit
		u.high = 6
		parts = append(parts, setText(uint64(whole), u, "-"))
	}
	for week, set := range d.weeks {
		for i := range dayUnit.names {
			switch {
			case (set&^whole)&(1<<i) == 0:
			case week == last:
				parts = append(parts, fmt.Sprintf("%dL", i))
			default:
				parts = append(parts, fmt.Sprintf("%d#%d", i, week+1))
			}
		}
	}
	return strings.Join(parts, ",")
}

// setText is a set of numbers as ranges, with a step where there are many.
func setText(set uint64, u unit, dash string) string {
	var all []int
	for n := u.low; n <= u.high; n++ {
		if set&(1<<n) != 0 {
			all = append(all, n)
		}
	}
	return numbersText(all, u, dash)
}

func numbersText(all []int, u unit, dash string) string {
	if len(all) == u.high-u.low+1 {
		return "*"
	}
	if step := stepOf(all); step > 1 {
		return fmt.Sprintf("%d%s%d/%d", all[0], dash, all[len(all)-1], step)
	}
	var parts []string
	for len(all) > 0 {
		n := 1
		for n < len(all) && all[n] == all[0]+n {
			n++
		}
		if n < 3 {
			n = 1
			parts = append(parts, strconv.Itoa(all[0]))
		} else {
			parts = append(parts, fmt.Sprintf("%d%s%d", all[0], dash, all[n-1]))
		}
		all = all[n:]
	}
	return strings.Join(parts, ",")
}

// stepOf returns the distance of numbers that are evenly spaced, if there
// are at least four.
func stepOf(all []int) int {
	if len(all) < 4 {
		return 0
	}
	step := all[1] - all[0]
	for i := range all[1:] {
		if all[i+1]-all[i] != step {
			return 0
		}
	}
	return step
}

// onCalendar is the spec as an OnCalendar text, or "" where it cannot be one.
func (s Spec) onCalendar() string {
	d := &s.days
	whole := d.weeks == onWeekdays(d.whole()) && d.whole() != 0
	if d.either || !whole || d.dates != 0 && d.ends != 0 {
		return ""
	}
	var parts []string
	if !d.anyWeek() {
		names := d.whole().names("")
		for i, name := range names {
			names[i] = strings.ToUpper(name[:1]) + name[1:3]
		}
		parts = append(parts, strings.Join(names, ","))
	}
	return strings.Join(append(parts, d.calendarDate(),
		setText(uint64(s.hours), hourUnit, "..")+":"+twoDigits(setText(s.minutes, minuteUnit, ".."))), " ")
}

func (d *days) calendarDate() string {
	var years []int
	for y := yearUnit.low; y <= yearUnit.high; y++ {
		if d.hasYear(y) || !d.hasYears() {
			years = append(years, y)
		}
	}
	text := numbersText(years, yearUnit, "..") + "-" + setText(uint64(d.months), monthUnit, "..")
	if d.dates != 0 {
		return text + "-" + setText(uint64(d.dates), dateUnit, "..")
	}
	// Written out: with a step, ~ counts backwards.
	var ends []string
	for n := range 31 {
		if d.ends&(1<<n) != 0 {
			ends = append(ends, strconv.Itoa(n+1))
		}
	}
	slices.Reverse(ends)
	return text + "~" + strings.Join(ends, ",")
}

// twoDigits writes a lone minute as clocks do.
func twoDigits(minute string) string {
	if len(minute) == 1 && isDigit(minute[0]) {
		return "0" + minute
	}
	return minute
}
