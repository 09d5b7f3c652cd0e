package timespec

import (
	"fmt"
	"math/bits"
	"strconv"
	"strings"
)

// Meaning returns what a spec means, as a sentence or two. What people are
// surprised by is said: grids that begin anew at midnight, and months that
// lack a day.
func (s Spec) Meaning() string {
	var text string
	switch {
	case s.every > 0:
		text = s.gridMeaning()
	case s.hours == allHours:
		text = s.hourMeaning() + s.days.meaning(false)
	default:
		text = "at " + s.timesMeaning() + s.days.meaning(true)
	}
	if s.zone != "" {
		text += ", in the time zone " + s.zone
	}
	text = strings.ToUpper(text[:1]) + text[1:] + "."
	if lack := s.lacking(); lack != "" {
		text += " " + lack
	}
	return text
}

func (s Spec) gridMeaning() string {
	text := "every " + span(s.every)
	switch {
	case s.from > 0:
		text += ", from " + clockText(s.from) + " each day"
	case s.every == minutesDay:
		return text + ", at midnight"
	}
	latest := s.from + (minutesDay-1-s.from)/s.every*s.every
	return text + ", counted anew from each midnight: the last run of a day is at " + clockText(latest) +
		", unless clocks change"
}

func (s Spec) hourMeaning() string {
	from, every := bits.TrailingZeros64(s.minutes), 60/bits.OnesCount64(s.minutes)
	switch {
	case s.minutes != gridSpec(every, from).minutes, every == 60:
		return "at " + numbersMeaning(s.minutes, 60, strconv.Itoa) + " past every hour"
	case from == 0:
		return "every " + span(every)
	}
	return fmt.Sprintf("every %s from %s", span(every), clockText(from))
}

// numbersMeaning counts minutes, as in "0 and 30 minutes".
func numbersMeaning(set uint64, limit int, name func(int) string) string {
	var all []string
	for n := range limit {
		if set&(1<<n) != 0 {
			all = append(all, name(n))
		}
	}
	if len(all) == 1 && all[0] == "1" {
		return "1 minute"
	}
	return joined(all, "and") + " minutes"
}

// timesMeaning lists times of day, or hours and minutes where there are many.
func (s Spec) timesMeaning() string {
	if n := bits.OnesCount32(s.hours) * bits.OnesCount64(s.minutes); n > 6 {
		var hours []string
		for h := range 24 {
			if s.hours&(1<<h) != 0 {
				hours = append(hours, strconv.Itoa(h))
			}
		}
		what := numbersMeaning(s.minutes, 60, strconv.Itoa)
		if s.minutes == allMinutes {
			what = "every minute"
		}
		return what + " past the hours " + joined(hours, "and")
	}
	var times []string
	for minute, ok := s.clock(0); ok; minute, ok = s.clock(minute + 1) {
		times = append(times, clockText(minute))
	}
	return joined(times, "and")
}

// meaning says which days, beginning with a space or a comma. Every day is
// said only where it is wanted.
func (d *days) meaning(sayAll bool) string {
	text := d.datesMeaning()
	if text == "" && sayAll && d.onlyDays() {
		return " every day"
	}
	if d.months != allMonths {
		var names []string
		for i, name := range monthUnit.names {
			if d.months&(2<<i) != 0 {
				names = append(names, strings.ToUpper(name[:1])+name[1:])
			}
		}
		if text == "" && sayAll {
			text = " every day"
		}
		text += " in " + joined(names, "and")
	}
	if d.hasYears() {
		var years []string
		for y := yearUnit.low; y <= yearUnit.high; y++ {
			if d.hasYear(y) {
				years = append(years, strconv.Itoa(y))
			}
		}
		if len(years) > 6 {
			years = append(years[:5], "later ones")
		}
		if text == "" && sayAll {
			text = " every day"
		}
		text += " of " + joined(years, "and")
	}
	return text
}

func (d *days) datesMeaning() string {
	dates, weeks := d.dateMeaning(), d.weekMeaning()
	switch {
	case d.anyDate() && d.anyWeek():
		return ""
	case d.anyDate():
		return " on " + weeks
	case d.anyWeek():
		return " on " + dates
	case d.either:
		return " on " + dates + ", and also on " + weeks
	}
	return " on " + dates + " if that is " + strings.ReplaceAll(weeks, " and ", " or ")
}

// dateMeaning is "the 1st, the 15th and the last day of the month".
func (d *days) dateMeaning() string {
	var names []string
	for n := 1; n <= 31; n++ {
		if d.dates&(1<<n) != 0 {
			names = append(names, "the "+ordinal(n))
		}
	}
	for n := 30; n >= 0; n-- {
		switch {
		case d.ends&(1<<n) == 0:
		case n == 0:
			names = append(names, "the last day")
		case n == 1:
			names = append(names, "the day before the last")
		default:
			names = append(names, fmt.Sprintf("the day %d days before the last", n))
		}
	}
	return joined(names, "and") + " of the month"
}

// weekMeaning is "Mondays and Fridays" or "the 1st and the 3rd Tuesday of
// the month".
func (d *days) weekMeaning() string {
	whole := d.whole()
	names := titles(whole.names("s"))
	nth := 0
	for week, set := range d.weeks {
		for _, name := range titles((set &^ whole).names("")) {
			names = append(names, "the "+weekName(week)+" "+name)
			nth++
		}
	}
	text := joined(names, "and")
	if nth > 0 {
		text += " of the month"
	}
	return text
}

func titles(names []string) []string {
	for i, n := range names {
		names[i] = strings.ToUpper(n[:1]) + n[1:]
	}
	return names
}

func joined(names []string, word string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:len(names)-1], ", ") + " " + word + " " + names[len(names)-1]
}

// lacking says which months are skipped for lack of a day.
func (s Spec) lacking() string {
	d := &s.days
	if s.every > 0 {
		return ""
	}
	if d.dates != allDates && d.dates&(1<<29|1<<30|1<<31) != 0 {
		return "A month that lacks such a day is skipped."
	}
	if d.weeks[4]&^d.whole() != 0 {
		return "A month without a fifth is skipped."
	}
	return ""
}
