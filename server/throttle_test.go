package server

import (
	"strconv"
	"testing"
	"time"
)

var morning = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

// waits tries until a try has to wait, and returns how many were free and for
// how long the next ones wait, each begun as soon as it may.
func waits(t *throttle, n int, name func(int) string, address func(int) string) (free int, pauses []time.Duration) {
	now := morning
	for i := 0; len(pauses) < n; i++ {
		wait := t.begin(name(i), address(i), now)
		if wait == 0 {
			free++
			continue
		}
		pauses = append(pauses, wait)
		now = now.Add(wait)
		t.begin(name(i), address(i), now)
	}
	return free, pauses
}

func always(text string) func(int) string { return func(int) string { return text } }

func numbered(text string) func(int) string {
	return func(i int) string { return text + strconv.Itoa(i) }
}

func TestThrottle(t *testing.T) {
	t.Parallel()
	s := time.Second
	for _, test := range []struct {
		name    string
		of      func(int) string
		from    func(int) string
		free    int
		pauses  []time.Duration
		longest time.Duration
	}{
		{"name and address", always("ann"), always("192.0.2.1"), 3, []time.Duration{s, 2 * s, 4 * s, 8 * s}, 15 * time.Minute},
		{"address", numbered("name"), always("192.0.2.1"), 20, []time.Duration{s, 2 * s, 4 * s, 8 * s}, 15 * time.Minute},
		{"name", always("ann"), numbered("192.0.2."), 20, []time.Duration{s, 2 * s, 4 * s, 8 * s}, 10 * time.Second},
	} {
		free, pauses := waits(newThrottle(), 40, test.of, test.from)
		if free != test.free {
			t.Errorf("%s: %d tries are free, want %d", test.name, free, test.free)
		}
		for i, want := range test.pauses {
			if pauses[i] != want {
				t.Errorf("%s: waits for %s, want %s", test.name, pauses[i], want)
			}
		}
		if last := pauses[39]; last != test.longest {
			t.Errorf("%s: waits for %s in the end, want %s", test.name, last, test.longest)
		}
	}
}

func TestThrottleForgives(t *testing.T) {
	t.Parallel()
	th := newThrottle()
	for range 3 {
		th.begin("ann", "a", morning)
	}
	if th.begin("ann", "b", morning) != 0 || th.begin("bob", "a", morning) != 0 {
		t.Error("another address, or another name, waits too")
	}
	if wait := th.begin("ann", "a", morning.Add(999*time.Millisecond)); wait != time.Millisecond {
		t.Errorf("waits for %s, want what is left", wait)
	}
	if th.begin("ann", "a", morning.Add(2*time.Second)) != 0 {
		t.Error("waits for longer than it was told")
	}
	th.right("ann", "a")
	for range 3 {
		if th.begin("ann", "a", morning.Add(2*time.Second)) != 0 {
			t.Error("waits after the right password")
		}
	}
	if th.begin("ann", "a", morning.Add(2*time.Second)) == 0 {
		t.Error("does not wait after three wrong ones")
	}
	if th.begin("ann", "a", morning.Add(forgetAfter+time.Minute)) != 0 || th.tries[tried{"ann", "a"}].wrong != 1 {
		t.Error("does not forget")
	}
}

func TestThrottleIsBounded(t *testing.T) {
	t.Parallel()
	th := newThrottle()
	fill := func(i int) { th.count(tried{"", strconv.Itoa(i)}, morning.Add(time.Duration(i)*time.Millisecond)) }
	for i := range throttleLimit + 1 {
		fill(i)
	}
	if n := len(th.tries); n != throttleLimit*9/10+1 || th.tries[tried{"", "0"}] != nil || th.tries[tried{"", strconv.Itoa(throttleLimit)}] == nil {
		t.Errorf("of one more than there is room for it remembers %d, or not the newest", n)
	}
	for i := throttleLimit + 1; len(th.tries) < throttleLimit; i++ {
		fill(i)
	}
	th.begin("bob", "b", morning.Add(2*forgetAfter))
	if n := len(th.tries); n != 3 {
		t.Errorf("it remembers %d tries of which all but 3 are old", n)
	}
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	for remote, want := range map[string][2]string{
		"192.0.2.1:1234":              {"192.0.2.1", "192.0.2.1"},
		"[::ffff:192.0.2.1]:1234":     {"192.0.2.1", "192.0.2.1"},
		"[2001:db8:1:2:3:4:5:6]:1234": {"2001:db8:1:2::/64", "2001:db8:1:2:3:4:5:6"},
		"[fe80::1%eth0]:1234":         {"fe80::/64", "fe80::1%eth0"},
		"@":                           {"@", "@"},
	} {
		if a, h := addressOf(remote), hostOf(remote); a != want[0] || h != want[1] {
			t.Errorf("%s is counted as %s and shown as %s, want %v", remote, a, h, want)
		}
	}
}
