package shield

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Limit bounds how many bytes a second move between shield and a store. A
// rate is text like "20MiB" or "500kB", "none" is no limit; a rate that is left
// out is "none", in a Window that of outside of it.
type Limit struct {
	Up       string   `json:"up,omitempty"`       // into the store
	Down     string   `json:"down,omitempty"`     // out of it
	Timezone string   `json:"timezone,omitempty"` // of the windows; empty: UTC
	Windows  []Window `json:"windows,omitempty"`  // the first that holds the moment counts
}

// A Window is a time of the day at which other rates hold.
type Window struct {
	// Days are "weekdays", "weekends", or days and ranges of days like
	// "mon-thu,sat"; empty means every day. A window that goes over midnight
	// belongs to the day on which it begins.
	Days string `json:"days,omitempty"`
	From string `json:"from"` // "08:00"
	To   string `json:"to"`   // "18:00"; not in the window any more
	Up   string `json:"up,omitempty"`
	Down string `json:"down,omitempty"`
}

// Validate checks the limit, but not that its time zone exists.
func (l *Limit) Validate() error {
	_, _, err := l.Rates(time.Time{})
	if err == nil {
		err = ValidateText("limit.timezone", l.Timezone)
	}
	return err
}

// Rates returns the bytes a second that may move at t, a time in the limit's
// time zone; 0 stands for no limit.
func (l *Limit) Rates(t time.Time) (up, down int64, err error) {
	if up, err = parseRate("limit.up", l.Up, 0); err != nil {
		return 0, 0, err
	}
	if down, err = parseRate("limit.down", l.Down, 0); err != nil {
		return 0, 0, err
	}
	outUp, outDown, found := up, down, false
	for n := range l.Windows {
		w, field := &l.Windows[n], fmt.Sprintf("limit.windows[%d]", n)
		holds, err := w.holds(field, t)
		if err != nil {
			return 0, 0, err
		}
		wUp, err := parseRate(field+".up", w.Up, outUp)
		if err != nil {
			return 0, 0, err
		}
		wDown, err := parseRate(field+".down", w.Down, outDown)
		if err != nil {
			return 0, 0, err
		}
		if holds && !found {
			up, down, found = wUp, wDown, true
		}
	}
	return up, down, nil
}

func (w *Window) holds(field string, t time.Time) (bool, error) {
	days, err := parseDays(field+".days", w.Days)
	if err != nil {
		return false, err
	}
	from, err := parseClock(field+".from", w.From)
	if err != nil {
		return false, err
	}
	to, err := parseClock(field+".to", w.To)
	if err != nil {
		return false, err
	}
	if from == to {
		return false, FieldErrorf(field+".to", "is %q, as from: 00:00 to 24:00 is a whole day", w.To)
	}
	now, today := t.Hour()*60+t.Minute(), t.Weekday()
	if from < to {
		return days[today] && from <= now && now < to, nil
	}
	yesterday := (today + 6) % 7
	return days[today] && from <= now || days[yesterday] && now < to, nil
}

// parseClock returns the minutes since midnight.
func parseClock(field, text string) (int, error) {
	if text == "24:00" {
		return 24 * 60, nil
	}
	t, err := time.Parse("15:04", text)
	if err != nil {
		return 0, FieldErrorf(field, "is %.100q: a time of the day like 08:00 is wanted", text)
	}
	return t.Hour()*60 + t.Minute(), nil
}

// parseDays returns which days of the week are meant, Sunday first.
func parseDays(field, text string) (days [7]bool, err error) {
	names := []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}
	switch text {
	case "":
		text = "sun-sat"
	case "weekdays":
		text = "mon-fri"
	case "weekends":
		text = "sat,sun"
	}
	for part := range strings.SplitSeq(text, ",") {
		first, last, ranged := strings.Cut(strings.TrimSpace(part), "-")
		from := slices.Index(names, first)
		to := from
		if ranged {
			to = slices.Index(names, last)
		}
		if from < 0 || to < 0 {
			return days, FieldErrorf(field, `is %.100q: "weekdays", "weekends", or days like "mon-thu,sat" are wanted`, text)
		}
		for d := from; ; d = (d + 1) % 7 {
			days[d] = true
			if d == to {
				break
			}
		}
	}
	return days, nil
}

// MinRate is the lowest rate that a Limit can have: below it tasks would seem
// to hang.
const MinRate = 1024

// parseRate returns bytes a second, absent for an empty text.
func parseRate(field, text string, absent int64) (int64, error) {
	switch text {
	case "":
		return absent, nil
	case "none":
		return 0, nil
	}
	number := strings.TrimRight(text, "kKMGTiB")
	unit, known := map[string]float64{
		"": 1, "B": 1, "kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12,
		"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40,
	}[text[len(number):]]
	n, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if rate := n * unit; err != nil || !known || !(rate >= MinRate && rate <= 1<<50) { // NaN is neither
		return 0, FieldErrorf(field, `is %.100q: bytes a second like "20MiB", at least 1KiB, or "none" are wanted`, text)
	}
	return int64(n * unit), nil
}
