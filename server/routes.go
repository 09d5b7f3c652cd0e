package server

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/uptrace/bunrouter"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
)

// submit queues a task for a request and answers with it.
func (s *Server) submit(w http.ResponseWriter, req bunrouter.Request, r shield.Request) error {
	r.Owner = "admin"
	t, err := s.scheduler.Submit(req.Context(), r)
	if err != nil {
		return err
	}
	return s.json(w, http.StatusAccepted, s.shown(t))
}

// shown makes a task fit for clients.
func (s *Server) shown(t *shield.Task) *shield.Task {
	t.TargetEndpoint, t.StoreEndpoint = s.vault.Redact(t.TargetEndpoint), s.vault.Redact(t.StoreEndpoint)
	return t
}

func (s *Server) mountArchives(g routes) {
	g.handle("GET", "/archives", func(w http.ResponseWriter, req bunrouter.Request) error {
		f, err := s.filter(req, archiveFilters...)
		if err != nil {
			return err
		}
		all, err := s.catalog.Archives(req.Context(), f)
		if err != nil {
			return err
		}
		return s.json(w, http.StatusOK, nonNil(all))
	})
	g.handle("GET", "/archives/:ref", func(w http.ResponseWriter, req bunrouter.Request) error {
		a, err := s.catalog.Archive(req.Context(), ref(req))
		if err != nil {
			return err
		}
		return s.json(w, http.StatusOK, a)
	})
	g.handle("PATCH", "/archives/:ref", s.changeArchive)
	g.handle("DELETE", "/archives/:ref", func(w http.ResponseWriter, req bunrouter.Request) error {
		return s.submit(w, req, shield.Request{Op: shield.OpPurge, Archive: ref(req), Reason: "deleted by admin"})
	})
	g.handle("POST", "/archives/:ref/restore", s.restoreArchive)
	g.handle("POST", "/archives/:ref/acknowledge", s.acknowledgeArchive)
}

// changeArchive changes an archive's notes and whether it is held, all that
// clients may change.
func (s *Server) changeArchive(w http.ResponseWriter, req bunrouter.Request) error {
	body, err := readBody(w, req.Request)
	if err != nil {
		return err
	}
	var change struct {
		Notes *string `json:"notes"`
		Held  *bool   `json:"held"`
	}
	if err := decode(body, &change); err != nil {
		return err
	}
	if change.Notes == nil && change.Held == nil {
		return shield.FieldErrorf("notes", "is missing: notes and held are all that can be changed of an archive")
	}
	a, err := s.catalog.Archive(req.Context(), ref(req))
	if err != nil {
		return err
	}
	if change.Notes != nil {
		a.Notes = *change.Notes
	}
	if change.Held != nil {
		if *change.Held && a.Status != shield.ArchiveValid && a.Status != shield.ArchiveInvalid {
			return shield.Errorf(shield.Conflict, "", "archive %s is %s: only one that is not about to be purged can be held", a.UUID, a.Status)
		}
		a.Held = *change.Held
	}
	if err := s.catalog.UpdateArchive(req.Context(), a); err != nil {
		return err
	}
	return s.json(w, http.StatusOK, a)
}

// RestoreRequest is the body of a restore.
type RestoreRequest struct {
	Target string `json:"target,omitempty"` // name or UUID; empty: the archive's own
}

func (s *Server) restoreArchive(w http.ResponseWriter, req bunrouter.Request) error {
	var r RestoreRequest
	if err := readOptional(w, req.Request, &r); err != nil {
		return err
	}
	return s.submit(w, req, shield.Request{Op: shield.OpRestore, Archive: ref(req), Target: r.Target})
}

// RestoreTargetRequest is the body of a restore of what a target held.
type RestoreTargetRequest struct {
	// At is the time of which the content is wanted; zero is now.
	At     time.Time `json:"at,omitzero"`
	Target string    `json:"target,omitempty"` // name or UUID of where to; empty: the same
}

func (s *Server) restoreTarget(w http.ResponseWriter, req bunrouter.Request) error {
	var r RestoreTargetRequest
	if err := readOptional(w, req.Request, &r); err != nil {
		return err
	}
	return s.submit(w, req, shield.Request{Op: shield.OpRestore, From: ref(req), At: r.At, Target: r.Target})
}

