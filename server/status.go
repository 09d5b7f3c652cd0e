package server

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/shieldhq/shield"
)

func (s *Server) mountDaemon() {
	handle(s, operation{
		method: "GET", path: "/v1/runs", id: "listRuns", tag: "Runs", summary: "List the expected occurrences of jobs, the latest due first",
		role: shield.RoleViewer, params: append([]param{byJob, after, before, byRunStatus}, runPager.params()...), fails: []shield.Code{shield.NotFound},
	}, func(ctx context.Context, c *call) ([]*shield.Run, error) {
		return paged(ctx, c, runPager, s.catalog.Runs)
	})
	events := operation{
		method: "GET", path: "/v1/events", id: "listEvents", tag: "Events", streamed: true, status: http.StatusOK,
		summary: "List what happened, the newest first; or stream it, as server-sent events, if the client accepts text/event-stream",
		role:    shield.RoleViewer, params: append([]param{after, before}, eventPager.params()...),
	}
	s.register(&events, answerOf[[]*shield.Event](), s.serveEvents)
	handle(s, operation{
		method: "GET", path: "/v1/status", id: "getStatus", tag: "Daemon", summary: "Show the state of the daemon at a glance", role: shield.RoleViewer,
	}, s.showStatus)
}

// Health is the answer of a daemon that answers.
type Health struct {
	Status string `json:"status"`
}

// Status is the state of the daemon at a glance.
type Status struct {
	Release   string         `json:"release"`
	Mode      string         `json:"mode"` // "DEV": every schedule means every minute
	StartedAt time.Time      `json:"started_at"`
	Targets   int            `json:"targets"`
	Stores    int            `json:"stores"`
	Jobs      int            `json:"jobs"`
	Archives  int            `json:"archives"` // valid ones
	Running   []*shield.Task `json:"running"`
	Pending   int            `json:"pending"`
	Failures  int            `json:"failures"` // in the last 24 hours
	Failed    []*shield.Task `json:"failed"`   // the newest of them, at most 10
	Breached  []*shield.Job  `json:"breached"` // jobs that miss their objectives
	// Suspicious are the archives that nobody has acknowledged: what their jobs
	// made of their targets is not purged.
	Suspicious []*shield.Archive `json:"suspicious"`
}

func (s *Server) showStatus(ctx context.Context, _ *call) (*Status, error) {
	st := &Status{Release: s.opts.Release, Mode: s.opts.Mode, StartedAt: s.started}
	var err error
	count := func(n int, e error) int {
		if err == nil {
			err = e
		}
		return n
	}
	tasks := func(f shield.Filter) []*shield.Task {
		all, e := s.catalog.Tasks(ctx, f)
		count(0, e)
		for _, t := range all {
			s.shown(t)
		}
		return nonNil(all)
	}
	st.Targets = count(length(s.catalog.Targets(ctx, shield.Filter{})))
	st.Stores = count(length(s.catalog.Stores(ctx, shield.Filter{})))
	jobs, e := s.catalog.Jobs(ctx, shield.Filter{})
	st.Jobs = count(len(jobs), e)
	st.Breached = nonNil(slices.DeleteFunc(jobs, func(j *shield.Job) bool { return !j.Breached }))
	for _, j := range st.Breached {
		s.jobs().show(j)
	}
	st.Running = tasks(shield.Filter{Statuses: []string{string(shield.TaskRunning)}})
	st.Failed = tasks(shield.Filter{Statuses: []string{string(shield.TaskFailed)}, After: time.Now().Add(-24 * time.Hour)})
	st.Failures = len(st.Failed)
	st.Failed = st.Failed[:min(st.Failures, 10)]
	figures, e := s.catalog.Figures(ctx)
	if count(0, e); e == nil {
		st.Archives, st.Pending = counts(figures)
	}
	suspicious := true
	some, e := s.catalog.Archives(ctx, shield.Filter{Suspicious: &suspicious, Statuses: []string{string(shield.ArchiveValid), string(shield.ArchiveInvalid)}})
	st.Suspicious = nonNil(some)
	count(len(some), e)
	return st, err
}

func length[T any](all []T, err error) (int, error) { return len(all), err }

// counts returns how many valid archives and pending tasks there are.
func counts(f *shield.Figures) (valid, pending int) {
	for _, a := range f.Archives {
		if a.Status == shield.ArchiveValid {
			valid += int(a.Count)
		}
	}
	for _, t := range f.Tasks {
		if t.Status == shield.TaskPending {
			pending += int(t.Count)
		}
	}
	return valid, pending
}
