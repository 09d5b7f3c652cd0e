package timespec

import (
	"strings"
	"time"
)

// A Window is a time of day on some days, to midnight or beyond, in which no
// run is wanted. It goes by what clocks show.
type Window struct {
	days     days
	from, to int // minutes of the day; where to is not later it is the next day's
}

// ParseWindow reads a window:
//
//	[DAYS] TIME to TIME       "weekdays 8:00 to 18:00", "22:00-02:00", "last friday 20:00 to 6:00"
//	DAYS                      "sundays", "1st monday": the whole day
//
// DAYS is what specs begin with: daily, weekdays, mondays and fridays, last
// friday, last day. It is the day on which a window begins. An error is
// Invalid, about the field blackout.
func ParseWindow(text string) (Window, error) {
	if len(text) > Limit {
		return Window{}, newCursor("blackout", text[:20]).errorf("has %d bytes: at most %d are allowed", len(text), Limit)
	}
	c := newCursor("blackout", text)
	w := Window{days: everyDay}
	if c.done() {
		return w, c.errorf(`is empty: "weekdays 8:00 to 18:00" or "sundays" would be right`)
	}
	named, err := c.windowDays(&w)
	if err != nil || named && c.done() {
		w.days = w.days.normal()
		return w, err
	}
	if w.from, err = c.timeOfDay(c.accept("at", "from")); err != nil {
		return w, err
	}
	if !c.accept("to", "until", "-", "..") {
		return w, c.errorf(`"to" and a time were expected`)
	}
	if w.to, err = c.timeOfDay(true); err != nil {
		return w, err
	}
	if !c.done() {
		return w, c.errorf("nothing more was expected after a complete window")
	}
	w.days = w.days.normal()
	return w, nil
}

// windowDays reads the days of a window, if it names any.
func (c *cursor) windowDays(w *Window) (named bool, err error) {
	rest := c.rest()
	switch {
	case c.accept("daily", "every day"):
		return true, nil
	case c.accept("monthly"):
		c.accept("on")
		w.days, err = c.dateList()
		return true, err
	case isDigit(rest[0]) && !isOrdinal(rest), !isDigit(rest[0]) && !isLetter(rest[0]), strings.HasPrefix(rest, "noon"), strings.HasPrefix(rest, "midnight"), strings.HasPrefix(rest, "from"):
		return false, nil
	}
	w.days, err = c.daysOfWeek()
	return true, err
}

// String returns the canonical text, which parses to the same window.
func (w Window) String() string {
	at := clockText(w.from) + " to " + clockText(w.to)
	switch {
	case w.days == everyDay:
		return "daily " + at
	case w.days.anyDate():
		return w.days.weekText() + " " + at
	}
	return "monthly on " + w.days.dateText() + " " + at
}

// Holds reports whether clocks in loc show a time in the window at t.
func (w Window) Holds(t time.Time, loc *time.Location) bool {
	t = t.In(loc)
	minute := t.Hour()*60 + t.Minute()
	y, m, d := t.Date()
	today := dayNumber(y, m, d)
	if w.from < w.to {
		return w.from <= minute && minute < w.to && w.days.has(today)
	}
	return minute >= w.from && w.days.has(today) || minute < w.to && w.days.has(today-1)
}
