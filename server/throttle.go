package server

import (
	"net/netip"
	"slices"
	"sync"
	"time"
)

// A throttle makes those wait who present wrong passwords. It counts what is
// tried for a name from an address, for a name from wherever, and from an
// address for whatever name; what is tried counts as wrong until it is known
// to be right, so that many tries at once gain nothing.
type throttle struct {
	mu    sync.Mutex
	tries map[tried]*count
}

// tried is a name, an address, or both.
type tried struct{ name, address string }

type count struct {
	wrong int
	last  time.Time
}

// A patience says how many tries are free, and how long a try then waits at
// most. The wait begins with a second and doubles with each try.
type patience struct {
	free    int
	longest time.Duration
}

// Who knows a name only must not be able to lock its user out, so what comes
// from everywhere waits for less.
var (
	ofBoth    = patience{free: 3, longest: 15 * time.Minute}
	ofAddress = patience{free: 20, longest: 15 * time.Minute}
	ofName    = patience{free: 20, longest: 10 * time.Second}
)

// forgetAfter is how long a count stays that nothing is added to, and
// throttleLimit how many there are at most.
const (
	forgetAfter   = time.Hour
	throttleLimit = 10_000
)

func newThrottle() *throttle { return &throttle{tries: map[tried]*count{}} }

// begin returns how long a try has to wait, or 0 and counts it.
func (t *throttle) begin(name, address string, now time.Time) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	keys := map[tried]patience{{name, address}: ofBoth, {"", address}: ofAddress, {name, ""}: ofName}
	var wait time.Duration
	for key, p := range keys {
		if c := t.tries[key]; c != nil {
			wait = max(wait, c.last.Add(p.pause(c.wrong)).Sub(now))
		}
	}
	if wait > 0 {
		return wait
	}
	for key := range keys {
		t.count(key, now)
	}
	return 0
}

// pause is how long after the last of so many tries the next one is.
func (p patience) pause(wrong int) time.Duration {
	if wrong < p.free {
		return 0
	}
	return min(time.Second<<min(wrong-p.free, 20), p.longest)
}

func (t *throttle) count(key tried, now time.Time) {
	c := t.tries[key]
	if c == nil || now.Sub(c.last) > forgetAfter {
		t.makeRoom(now)
		c = &count{}
		t.tries[key] = c
	}
	c.wrong, c.last = c.wrong+1, now
}

// makeRoom forgets what is old and, if that does not do, the oldest tenth.
func (t *throttle) makeRoom(now time.Time) {
	if len(t.tries) < throttleLimit {
		return
	}
	var times []time.Time
	for _, c := range t.tries {
		times = append(times, c.last)
	}
	slices.SortFunc(times, time.Time.Compare)
	until := times[throttleLimit/10]
	if old := now.Add(-forgetAfter); until.Before(old) {
		until = old
	}
	for key, c := range t.tries {
		if c.last.Before(until) {
			delete(t.tries, key)
		}
	}
}

// right says that a try was right. What others tried for the name, or from the
// address, still counts.
func (t *throttle) right(name, address string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.tries, tried{name, address})
	for _, key := range []tried{{"", address}, {name, ""}} {
		if c := t.tries[key]; c != nil {
			c.wrong = max(0, c.wrong-1)
		}
	}
}

// addressOf is what the tries from an address are counted by: of IPv6, whole
// networks belong to one.
func addressOf(remote string) string {
	a, err := netip.ParseAddrPort(remote)
	if err != nil {
		return remote
	}
	ip := a.Addr().Unmap().WithZone("")
	if ip.Is6() {
		if p, err := ip.Prefix(64); err == nil {
			return p.String()
		}
	}
	return ip.String()
}

// hostOf is the address that a request comes from, without its port.
func hostOf(remote string) string {
	if a, err := netip.ParseAddrPort(remote); err == nil {
		return a.Addr().Unmap().String()
	}
	return remote
}
