package timespec

import (
	"math"
	"math/bits"
	"time"
)

const (
	daySeconds = 24 * 60 * 60
	// farthest is more than the clocks of any zone ever differed from UTC.
	farthest = 16 * 60 * 60
)

// A period is a time in which a zone's clocks do not change: what they show
// is the instant plus offset. The next may have the same offset. Instants are seconds since 1970 in UTC.
type period struct {
	offset     int64
	start, end int64 // end is the first instant of the next period
}

// zone looks periods up.
type zone struct{ *time.Location }

func (z zone) at(instant int64) period {
	t := time.Unix(instant, 0).In(z.Location)
	_, offset := t.Zone()
	p := period{offset: int64(offset), start: math.MinInt64, end: math.MaxInt64}
	start, end := t.ZoneBounds()
	if !start.IsZero() {
		p.start = start.Unix()
	}
	if !end.IsZero() {
		p.end = end.Unix()
	}
	// Where a zone goes by a rule, package time ends the year with its 365th
	// day: on the last day of a leap year, before the instant asked for.
	if p.end <= instant {
		p.end += daySeconds
	}
	return p
}

// A shown is where clocks show a local time: the first instant at which they
// do or, in a gap, the first instant after it.
type shown struct {
	instant int64
	gap     bool
	// Both ends of the gap, as clocks show them.
	gone, back int64
}

// find looks a local time up, given in seconds as if it were UTC. It begins
// in the period p unless that could hide an earlier occurrence.
func (z zone) find(local int64, p period) shown {
	if p.start > local-farthest {
		p = z.at(local - farthest)
	}
	for {
		instant := local - p.offset
		if instant < p.end {
			return shown{instant: instant}
		}
		next := z.at(p.end)
		if local-next.offset < next.start {
			return shown{next.start, true, next.start + p.offset, next.start + next.offset}
		}
		p = next
	}
}

// dayStart is the first instant of a local day.
func (z zone) dayStart(day int64, p period) int64 {
	return z.find(day*daySeconds, p).instant
}

// Next returns the first occurrence after t, strictly, in loc. Occurrences
// fall on whole minutes of the local clock. It returns the zero time when
// there is none any more, which only specs that name years come to.
func (s Spec) Next(t time.Time, loc *time.Location) time.Time {
	var next int64
	var ok bool
	z := zone{loc}
	switch now := t.Unix(); {
	case s.every > 0:
		next, ok = s.nextOnGrid(now, z), true
	case s.repeating():
		next, ok = s.nextRepeating(now, z)
	default:
		next, ok = s.nextFixed(now, z)
	}
	if !ok {
		return time.Time{}
	}
	return time.Unix(next, 0).In(loc)
}

// clock returns the first of the spec's times of day at or after a minute of
// the day.
func (s Spec) clock(minute int) (int, bool) {
	hour := minute / 60
	if s.hours&(1<<hour) != 0 {
		if left := s.minutes >> (minute % 60); left != 0 {
			return minute + bits.TrailingZeros64(left), true
		}
	}
	left := s.hours >> (hour + 1)
	if left == 0 {
		return 0, false
	}
	return (hour+1+bits.TrailingZeros32(left))*60 + bits.TrailingZeros64(s.minutes), true
}

// nextFixed looks at times of day in turn. What clocks showed twice counts
// the first time, so that its second time is never found.
func (s Spec) nextFixed(now int64, z zone) (int64, bool) {
	p := z.at(now)
	local := now + p.offset
	day := floorDiv(local, daySeconds)
	minute := int(local-day*daySeconds)/60 + 1
	for {
		match, ok := s.days.next(day)
		if !ok {
			return 0, false
		}
		if match > day {
			day, minute = match, 0
		}
		if minute, ok = s.clock(minute); !ok {
			day, minute = day+1, 0
			continue
		}
		at := z.find(day*daySeconds+int64(minute)*60, p)
		if at.instant > now && !s.standsIn(day, at) {
			return at.instant, true
		}
		minute++
	}
}

// standsIn reports whether the run of a day that a zone left out whole, as
// Samoa did in 2011, would join that of the day after it.
func (s Spec) standsIn(day int64, at shown) bool {
	return at.gap && at.gone <= day*daySeconds && at.back >= (day+1)*daySeconds &&
		s.days.has(floorDiv(at.back, daySeconds))
}

// nextRepeating follows the clock minute by minute, twice through a fold.
func (s Spec) nextRepeating(now int64, z zone) (int64, bool) {
	at := now + 1
	for {
		p := z.at(at)
		// The next whole minute, as the clock shows it.
		local := -floorDiv(-(at+p.offset), 60) * 60
		day := floorDiv(local, daySeconds)
		minute := int(local-day*daySeconds) / 60
		match, ok := s.days.next(day)
		if !ok {
			return 0, false
		}
		if match > day {
			day, minute = match, 0
		}
		if minute, ok = s.clock(minute); !ok {
			day, minute = day+1, 0
		}
		instant := day*daySeconds + int64(minute)*60 - p.offset
		switch {
		case instant >= p.end:
			at = p.end
		case ok:
			return instant, true
		default:
			at = instant
		}
	}
}

// nextOnGrid counts real minutes from the first instant of the day. A day
// too short for the first of them has it at its end.
func (s Spec) nextOnGrid(now int64, z zone) int64 {
	p := z.at(now)
	day := floorDiv(now+p.offset, daySeconds)
	start, end := z.dayStart(day, p), z.dayStart(day+1, p)
	step, from := int64(s.every)*60, int64(s.from)*60
	for {
		next := start + from
		if next <= now {
			next += ((now-next)/step + 1) * step
		}
		switch {
		case next < end:
			return next
		case start+from >= end && end > start && end > now:
			return end
		}
		day++
		start, end = end, z.dayStart(day+1, p)
	}
}