func (s *Server) mountTasks(g routes) {
	g.handle("GET", "/tasks", func(w http.ResponseWriter, req bunrouter.Request) error {
		f, err := s.filter(req, taskFilters...)
		if err != nil {
			return err
		}
		all, err := s.catalog.Tasks(req.Context(), f)
		if err != nil {
			return err
		}
		for _, t := range all {
			s.shown(t)
		}
		return s.json(w, http.StatusOK, nonNil(all))
	})
	g.handle("GET", "/tasks/:ref", func(w http.ResponseWriter, req bunrouter.Request) error {
		t, lines, _, err := s.scheduler.Follow(req.Context(), ref(req), 0, 0)
		if err != nil {
			return err
		}
		t.Log = strings.Join(lines, "\n") // newer than what the catalog has
		return s.json(w, http.StatusOK, s.shown(t))
	})
	g.handle("GET", "/tasks/:ref/follow", s.followTask)
	g.handle("POST", "/tasks/:ref/cancel", func(w http.ResponseWriter, req bunrouter.Request) error {
		if err := s.scheduler.Cancel(req.Context(), ref(req)); err != nil {
			return err
		}
		t, err := s.catalog.Task(req.Context(), ref(req))
		if err != nil {
			return err
		}
		return s.json(w, http.StatusAccepted, s.shown(t))
	})
	g.handle("POST", "/targets/:ref/test", func(w http.ResponseWriter, req bunrouter.Request) error {
		return s.submit(w, req, shield.Request{Op: shield.OpTestTarget, Target: ref(req)})
	})
	g.handle("POST", "/targets/:ref/restore", s.restoreTarget)
	g.handle("POST", "/targets/:ref/probe", func(w http.ResponseWriter, req bunrouter.Request) error {
		return s.submit(w, req, shield.Request{Op: shield.OpProbeTarget, Target: ref(req)})
	})
	g.handle("POST", "/stores/:ref/check", func(w http.ResponseWriter, req bunrouter.Request) error {
		return s.submit(w, req, shield.Request{Op: shield.OpCheckStore, Store: ref(req)})
	})
	g.handle("POST", "/stores/:ref/reconcile", s.reconcileStore)
	g.handle("POST", "/stores/:ref/test", func(w http.ResponseWriter, req bunrouter.Request) error {
		return s.submit(w, req, shield.Request{Op: shield.OpTestStore, Store: ref(req)})
	})
}

// FollowAnswer is a task with the log lines that came since the last look.
type FollowAnswer struct {
	Task  *shield.Task `json:"task"`
	Lines []string     `json:"lines"`
	Next  int          `json:"next"` // present as after in the next call
}

// followTask waits for news of a task: ?after=LINE&wait=SECONDS, at most 30.
func (s *Server) followTask(w http.ResponseWriter, req bunrouter.Request) error {
	q := s.queryOf(req)
	after, wait := q.number("after"), min(q.number("wait"), 30)
	if err := q.finish(); err != nil {
		return err
	}
	t, lines, next, err := s.scheduler.Follow(req.Context(), ref(req), after, time.Duration(wait)*time.Second)
	if err != nil {
		return err
	}
	t.Log = ""
	return s.json(w, http.StatusOK, FollowAnswer{Task: s.shown(t), Lines: nonNil(lines), Next: next})
}

func (s *Server) listPlugins(w http.ResponseWriter, req bunrouter.Request) error {
	explain := func(err error) string { return s.explain(req.Request, err) }
	return s.json(w, http.StatusOK, plugin.Offers(req.Context(), s.plugins, explain))
}

func (s *Server) showPlugin(w http.ResponseWriter, req bunrouter.Request) error {
	name, names := ref(req), s.plugins.Names()
	if !slices.Contains(names, name) {
		return shield.Errorf(shield.NotFound, "", "there is no plugin %.100q: this host has %s", name, strings.Join(names, ", "))
	}
	info, err := s.plugins.Info(req.Context(), name)
	if err != nil {
		return err
	}
	return s.json(w, http.StatusOK, plugin.Offer{Name: name, Info: &info})
}

func (s *Server) listRuns(w http.ResponseWriter, req bunrouter.Request) error {
	f, err := s.filter(req, runFilters...)
	if err != nil {
		return err
	}
	all, err := s.catalog.Runs(req.Context(), f)
	if err != nil {
		return err
	}
	return s.json(w, http.StatusOK, nonNil(all))
}

func (s *Server) listEvents(w http.ResponseWriter, req bunrouter.Request) error {
	f, err := s.filter(req, eventFilters...)
	if err != nil {
		return err
	}
	all, err := s.catalog.Events(req.Context(), f)
	if err != nil {
		return err
	}
	return s.json(w, http.StatusOK, nonNil(all))
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

func (s *Server) showStatus(w http.ResponseWriter, req bunrouter.Request) error {
	ctx := req.Context()
	st := Status{Release: s.opts.Release, Mode: s.opts.Mode, StartedAt: s.started}
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
	st.Archives = count(length(s.catalog.Archives(ctx, shield.Filter{Statuses: []string{string(shield.ArchiveValid)}})))
	st.Running = tasks(shield.Filter{Statuses: []string{string(shield.TaskRunning)}})
	st.Pending = len(tasks(shield.Filter{Statuses: []string{string(shield.TaskPending)}}))
	st.Failed = tasks(shield.Filter{Statuses: []string{string(shield.TaskFailed)}, After: time.Now().Add(-24 * time.Hour)})
	st.Failures = len(st.Failed)
	st.Failed = st.Failed[:min(st.Failures, 10)]
	suspicious := true
	some, e := s.catalog.Archives(ctx, shield.Filter{Suspicious: &suspicious, Statuses: []string{string(shield.ArchiveValid), string(shield.ArchiveInvalid)}})
	st.Suspicious = nonNil(some)
	count(len(some), e)
	if err != nil {
		return err
	}
	return s.json(w, http.StatusOK, st)
}

func length[T any](all []T, err error) (int, error) { return len(all), err }
