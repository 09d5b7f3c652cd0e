// Package period reads and writes lengths of time as people write them: a
// number and a unit, like 90m or 30d. A year is 365 days.
package period

import (
	"fmt"
	"math"
	"strconv"
)

var seconds = map[byte]int64{'s': 1, 'm': 60, 'h': 3600, 'd': 86400, 'w': 7 * 86400, 'y': 365 * 86400}

// Parse returns the seconds that a text with a unit stands for.
func Parse(text string) (int64, error) {
	bad := fmt.Errorf("%.100q is no time: a number and s, m, h, d, w or y (365 days) is wanted, like 30d", text)
	if len(text) < 2 {
		return 0, bad
	}
	unit := seconds[text[len(text)-1]]
	n, err := strconv.ParseUint(text[:len(text)-1], 10, 63)
	if err != nil || unit == 0 || int64(n) > math.MaxInt64/unit {
		return 0, bad
	}
	return int64(n) * unit, nil
}

// Format returns the shortest text that Parse reads as so many seconds.
func Format(n int64) string {
	if n == 0 {
		return "0s"
	}
	for _, unit := range []byte("ywdhm") {
		if n%seconds[unit] == 0 {
			return fmt.Sprintf("%d%c", n/seconds[unit], unit)
		}
	}
	return fmt.Sprintf("%ds", n)
}
