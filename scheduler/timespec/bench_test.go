package timespec_test

import (
	"testing"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/shieldhq/shield/scheduler/timespec"
)

// BenchmarkNext evaluates the same schedules with this package and with
// robfig/cron.
func BenchmarkNext(b *testing.B) {
	for _, c := range []struct{ name, line, zone string }{
		{"daily/UTC", "0 4 * * *", "UTC"},
		{"daily/NewYork", "0 4 * * *", "America/New_York"},
		{"minutes/NewYork", "*/5 * * * *", "America/New_York"},
		{"monthly/NewYork", "0 4 1 * *", "America/New_York"},
		{"weekly/NewYork", "0 4 * * 0", "America/New_York"},
	} {
		loc, err := time.LoadLocation(c.zone)
		if err != nil {
			b.Fatal(err)
		}
		start := time.Date(2026, 1, 1, 0, 0, 0, 0, loc)
		b.Run(c.name+"/timespec", func(b *testing.B) {
			s := parse(b, c.line)
			walk(b, start, func(t time.Time) time.Time { return s.Next(t, loc) })
		})
		b.Run(c.name+"/robfig", func(b *testing.B) {
			s, err := cron.ParseStandard(c.line)
			if err != nil {
				b.Fatal(err)
			}
			walk(b, start, s.Next)
		})
	}
}

// walk goes through two years again and again.
func walk(b *testing.B, start time.Time, next func(time.Time) time.Time) {
	b.ReportAllocs()
	end := start.AddDate(2, 0, 0)
	t := start
	for b.Loop() {
		if t = next(t); t.After(end) {
			t = start
		}
	}
}

func BenchmarkParse(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := timespec.Parse("mondays, wednesdays and fridays at 6am"); err != nil {
			b.Fatal(err)
		}
	}
}
