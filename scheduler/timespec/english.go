package timespec

import (
	"slices"
	"strings"
)

// forms are examples for those who wrote something else.
const forms = `"every 5 minutes", "hourly at :15", "daily 4:00", "sundays 8am", "monthly 2:00 on 15th", ` +
	`a cron line or an OnCalendar text would be right`

// beginnings are the words that English specs begin with.
var beginnings = slices.Concat([]string{
	"every", "hourly", "daily", "weekly", "monthly", "weekdays", "weekends", "last", "first",
}, dayUnit.names, plurals(dayUnit.names))

func plurals(words []string) []string {
	var all []string
	for _, w := range words {
		all = append(all, w+"s")
	}
	return all
}

// english reads the language of the table in docs/schedules.md. A keyword is
// read where the text goes on with it, so that white space can be left out
// everywhere: "dailyat4am".
func english(c *cursor) (Spec, error) {
	switch {
	case c.done():
		return Spec{}, c.errorf("is empty: %s", forms)
	case c.accept("every"):
		return c.everySpec()
	case c.accept("hourly"):
		return c.hourlySpec()
	case c.accept("daily"):
		return c.atTime(everyDay)
	case c.accept("weekly"):
		return c.onAndAt(func() (days, error) { return c.weekdayList() })
	case c.accept("monthly"):
		return c.onAndAt(c.dateList)
	}
	d, err := c.daysOfWeek()
	if err != nil {
		return Spec{}, err
	}
	return c.atTime(d)
}

func (c *cursor) everySpec() (Spec, error) {
	switch {
	case c.accept("minute"):
		return gridSpec(1, 0), nil
	case c.accept("half"):
		return c.partOfHour(30)
	case c.accept("quarter"):
		return c.partOfHour(15)
	case c.accept("hour", "hr"):
		return c.hourlySpec()
	case c.accept("day"):
		return c.atTime(everyDay)
	case c.done() || !isDigit(c.rest()[0]) || isOrdinal(c.rest()):
		at := c.pos
		if w := c.acceptWord("2nd", "3rd", "4th", "5th", "second", "third", "fourth", "fifth"); w != "" {
			c.pos = at
			return Spec{}, c.errorf(`"every %s" can also be once in several weeks: leave out "every" for the %s of each month`, w, w)
		}
		d, err := c.daysOfWeek()
		if err != nil {
			return Spec{}, err
		}
		return c.atTime(d)
	}
	return c.everySo()
}

// everySo reads "5 minutes from 0:03" and "4 hours from 3:15".
func (c *cursor) everySo() (Spec, error) {
	at := c.pos
	n, err := c.number(unit{name: "number", plural: "numbers of minutes", low: 0, high: minutesDay})
	if err != nil {
		return Spec{}, err
	}
	back := func(format string, args ...any) (Spec, error) {
		c.pos = at
		return Spec{}, c.errorf(format, args...)
	}
	switch {
	case c.accept("minutes", "minute"), !strings.HasPrefix(c.rest(), "minu") && c.accept("mins", "min"):
		if n < 1 {
			return back("number %d: numbers of minutes run 1 to %d", n, minutesDay)
		}
		return c.gridFrom(n, n)
	case c.accept("hours", "hour", "hrs", "hr"):
		if n > 23 {
			return back("number %d: numbers of hours run 1 to 23; \"daily 4:00\" is once a day", n)
		}
		// 0 hours is what the first shield took for hourly.
		n = max(n, 1) * 60
		return c.gridFrom(n, n-1)
	case c.accept("days", "day", "weeks", "week", "months", "month"):
		return back("days are not counted, since nothing says from which: name them, like \"mondays, thursdays 4:00\" or \"monthly 4:00 on 1st, 15th\"")
	}
	return Spec{}, c.unknown(`"hours" or "minutes" was expected`, "minutes", "hours", "minute", "hour")
}

// gridFrom reads from TIME, at most so many minutes of the day.
func (c *cursor) gridFrom(every, most int) (Spec, error) {
	if !c.accept("from") {
		return gridSpec(every, 0), nil
	}
	at := c.pos
	from, err := c.timeOrMinute()
	if err != nil {
		return Spec{}, err
	}
	if from > most {
		c.pos = at
		return Spec{}, c.errorf("the first run of a day, %s, cannot be later than %s: there is one every %s before it", clockText(from), clockText(most), span(every))
	}
	return gridSpec(every, from), nil
}

// timeOrMinute reads 3:15, 3:15am, :15 or h:15.
func (c *cursor) timeOrMinute() (int, error) {
	if rest := c.rest(); rest != "" && !isDigit(rest[0]) && !strings.HasPrefix(rest, "noon") && !strings.HasPrefix(rest, "midnight") {
		return c.minuteOfHour()
	}
	return c.timeOfDay(false)
}

