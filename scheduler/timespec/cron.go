package timespec

import (
	"strings"
)

// shorthands are names of schedules, as systemd has them, in OnCalendar's
// terms.
var shorthands = map[string]string{
	"minutely":     "*-*-* *:*",
	"hourly":       "*-*-* *:00",
	"daily":        "*-*-* 0:00",
	"weekly":       "Mon *-*-* 0:00",
	"monthly":      "*-*-1 0:00",
	"quarterly":    "*-1,4,7,10-1 0:00",
	"semiannually": "*-1,7-1 0:00",
	"yearly":       "*-1-1 0:00",
	"annually":     "*-1-1 0:00",
}

// cronNames are those of cron, which begins its week on Sunday.
var cronNames = map[string]string{
	"@hourly":   "0 * * * *",
	"@daily":    "0 0 * * *",
	"@midnight": "0 0 * * *",
	"@weekly":   "0 0 * * 0",
	"@monthly":  "0 0 1 * *",
	"@yearly":   "0 0 1 1 *",
	"@annually": "0 0 1 1 *",
}

func cronName(c *cursor) (Spec, error) {
	name := c.rest()
	line, known := cronNames[name]
	switch {
	case known:
		c.pos = c.end
		return cron(newCursor(c.field, line))
	case strings.HasPrefix(name, "@every"):
		return Spec{}, c.errorf(`@every is not known: "every 5 minutes" would be right`)
	case name == "@reboot":
		return Spec{}, c.errorf("@reboot names no time: a schedule cannot have it")
	}
	c.pos++
	return Spec{}, c.unknown("@hourly, @daily, @weekly, @monthly or @yearly was expected",
		"hourly", "daily", "midnight", "weekly", "monthly", "yearly", "annually")
}

// cron reads five fields: minute, hour, day of the month, month, day of the
// week.
func cron(c *cursor) (Spec, error) {
	fields := strings.Fields(c.rest())
	if len(fields) != 5 {
		hint := forms
		if len(fields) == 6 {
			hint = "leave out the seconds"
		}
		return Spec{}, c.errorf("a cron line has five fields, minute, hour, day of the month, month and day of the week; %d were found: %s", len(fields), hint)
	}
	s := Spec{days: days{}}
	_, err := c.cronField(minuteUnit, func(n int) { s.minutes |= 1 << n })
	if err != nil {
		return s, err
	}
	_, err = c.cronField(hourUnit, func(n int) { s.hours |= 1 << n })
	if err != nil {
		return s, err
	}
	allDates, err := c.cronDates(&s.days)
	if err != nil {
		return s, err
	}
	if _, err = c.cronField(monthUnit, func(n int) { s.days.months |= 1 << n }); err != nil {
		return s, err
	}
	allWeeks, err := c.cronWeekdays(&s.days)
	if err != nil {
		return s, err
	}
	// This is cron's rule: where both are restricted, either is enough, and
	// what begins with an asterisk counts as not restricted, even */2.
	s.days.either = !allDates && !allWeeks
	s.days = s.days.normal()
	return s, nil
}

// cronField reads one field and reports whether it is * or */N.
func (c *cursor) cronField(u unit, add func(int)) (bool, error) {
	c.skipSpace()
	if c.glued("?") {
		for n := u.low; n <= u.high; n++ {
			add(n)
		}
		return true, c.endField()
	}
	first, err := c.list(u, "-", add)
	if err != nil {
		return false, err
	}
	return first.all, c.endField()
}

// endField checks that white space follows.
func (c *cursor) endField() error {
	if c.pos < c.end && !isSpace(c.text[c.pos]) {
		return c.errorf("a field of a cron line is a list like 1,5-7 or */2, and ends with white space")
	}
	return nil
}

// cronDates reads days of the month with L, the last, and L-2, two before it.
func (c *cursor) cronDates(d *days) (bool, error) {
	if c.skipSpace(); !strings.Contains(c.fieldText(), "l") {
		all, err := c.cronField(dateUnit, func(n int) { d.dates |= 1 << n })
		if err != nil && c.pos < c.end && c.lower[c.pos] == 'w' {
			err = c.errorf("W, the nearest working day, is not known")
		}
		return all, err
	}
	for {
		if c.glued("l") {
			back := 0
			if c.glued("-") {
				var err error
				if back, err = c.number(unit{name: "days before the last", plural: "days before the last", low: 1, high: 30}); err != nil {
					return false, err
				}
			}
			d.ends |= 1 << back
		} else {
			i, err := c.item(dateUnit, "-")
			if err != nil {
				return false, err
			}
			i.each(func(n int) { d.dates |= 1 << n })
		}
		if !c.glued(",") {
			return false, c.endField()
		}
	}
}

// fieldText is the field at the cursor.
func (c *cursor) fieldText() string {
	field, _, _ := strings.Cut(c.lower[c.pos:c.end], " ")
	field, _, _ = strings.Cut(field, "\t")
	return field
}

// cronWeekdays reads days of the week with 2#1, the first Tuesday of a month,
// and 5L, its last Friday.
func (c *cursor) cronWeekdays(d *days) (bool, error) {
	c.skipSpace()
	if c.glued("?") {
		d.weeks = everyDay.weeks
		return true, c.endField()
	}
	all := false
	for n := 0; ; n++ {
		i, err := c.cronWeekday(d)
		if err != nil {
			return false, err
		}
		all = n == 0 && i.all
		if !c.glued(",") {
			return all, c.endField()
		}
	}
}

func (c *cursor) cronWeekday(d *days) (item, error) {
	u := dayUnit
	if strings.HasPrefix(c.lower[c.pos:c.end], "*") {
		u.high = 6 // Sunday has two numbers, but */2 means one of them
	}
	i, err := c.item(u, "-")
	if err != nil {
		return i, err
	}
	weeks := []int{0, 1, 2, 3, 4}
	switch {
	case i.single && c.glued("#"):
		n, err := c.number(unit{name: "week", plural: "weeks of a month", low: 1, high: 5})
		if err != nil {
			return i, err
		}
		weeks = []int{n - 1}
	case i.single && c.glued("l"):
		weeks = []int{last}
	}
	i.each(func(n int) {
		for _, week := range weeks {
			d.weeks[week] |= 1 << (n % 7)
		}
	})
	return i, nil
}
