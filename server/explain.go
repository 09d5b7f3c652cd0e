package server

import (
	"context"
	"strings"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/scheduler/timespec"
)

// ExplainLimit bounds the runs of an explanation.
const ExplainLimit = 1000

// ExplainRequest is the body of a request to explain a schedule.
type ExplainRequest struct {
	Timespec string    `json:"timespec"`
	Timezone string    `json:"timezone,omitempty"` // empty: the daemon's
	Jitter   int64     `json:"jitter,omitempty"`
	Blackout []string  `json:"blackout,omitempty"`
	From     time.Time `json:"from,omitzero"`   // zero: now
	Count    int       `json:"count,omitempty"` // of runs; 0: 10
}

// An Explanation is what a schedule means, and its next runs.
type Explanation struct {
	Canonical string         `json:"canonical"`
	Meaning   string         `json:"meaning"`
	Timezone  string         `json:"timezone"`
	Runs      []ExplainedRun `json:"runs"`
}

// An ExplainedRun is when a run is, and what is to be known of it.
type ExplainedRun struct {
	UTC    time.Time `json:"utc"`
	Local  string    `json:"local"`
	Offset string    `json:"offset"`
	Note   string    `json:"note"`
}

func (s *Server) mountExplain() {
	take(s, operation{
		method: "POST", path: "/v1/schedules/explain", id: "explainSchedule", tag: "Schedules", role: shield.RoleViewer,
		summary: "What a timespec means, and its next runs", body: bodyOf[ExplainRequest]("timespec"),
	}, s.explainSchedule)
}

func (s *Server) explainSchedule(_ context.Context, _ *call, r *ExplainRequest) (*Explanation, error) {
	if r.Count < 0 || r.Count > ExplainLimit {
		return nil, shield.FieldErrorf("count", "is %d: 1 to %d are allowed, or 0 for 10", r.Count, ExplainLimit)
	}
	sc := &shield.Schedule{Meta: shield.Meta{Name: "explained"}, Timespec: r.Timespec, Timezone: r.Timezone, Jitter: r.Jitter, Blackout: r.Blackout}
	if err := sc.Validate(); err != nil {
		return nil, err
	}
	if sc.Timezone == "" {
		s.fillZone(sc)
	}
	made, err := timespec.New(sc)
	if err != nil {
		return nil, err
	}
	from, count := r.From, r.Count
	if from.IsZero() {
		from = time.Now()
	}
	if count == 0 {
		count = 10
	}
	x := &Explanation{Canonical: made.Spec.String(), Meaning: made.Spec.Meaning(), Timezone: made.Location.String(), Runs: []ExplainedRun{}}
	for _, o := range made.Spec.Occurrences(from, made.Location, count) {
		note := o.Note
		if w, black := made.Blacked(o.At); black {
			note = strings.TrimPrefix(note+"; skipped: blackout "+w.String(), "; ")
		}
		x.Runs = append(x.Runs, ExplainedRun{o.At.UTC(), o.At.Format("Mon 2006-01-02 15:04"), o.At.Format("-07:00"), note})
	}
	return x, nil
}
