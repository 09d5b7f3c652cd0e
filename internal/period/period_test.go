package period_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/shieldhq/shield/internal/period"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]int64{
		"1s": 1, "90m": 5400, "36h": 129600, "30d": 2592000, "8w": 4838400, "7y": 220752000, "0s": 0,
		"": -1, "5": -1, "d": -1, "-1d": -1, "+1d": -1, "1.5h": -1, "1 d": -1, "1D": -1, "1mo": -1, "٣d": -1, "1e3d": -1, "300000000000y": -1, "99999999999999999999s": -1,
	} {
		got, err := period.Parse(text)
		if want < 0 && err == nil || want >= 0 && (err != nil || got != want) {
			t.Errorf("%q is %d, %v: want %d", text, got, err, want)
		}
	}
}

func TestFormat(t *testing.T) {
	for n, want := range map[int64]string{0: "0s", 1: "1s", 5400: "90m", 129600: "36h", 86400: "1d", 1209600: "2w", 31536000: "1y"} {
		if got := period.Format(n); got != want {
			t.Errorf("%d is %s: want %s", n, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64Min(0).Draw(t, "n")
		if got, err := period.Parse(period.Format(n)); err != nil || got != n {
			t.Fatalf("%d becomes %q, and that %d, %v", n, period.Format(n), got, err)
		}
	})
}
