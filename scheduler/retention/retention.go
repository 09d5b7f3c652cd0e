// Package retention decides which archives a policy wants. The rules are those
// of the field: a keep rule wants the newest archive of each hour, day, week,
// month or year, for the newest so many of these that have archives at all, so
// that a target that was not backed up for a while loses nothing meanwhile.
package retention

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/scheduler/timespec"
)

// A Decision is what a policy makes of one archive.
type Decision struct {
	Archive *shield.Archive `json:"archive"`
	// Rules are those that want the archive, in words: "expiry", "last 2",
	// "daily 2026-01-31", "frozen by suspicious archive" and its UUID. Nobody
	// wants it if there are none.
	Rules []string `json:"rules"`
}

// Kept reports whether the archive is wanted.
func (d *Decision) Kept() bool { return len(d.Rules) > 0 }

// Plan decides about the valid archives of a job, the newest first. It is
// given all archives of the job's target, since the newest valid ones of a
// target are kept whichever job made them. Those that are not valid do not
// count, nor are suspicious ones among the newest; both may freeze the job, see
// FrozenBy. The error is about the policy's time zone.
func Plan(p *shield.Policy, job string, ofTarget []*shield.Archive, now time.Time) ([]Decision, error) {
	zone, err := timespec.Location(p.Timezone)
	if err != nil {
		return nil, err
	}
	valid := slices.DeleteFunc(slices.Clone(ofTarget), func(a *shield.Archive) bool { return a.Status != shield.ArchiveValid })
	slices.SortStableFunc(valid, func(a, b *shield.Archive) int {
		return cmp.Or(b.TakenAt.Compare(a.TakenAt), cmp.Compare(b.UUID, a.UUID))
	})
	rules, frozen := rulesOf(p), FrozenBy(job, ofTarget)
	var plan []Decision
	newest := 0 // so many were not suspicious
	for _, a := range valid {
		if !a.Suspicious() {
			newest++
		}
		if a.Job != job {
			continue
		}
		d := Decision{Archive: a, Rules: []string{}}
		if !a.Suspicious() && newest <= max(1, p.MinValid) {
			d.Rules = append(d.Rules, fmt.Sprintf("newest valid %d", newest))
		}
		if frozen != nil {
			d.Rules = append(d.Rules, "frozen by suspicious archive "+frozen.UUID)
		}
		if a.Held {
			d.Rules = append(d.Rules, "held")
		}
		if a.ExpiresAt.IsZero() || a.ExpiresAt.After(now) {
			d.Rules = append(d.Rules, "expiry")
		}
		for i := range rules {
			if text := rules[i].wants(a.TakenAt.In(zone)); text != "" {
				d.Rules = append(d.Rules, text)
			}
		}
		plan = append(plan, d)
	}
	return plan, nil
}

// A rule wants the newest archive of each of the newest periods.
type rule struct {
	name   string
	left   int
	period func(t time.Time) string // what it is called
	last   string
}

func rulesOf(p *shield.Policy) []rule {
	n := 0
	return []rule{
		{name: "last", left: p.KeepLast, period: func(time.Time) string { n++; return fmt.Sprint(n) }},
		{name: "hourly", left: p.KeepHourly, period: func(t time.Time) string { return t.Format("2006-01-02 15h -07:00") }},
		{name: "daily", left: p.KeepDaily, period: func(t time.Time) string { return t.Format("2006-01-02") }},
		{name: "weekly", left: p.KeepWeekly, period: week},
		{name: "monthly", left: p.KeepMonthly, period: func(t time.Time) string { return t.Format("2006-01") }},
		{name: "yearly", left: p.KeepYearly, period: func(t time.Time) string { return t.Format("2006") }},
	}
}

// week is that of ISO 8601, which begins on Monday and may be of another year
// than the day.
func week(t time.Time) string {
	year, n := t.ISOWeek()
	return fmt.Sprintf("%d-W%02d", year, n)
}

// wants is asked from the newest archive to the oldest.
func (r *rule) wants(t time.Time) string {
	if r.left == 0 {
		return ""
	}
	period := r.period(t)
	if period == r.last {
		return ""
	}
	r.last = period
	r.left--
	return r.name + " " + period
}
