package main

import (
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // not every host has zone files

	"github.com/shieldhq/shield"
	periods "github.com/shieldhq/shield/internal/period"
	"github.com/shieldhq/shield/scheduler/timespec"
)

type explainCmd struct {
	Schedule explainSchedule `cmd:"" help:"Show what a timespec means, and its next runs."`
}

type explainSchedule struct {
	Timespec []string `arg:"" name:"spec" help:"The timespec. Quote a cron line, for the sake of the shell."`
	Timezone string   `help:"IANA time zone, like Europe/Rome; none: UTC." placeholder:"ZONE"`
	From     string   `help:"Show runs after this time: 2026-03-01T12:00:00Z, or \"2026-03-01 12:00\" in the time zone; none: now." placeholder:"TIME"`
	Count    int      `help:"How many runs." short:"n" default:"20" placeholder:"N"`
	Jitter   period   `help:"Jitter of the schedule: runs begin up to this later." placeholder:"TIME"`
	Blackout []string `help:"Window in which no run starts. Can be repeated." sep:"none" placeholder:"WINDOW"`
}

// explainLimit bounds the runs that are shown.
const explainLimit = 10_000

// An explanation is what --json prints.
type explanation struct {
	Canonical string         `json:"canonical"`
	Meaning   string         `json:"meaning"`
	Timezone  string         `json:"timezone"`
	Runs      []explainedRun `json:"runs"`
}

type explainedRun struct {
	UTC    time.Time `json:"utc"`
	Local  string    `json:"local"`
	Offset string    `json:"offset"`
	Note   string    `json:"note"`
}

func (c *explainSchedule) Run(e *env) error {
	if c.Count < 0 || c.Count > explainLimit {
		return shield.FieldErrorf("count", "is %d: 0 to %d are allowed", c.Count, explainLimit)
	}
	sch, err := timespec.New(&shield.Schedule{
		Meta: shield.Meta{Name: "explained"}, Timespec: strings.Join(c.Timespec, " "), Timezone: c.Timezone,
		Jitter: int64(c.Jitter), Blackout: c.Blackout,
	})
	if err != nil {
		return err
	}
	from, err := c.from(sch.Location)
	if err != nil {
		return err
	}
	x := explain(sch, from, c.Count)
	if e.json {
		return e.printJSON(x)
	}
	return x.print(e, sch, from)
}

func (c *explainSchedule) from(loc *time.Location) (time.Time, error) {
	if c.From == "" {
		return time.Now(), nil
	}
	return parseTime("from", c.From, loc)
}

// parseTime reads a time that a flag has, in loc unless it has a zone of its own.
func parseTime(flag, text string, loc *time.Location) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, "2006-01-02 15:04", "2006-01-02 15:04:05", "2006-01-02T15:04", time.DateOnly, "20060102"} {
		if t, err := time.ParseInLocation(layout, text, loc); err == nil {
			return t, nil
		}
	}
	return time.Time{}, shield.FieldErrorf(flag, `%q is no time: one like 2026-03-01T12:00:00Z, 2026-03-01 or "2026-03-01 12:00" is wanted`, text)
}

func explain(sch *timespec.Schedule, from time.Time, n int) *explanation {
	x := &explanation{
		Canonical: sch.Spec.String(), Meaning: sch.Spec.Meaning(),
		Timezone: sch.Location.String(), Runs: []explainedRun{},
	}
	for _, o := range sch.Spec.Occurrences(from, sch.Location, n) {
		note := o.Note
		if w, black := sch.Blacked(o.At); black {
			note = strings.TrimPrefix(note+"; skipped: blackout "+w.String(), "; ")
		}
		x.Runs = append(x.Runs, explainedRun{
			UTC: o.At.UTC(), Local: o.At.Format("Mon 2006-01-02 15:04"), Offset: o.At.Format("-07:00"), Note: note,
		})
	}
	return x
}

func (x *explanation) print(e *env, sch *timespec.Schedule, from time.Time) error {
	fmt.Fprintf(e.out, "canonical: %s\nmeaning:   %s\ntime zone: %s\n", x.Canonical, x.Meaning, x.Timezone)
	if sch.Jitter > 0 {
		fmt.Fprintf(e.out, "jitter:    each job begins at its own time, below %s later\n", periods.Format(int64(sch.Jitter/time.Second)))
	}
	change := "never change from then on"
	if c, ok := timespec.NextChange(from, sch.Location); ok {
		change = c.String()
	}
	fmt.Fprintf(e.out, "change:    %s\n\n", change)
	if len(x.Runs) == 0 {
		_, err := fmt.Fprintln(e.err, "there are no runs after that time")
		return err
	}
	var rows [][]string
	for _, r := range x.Runs {
		rows = append(rows, []string{r.Local, r.Offset, r.UTC.Format("2006-01-02 15:04Z"), r.Note})
	}
	return table(e.out, []string{"local", "offset", "utc", "note"}, rows)
}
