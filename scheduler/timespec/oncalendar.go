package timespec

import (
	"slices"
	"strings"
)

// calendarWeekday reports whether a text that begins with a letter is an
// OnCalendar text with weekdays, not English.
func calendarWeekday(text string) bool {
	if !slices.ContainsFunc(dayUnit.names, func(name string) bool { return strings.HasPrefix(text, name[:3]) }) {
		return false
	}
	if strings.Contains(text, "..") && !strings.ContainsAny(text, " \t0123456789") {
		return true // "Mon..Fri", at midnight
	}
	return slices.ContainsFunc(strings.Fields(text), func(f string) bool {
		return strings.ContainsAny(f, "*~/") || strings.Count(f, ":") == 2 || isDigit(f[0]) && strings.Contains(f, "-")
	})
}

func shorthand(c *cursor) (Spec, error) {
	text := shorthands[c.rest()]
	c.pos = c.end
	return onCalendar(newCursor(c.field, text))
}

// onCalendar reads [weekdays] [date] [time], of which one has to be there.
func onCalendar(c *cursor) (Spec, error) {
	s := Spec{hours: 1, minutes: 1, days: everyDay}
	given := false
	if rest := c.rest(); rest != "" && isLetter(rest[0]) {
		set, err := c.calendarWeekdays()
		if err != nil {
			return s, err
		}
		s.days.weeks, given = onWeekdays(set), true
	}
	if word := c.word(); strings.ContainsAny(word, "-~") {
		if err := c.calendarDate(word, &s.days); err != nil {
			return s, err
		}
		given = true
	}
	if word := c.word(); strings.Contains(word, ":") {
		if err := c.calendarTime(&s); err != nil {
			return s, err
		}
		given = true
	}
	if !given {
		return s, c.errorf("%s", forms)
	}
	s.days = s.days.normal()
	return s, nil
}

// word is what comes before the next white space.
func (c *cursor) word() string {
	rest := c.rest()
	if i := strings.IndexFunc(rest, func(r rune) bool { return r < 128 && isSpace(byte(r)) }); i >= 0 {
		return rest[:i]
	}
	return rest
}

func (c *cursor) calendarWeekdays() (weekdays, error) {
	u := dayUnit
	var set weekdays
	for {
		from, err := c.value(u)
		if err != nil {
			return 0, err
		}
		to := from
		if c.glued("..") || c.glued("-") {
			if to, err = c.value(u); err != nil {
				return 0, err
			}
		}
		set |= weekdaysFrom(from%7, to%7)
		if !c.accept(",") {
			return set, nil
		}
		c.skipSpace()
	}
}

// calendarDate reads YEAR-MONTH-DAY, MONTH-DAY or the same with ~DAY, which
// counts from the end of the month.
func (c *cursor) calendarDate(word string, d *days) error {
	if strings.Count(word, "-")+strings.Count(word, "~") > 1 {
		first, err := c.list(yearUnit, "..", d.addYear)
		if err != nil {
			return err
		}
		if first.all && first.step == 1 {
			d.years = everyDay.years
		}
		if !c.glued("-") {
			return c.errorf(`"-" and a month were expected`)
		}
	}
	d.months = 0
	if _, err := c.list(monthUnit, "..", func(n int) { d.months |= 1 << n }); err != nil {
		return err
	}
	d.dates = 0
	switch {
	case c.glued("-"):
		_, err := c.list(dateUnit, "..", func(n int) { d.dates |= 1 << n })
		return err
	case c.glued("~"):
		return c.fromEnd(d)
	}
	return c.errorf(`"-" and a day, or "~" and a day before the end of the month, were expected`)
}

// fromEnd reads days counted from the end, 1 being the last. ~7/1 counts on
// to the last: it is the last seven days.
func (c *cursor) fromEnd(d *days) error {
	for {
		i, err := c.item(dateUnit, "..")
		if err != nil {
			return err
		}
		if !i.all && i.to == dateUnit.high && i.from < i.to {
			for n := i.from; n >= 1; n -= i.step {
				d.ends |= 1 << (n - 1)
			}
		} else {
			i.each(func(n int) { d.ends |= 1 << (n - 1) })
		}
		if !c.glued(",") {
			return nil
		}
	}
}

// calendarTime reads HOUR:MINUTE and seconds, which have to be 0.
func (c *cursor) calendarTime(s *Spec) error {
	s.hours, s.minutes = 0, 0
	if _, err := c.list(hourUnit, "..", func(n int) { s.hours |= 1 << n }); err != nil {
		return err
	}
	if !c.glued(":") {
		return c.errorf(`":" and a minute were expected`)
	}
	if _, err := c.list(minuteUnit, "..", func(n int) { s.minutes |= 1 << n }); err != nil {
		return err
	}
	if !c.glued(":") || c.glued("00") || c.glued("0") {
		return nil
	}
	return c.errorf("second %s: runs begin at whole minutes, so that only :00 is allowed", c.token())
}