// partOfHour reads "hour from :10" behind half or quarter.
func (c *cursor) partOfHour(every int) (Spec, error) {
	if !c.accept("hours", "hour", "hr") {
		return Spec{}, c.unknown(`"hour" was expected`, "hour")
	}
	if !c.accept("from", "at") {
		return gridSpec(every, 0), nil
	}
	c.skipSpace()
	at := c.pos
	from, err := c.minuteOfHour()
	if err == nil && from == 0 && c.glued(":") { // 0:15, as times are
		from, err = c.number(minuteUnit)
	}
	if err != nil {
		return Spec{}, err
	}
	if from >= every {
		c.pos = at
		return Spec{}, c.errorf("minute %d: it comes every %d minutes, so that the first minute is below %d", from, every, every)
	}
	return gridSpec(every, from), nil
}

func (c *cursor) hourlySpec() (Spec, error) {
	if !c.accept("at") && c.done() {
		return gridSpec(60, 0), nil
	}
	m, err := c.minuteOfHour()
	if err != nil {
		return Spec{}, err
	}
	return gridSpec(60, m), nil
}

// minuteOfHour reads 15, :15, h:15, 15 after, quarter after, half past or
// quarter til.
func (c *cursor) minuteOfHour() (int, error) {
	n, spoken, err := c.minuteWord()
	if err != nil {
		return 0, err
	}
	switch {
	case c.accept("after", "past"):
	case c.accept("until", "till", "til", "to"):
		n = (60 - n) % 60
	case spoken:
		return 0, c.errorf(`"after" or "til" was expected`)
	}
	return n, nil
}

// minuteWord also reports whether the minute was a word, which needs another.
func (c *cursor) minuteWord() (n int, spoken bool, err error) {
	switch {
	case c.accept("quarter"):
		return 15, true, nil
	case c.accept("half"):
		return 30, true, nil
	case c.accept("h", "x", "*"):
		if !c.accept(":") {
			return 0, false, c.errorf(`":" and a minute were expected, like "h:15"`)
		}
	default:
		c.accept(":")
	}
	n, err = c.number(minuteUnit)
	if err == nil {
		c.accept("minutes", "minute")
	}
	return n, false, err
}

// atTime reads [at] TIME, the last part of most specs.
func (c *cursor) atTime(d days) (Spec, error) {
	m, err := c.timeOfDay(c.accept("at"))
	if err != nil {
		return Spec{}, err
	}
	return timeSpec(m, d), nil
}

// onAndAt reads [at] TIME [on] DAYS, or the same the other way round.
func (c *cursor) onAndAt(list func() (days, error)) (Spec, error) {
	if c.accept("on") {
		d, err := list()
		if err != nil {
			return Spec{}, err
		}
		return c.atTime(d)
	}
	m, err := c.timeOfDay(c.accept("at"))
	if err != nil {
		return Spec{}, err
	}
	c.accept("on")
	d, err := list()
	if err != nil {
		return Spec{}, err
	}
	return timeSpec(m, d), nil
}

// timeOfDay reads 16:30, 4:30pm, 4pm, noon or midnight, and an hour alone if
// that is allowed: behind "at" it cannot be anything else.
func (c *cursor) timeOfDay(alone bool) (int, error) {
	switch {
	case c.accept("noon"):
		return 12 * 60, nil
	case c.accept("midnight"):
		return 0, nil
	}
	h, err := c.number(hourUnit)
	if err != nil {
		return 0, err
	}
	m := 0
	minutes := c.accept(":")
	if minutes {
		if m, err = c.number(minuteUnit); err != nil {
			return 0, err
		}
	}
	switch c.acceptWord("am", "a.m.", "pm", "p.m.") {
	case "am", "a.m.":
		if h == 12 {
			h = 0
		}
	case "pm", "p.m.": // 16:30 pm is half past four, too
		if h < 12 {
			h = (h + 12) % 24
		}
	default:
		if !minutes && !alone {
			return 0, c.errorf(`hour %d: am, pm or minutes were expected, like "%d:00"`, h, h)
		}
	}
	return h*60 + m, nil
}

var ordinalWords = []string{"first", "second", "third", "fourth", "fifth", "last"}

// isOrdinal reports whether a text begins with a number like 1st or 22nd.
func isOrdinal(text string) bool {
	n := 0
	for n < len(text) && isDigit(text[n]) {
		n++
	}
	return n > 0 && slices.ContainsFunc(suffixes, func(s string) bool { return strings.HasPrefix(text[n:], s) })
}

var suffixes = []string{"st", "nd", "rd", "th"}

