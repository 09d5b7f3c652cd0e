package timespec_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"
	_ "time/tzdata"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/scheduler/timespec"
)

// zones keeps what zone has loaded: loading takes longer than what is tested.
var zones sync.Map

func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	if loc, ok := zones.Load(name); ok {
		return loc.(*time.Location)
	}
	loc, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	zones.Store(name, loc)
	return loc
}

func TestParse(t *testing.T) {
	for text, want := range map[string]string{
		"every minute":                    "every minute",
		"EVERY 5 Minutes":                 "every 5 minutes",
		"every 1 minute":                  "every minute",
		"every 1440 minutes":              "every 1440 minutes",
		"hourly at :15":                   "hourly at :15",
		"hourly at 15":                    "hourly at :15",
		"hourly at h:05":                  "hourly at :05",
		"every hour at :00":               "hourly at :00",
		"daily 4:00":                      "daily 4:00",
		"daily 4am":                       "daily 4:00",
		"daily at 16:30":                  "daily 16:30",
		"every day at 4:00 pm":            "daily 16:00",
		"daily 12am":                      "daily 0:00",
		"daily 12 pm":                     "daily 12:00",
		"daily at noon":                   "daily 12:00",
		"daily midnight":                  "daily 0:00",
		"sundays 8am":                     "sundays 8:00",
		"sun at 8:00":                     "sundays 8:00",
		"tues 23:35":                      "tuesdays 23:35",
		"thurs 1:05":                      "thursdays 1:05",
		"mondays, wed and fridays 6 am":   "mondays, wednesdays, fridays 6:00",
		"weekdays at 22:00":               "mondays, tuesdays, wednesdays, thursdays, fridays 22:00",
		"weekends 9am":                    "sundays, saturdays 9:00",
		"sun,mon,tue,wed,thu,fri,sat 1am": "daily 1:00",
	} {
		s, err := timespec.Parse(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if s.String() != want {
			t.Errorf("%q means %q, want %q", text, s, want)
		}
		if again, err := timespec.Parse(s.String()); err != nil || again != s {
			t.Errorf("%q: its canonical text %q parses to %v, %v", text, s, again, err)
		}
	}
}

func TestParseErrors(t *testing.T) {
	for text, want := range map[string]string{
		"":                              "is empty",
		"   ":                           "is empty",
		"daily at":                      "a number was expected (hour, 0 to 23)",
		"daily at 25:00":                "hour 25: hours run 0 to 23",
		"daily at 99:99":                "hour 99: hours run 0 to 23",
		"daily at 4:75":                 "minute 75: minutes run 0 to 59",
		"daily 14":                      `like "14:00"`,
		"daily 24pm":                    "hour 24: hours run 0 to 23",
		"daily 25am":                    "hour 25: hours run 0 to 23",
		"hourly at 75":                  "minute 75: minutes run 0 to 59",
		"every 0 minutes":               "number 0: numbers of minutes run 1 to 1440",
		"every 1441 minutes":            "number 1441: numbers of minutes run 0 to 1440",
		"every 5 parsecs":               `"minutes" was expected`,
		"tusday 4am":                    "did you mean tuesday?",
		"fortnightly 4am":               "would be right",
		"daily 4:00 sharp":              "nothing more was expected",
		"every minute minute":           "nothing more was expected",
		"sundays, 8am":                  "would be right",
		"daily 99999999999999999999:00": "hour 99999999999999999999: hours run 0 to 23",
		"daily \x00 4am":                "a number was expected",
		strings.Repeat("a", 1001):       "at most 1000",
	} {
		_, err := timespec.Parse(text)
		if !errors.Is(err, shield.Invalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want Invalid with %q", text, err, want)
		}
	}
}

// TestNext also holds the policy for days on which clocks change.
func TestNext(t *testing.T) {
	for _, c := range []struct{ name, spec, zone, after, want string }{
		{"strictly after", "daily 4:00", "UTC", "2026-01-01T04:00:00Z", "2026-01-02T04:00:00Z"},
		{"just before", "daily 4:00", "UTC", "2026-01-01T03:59:59Z", "2026-01-01T04:00:00Z"},
		{"grid", "every 7 minutes", "UTC", "2026-01-01T00:07:00Z", "2026-01-01T00:14:00Z"},
		{"grid starts anew at midnight", "every 7 minutes", "UTC", "2026-01-01T23:55:00Z", "2026-01-02T00:00:00Z"},
		{"grid of a day", "every 1440 minutes", "UTC", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"},
		{"hourly", "hourly at :15", "UTC", "2026-01-01T00:15:00Z", "2026-01-01T01:15:00Z"},
		{"hourly in a half-hour zone", "hourly at :15", "Asia/Kolkata", "2026-01-01T00:00:00Z", "2026-01-01T00:45:00Z"},
		{"week", "sundays 8am", "UTC", "2026-11-22T08:00:00Z", "2026-11-29T08:00:00Z"},
		{"several days", "mondays and fridays 6:00", "UTC", "2026-11-23T06:00:00Z", "2026-11-27T06:00:00Z"},
		{"leap day", "daily 4:00", "UTC", "2028-02-28T05:00:00Z", "2028-02-29T04:00:00Z"},

		{"spring gap: first instant after", "daily 2:30", "America/New_York", "2026-03-07T12:00:00Z", "2026-03-08T07:00:00Z"},
		{"day after the gap", "daily 2:30", "America/New_York", "2026-03-08T07:00:00Z", "2026-03-09T06:30:00Z"},
		{"fold: first of two", "daily 1:30", "America/New_York", "2026-10-31T12:00:00Z", "2026-11-01T05:30:00Z"},
		{"fold: not the second", "daily 1:30", "America/New_York", "2026-11-01T05:30:00Z", "2026-11-02T06:30:00Z"},
		{"hourly through the fold: first", "hourly at :15", "America/New_York", "2026-11-01T05:00:00Z", "2026-11-01T05:15:00Z"},
		{"hourly through the fold: second", "hourly at :15", "America/New_York", "2026-11-01T05:15:00Z", "2026-11-01T06:15:00Z"},
		{"hourly over the gap", "hourly at :15", "America/New_York", "2026-03-08T06:15:00Z", "2026-03-08T07:15:00Z"},
		{"midnight gap, Cairo", "fridays 0:00", "Africa/Cairo", "2026-04-20T00:00:00Z", "2026-04-23T22:00:00Z"},
		{"midnight gap, Sao Paulo 2018", "daily 0:00", "America/Sao_Paulo", "2018-11-03T12:00:00Z", "2018-11-04T03:00:00Z"},
		{"half-hour gap, Lord Howe", "daily 2:15", "Australia/Lord_Howe", "2026-10-03T00:00:00Z", "2026-10-03T15:30:00Z"},
		{"day that Apia skipped", "fridays 4:00", "Pacific/Apia", "2011-12-24T00:00:00Z", "2011-12-30T10:00:00Z"},
		{"4am the day clocks go forward", "daily 4am", "Europe/Rome", "2026-03-28T12:00:00Z", "2026-03-29T02:00:00Z"},
		{"4am the day clocks go back", "daily 4am", "Europe/Rome", "2026-10-24T12:00:00Z", "2026-10-25T03:00:00Z"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := timespec.Parse(c.spec)
			if err != nil {
				t.Fatal(err)
			}
			after, err := time.Parse(time.RFC3339, c.after)
			if err != nil {
				t.Fatal(err)
			}
			if got := s.Next(after, zone(t, c.zone)).UTC().Format(time.RFC3339); got != c.want {
				t.Errorf("%s in %s after %s: got %s, want %s", c.spec, c.zone, c.after, got, c.want)
			}
		})
	}
}

// TestNextAdvances walks two years of every zone with a peculiar clock: each
// occurrence is after the last, and a daily one comes once each calendar day.
func TestNextAdvances(t *testing.T) {
	for _, name := range []string{"UTC", "America/New_York", "Africa/Cairo", "Australia/Lord_Howe", "Asia/Kathmandu", "America/Havana", "Asia/Beirut"} {
		loc := zone(t, name)
		for _, text := range []string{"daily 0:00", "daily 0:30", "daily 2:15", "daily 2:30", "daily 23:59"} {
			s, err := timespec.Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			at := time.Date(2025, 1, 1, 12, 0, 0, 0, loc)
			for range 730 {
				next := s.Next(at, loc)
				if !next.After(at) || next.YearDay() == at.YearDay() && at.Hour() != 12 {
					t.Fatalf("%s in %s: after %s comes %s", text, name, at, next)
				}
				if gap := next.Sub(at); gap > 26*time.Hour {
					t.Fatalf("%s in %s: %s between %s and %s", text, name, gap, at, next)
				}
				at = next
			}
		}
	}
}
