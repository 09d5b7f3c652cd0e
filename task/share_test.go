package task

import (
	"math"
	"testing"
	"time"

	"github.com/shieldhq/shield"
)

// TestShare: a runner keeps to its share of a store's limit, whenever it is
// told.
func TestShare(t *testing.T) {
	t.Parallel()
	r := NewRunner(nil, nil)
	limit := &shield.Limit{Up: "8KiB", Down: "none"}
	rate := func(th *throttle) int64 {
		th.refresh(time.Now())
		if th.down.rate != 0 {
			t.Errorf("a share of no limit is %d", th.down.rate)
		}
		return th.up.rate
	}
	r.Share("s", 0.25)
	th, leave, err := r.throttles.take("s", limit)
	if err != nil {
		t.Fatal(err)
	}
	if got := rate(th); got != 2048 {
		t.Errorf("a quarter is %d", got)
	}
	for share, want := range map[float64]int64{0.5: 4096, 1: 8192, 0: 8192, -1: 8192, 2: 8192, math.NaN(): 8192, 1e-12: 1} {
		if r.Share("s", share); rate(th) != want {
			t.Errorf("a share of %v is %d, want %d", share, th.up.rate, want)
		}
	}
	r.Share("s", 1)
	leave()
	if th, leave, err = r.throttles.take("s", limit); err != nil || rate(th) != 8192 {
		t.Errorf("afterwards it is %d, %v", th.up.rate, err)
	}
	leave()
}
