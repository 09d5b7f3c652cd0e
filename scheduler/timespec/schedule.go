package timespec

import (
	"hash/fnv"
	"time"

	"github.com/shieldhq/shield"
)

// A Schedule is a shield.Schedule made ready to be asked: a Spec in a zone,
// with jitter and blackout windows.
type Schedule struct {
	Spec     Spec
	Location *time.Location
	Jitter   time.Duration
	Blackout []Window
	// CatchUp says that one run that was missed is made up for.
	CatchUp bool
}

// EveryMinute returns the schedule that stands for all others in development.
func EveryMinute() *Schedule {
	return &Schedule{Spec: gridSpec(1, 0), Location: time.UTC, CatchUp: true}
}

// New makes a schedule ready. It returns Invalid, with the field that is
// wrong: timespec, timezone or blackout.
func New(s *shield.Schedule) (*Schedule, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	spec, err := Parse(s.Timespec)
	if err != nil {
		return nil, err
	}
	made := &Schedule{Spec: spec, Jitter: time.Duration(s.Jitter) * time.Second, CatchUp: s.CatchUp != shield.CatchUpNone}
	name := s.Timezone
	if spec.zone != "" {
		if name != "" && name != spec.zone {
			return nil, shield.FieldErrorf("timezone", "is %q and the timespec names %s: one zone is wanted", name, spec.zone)
		}
		name = spec.zone
	}
	if made.Location, err = Location(name); err != nil {
		return nil, err
	}
	for _, text := range s.Blackout {
		w, err := ParseWindow(text)
		if err != nil {
			return nil, err
		}
		made.Blackout = append(made.Blackout, w)
	}
	return made, nil
}

// Location returns a time zone by its IANA name; "" is UTC.
func Location(name string) (*time.Location, error) {
	loc, err := time.LoadLocation(name)
	if err != nil || name == "Local" { // which differs from machine to machine
		return nil, shield.FieldErrorf("timezone", `%q is unknown: a name like "Europe/Rome" is wanted`, name)
	}
	return loc, nil
}

// Next returns the time after t at which a run is due: the next occurrence,
// delayed by the jitter of whoever the seed names. It returns the zero time
// when there is none any more.
func (s *Schedule) Next(t time.Time, seed string) time.Time {
	delay := Delay(seed, s.Jitter)
	next := s.Spec.Next(t.Add(-delay), s.Location)
	if next.IsZero() {
		return next
	}
	return next.Add(delay)
}

// Delay spreads runs that would begin together: it returns a time from 0 to
// below most, in whole seconds, that is always the same for a seed, such as
// the UUID of a job, so that its runs stay as far apart as the spec says.
func Delay(seed string, most time.Duration) time.Duration {
	if most < time.Second {
		return 0
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(seed)) // never fails
	// The sum of similar seeds differs most in its low bits; mix them up.
	sum := h.Sum64()
	sum ^= sum >> 33
	sum *= 0xff51afd7ed558ccd
	sum ^= sum >> 33
	return time.Duration(sum%uint64(most/time.Second)) * time.Second
}

// Blacked returns the first blackout window that holds at t.
func (s *Schedule) Blacked(t time.Time) (Window, bool) {
	for _, w := range s.Blackout {
		if w.Holds(t, s.Location) {
			return w, true
		}
	}
	return Window{}, false
}