// daysOfWeek reads "mondays, fridays", "weekdays", "mon to fri", "1st
// tuesday" or "last friday".
func (c *cursor) daysOfWeek() (days, error) {
	switch rest := c.rest(); {
	case isOrdinal(rest):
	case slices.ContainsFunc(ordinalWords, func(w string) bool { return strings.HasPrefix(rest, w) }):
	default:
		return c.weekdayList()
	}
	d := everyDay
	weeks, err := c.weekList()
	if err != nil {
		return d, err
	}
	if c.lastDay(weeks) {
		d.dates, d.ends = 0, 1
		return d, nil
	}
	return c.inWeeks(weeks)
}

// weekList reads "1st and 3rd" as indices of days.weeks.
func (c *cursor) weekList() ([]int, error) {
	var weeks []int
	for {
		week := slices.Index(ordinalWords, c.acceptWord(ordinalWords...))
		if week < 0 {
			n, err := c.number(unit{name: "week", plural: "weeks of a month", low: 1, high: 5})
			if err != nil {
				return nil, err
			}
			c.accept(suffixes...)
			week = n - 1
		}
		weeks = append(weeks, week)
		if !c.more() {
			return weeks, nil
		}
	}
}

// more reads what joins a list: a comma, "and", or both.
func (c *cursor) more() bool {
	comma := c.accept(",")
	return c.accept("and", "&") || comma
}

// lastDay reads "day" or "day of the month" behind "last".
func (c *cursor) lastDay(weeks []int) bool {
	if !slices.Equal(weeks, []int{last}) || !c.accept("day") {
		return false
	}
	if c.accept("of") {
		c.accept("the", "each", "every")
		c.accept("month")
	}
	return true
}

// inWeeks reads weekdays, of which only those of some weeks are meant.
func (c *cursor) inWeeks(weeks []int) (days, error) {
	d, err := c.weekdayList()
	if err != nil {
		return d, err
	}
	set := d.whole()
	d.weeks = [6]weekdays{}
	for _, week := range weeks {
		d.weeks[week] |= set
	}
	return d, nil
}

func (c *cursor) weekdayList() (days, error) {
	d := everyDay
	var set weekdays
	for {
		part, err := c.weekdayRange()
		if err != nil {
			return d, err
		}
		set |= part
		if !c.more() {
			d.weeks = onWeekdays(set)
			return d, nil
		}
	}
}

func (c *cursor) weekdayRange() (weekdays, error) {
	const weekend = 1<<0 | 1<<6
	switch {
	case c.accept("weekdays", "weekday"):
		return allWeekdays &^ weekend, nil
	case c.accept("weekends", "weekend"):
		return weekend, nil
	}
	from, err := c.weekday()
	if err != nil || !c.accept("..", "-", "through", "to") {
		return 1 << from, err
	}
	to, err := c.weekday()
	if err != nil {
		return 0, err
	}
	return weekdaysFrom(from, to), nil
}

// weekdaysFrom is a range of weekdays, over the weekend if need be.
func weekdaysFrom(from, to int) weekdays {
	set := weekdays(1 << to)
	for ; from != to; from = (from + 1) % 7 {
		set |= 1 << from
	}
	return set
}

func (c *cursor) weekday() (int, error) {
	rest := c.rest()
	for i, name := range dayUnit.names {
		n := 0
		for n < len(name) && n < len(rest) && rest[n] == name[n] {
			n++
		}
		if n < 3 {
			continue
		}
		c.pos += n
		c.glued("s")
		return i, nil
	}
	return 0, c.unknown(forms, beginnings...)
}

// dateList reads "15th", "1, 15 and last day", or what daysOfWeek reads.
func (c *cursor) dateList() (days, error) {
	d := everyDay
	d.dates = 0
	for first := true; ; first = false {
		c.accept("the")
		at := c.pos
		if c.accept("last") {
			if first && !c.lastDay([]int{last}) && !c.endOfDate() {
				c.pos = at
				return c.daysOfWeek()
			}
			c.accept("day")
			d.ends |= 1
		} else {
			n, err := c.number(dateUnit)
			if err != nil {
				return d, err
			}
			if c.accept(suffixes...) && first && n <= 5 && c.beginsWeekday() {
				c.pos = at
				return c.daysOfWeek()
			}
			d.dates |= 1 << n
		}
		if !c.more() {
			return d, nil
		}
	}
}

// endOfDate reports whether a date is complete here.
func (c *cursor) endOfDate() bool {
	rest := c.rest()
	return rest == "" || rest[0] == ',' || strings.HasPrefix(rest, "at") || strings.HasPrefix(rest, "and") || isDigit(rest[0])
}

func (c *cursor) beginsWeekday() bool {
	rest := c.rest()
	return slices.ContainsFunc(dayUnit.names, func(name string) bool { return strings.HasPrefix(rest, name[:3]) })
}
