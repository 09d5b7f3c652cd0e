package timespec

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// A Change is an instant at which the clocks of a zone are set.
type Change struct {
	At time.Time
	By time.Duration // forward; negative: back
}

// String is the change in words, with the local times before and after it.
func (c Change) String() string {
	way, by := "forward", c.By
	if by < 0 {
		way, by = "back", -by
	}
	_, offset := c.At.Zone()
	before := c.At.In(time.FixedZone("", offset-int(c.By/time.Second)))
	return fmt.Sprintf("clocks go %s by %s: %s becomes %s", way, short(by),
		before.Format("Mon 2006-01-02 15:04"), c.At.Format("Mon 2006-01-02 15:04"))
}

// short is a duration without parts that are zero: 1h, 30m, 24h.
func short(d time.Duration) string {
	switch {
	case d%time.Hour == 0:
		return fmt.Sprintf("%dh", d/time.Hour)
	case d%time.Minute == 0:
		return fmt.Sprintf("%dm", d/time.Minute)
	}
	return d.String()
}

// NextChange returns the first change of loc's clocks after t.
func NextChange(t time.Time, loc *time.Location) (Change, bool) {
	p := zone{loc}.at(t.Unix())
	for p.end < math.MaxInt64 {
		next := zone{loc}.at(p.end)
		if next.offset != p.offset { // the name of a zone can change alone
			return Change{At: time.Unix(p.end, 0).In(loc), By: time.Duration(next.offset-p.offset) * time.Second}, true
		}
		p = next
	}
	return Change{}, false
}

// An Occurrence is an instant at which a spec falls due.
type Occurrence struct {
	At time.Time // in the zone
	// Note says what a change of clocks did, if there was one.
	Note string
}

// Occurrences returns the first n occurrences after t, in loc.
func (s Spec) Occurrences(t time.Time, loc *time.Location, n int) []Occurrence {
	var all []Occurrence
	for range n {
		next := s.Next(t, loc)
		if next.IsZero() {
			break
		}
		all = append(all, Occurrence{At: next, Note: s.note(t, next, loc)})
		t = next
	}
	return all
}

// note tells of clocks that were set between two times, and what that means
// for the second.
func (s Spec) note(from, to time.Time, loc *time.Location) string {
	var notes []string
	if c, ok := NextChange(from, loc); ok && !c.At.After(to) {
		notes = append(notes, c.String())
	}
	if s.every == 0 && !s.repeating() && !s.shownAt(to) {
		notes = append(notes, "its time does not exist, so it runs at the first instant after it")
	}
	switch twice := timesShown(to, loc); {
	case twice == 1 && s.repeating():
		notes = append(notes, "this time comes twice: the first")
	case twice == 1:
		notes = append(notes, "this time comes twice: it runs at the first")
	case twice == 2:
		notes = append(notes, "this time comes twice: the second")
	}
	return strings.Join(notes, "; ")
}

// shownAt reports whether clocks that show t show a time of the spec.
func (s Spec) shownAt(t time.Time) bool {
	minute := t.Hour()*60 + t.Minute()
	at, ok := s.clock(minute)
	y, m, d := t.Date()
	return ok && at == minute && s.days.has(dayNumber(y, m, d))
}

// timesShown returns 1 or 2 if t is the first or second time at which clocks
// show what they do then, and 0 if it is the only one.
func timesShown(t time.Time, loc *time.Location) int {
	if c, ok := NextChange(t, loc); ok && c.By < 0 && !t.Before(c.At.Add(c.By)) {
		return 1
	}
	instant := t.Unix()
	p := zone{loc}.at(instant)
	if p.start < instant-farthest {
		return 0
	}
	before := zone{loc}.at(p.start - 1)
	if instant+p.offset-before.offset < p.start {
		return 2
	}
	return 0
}
