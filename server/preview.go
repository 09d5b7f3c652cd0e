package server

import (
	"context"
	"net/http"
	"time"

	"github.com/uptrace/bunrouter"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/scheduler/retention"
)

// A Preview is what retention would do now to one valid archive.
type Preview struct {
	retention.Decision
	Job  string `json:"job"` // its name
	Kept bool   `json:"kept"`
}

// previewPolicy answers with what a policy makes of the archives of all jobs
// that are under it.
func (s *Server) previewPolicy(w http.ResponseWriter, req bunrouter.Request) error {
	p, err := s.catalog.Policy(req.Context(), ref(req))
	if err != nil {
		return err
	}
	jobs, err := s.catalog.Jobs(req.Context(), shield.Filter{Policy: p.UUID})
	if err != nil {
		return err
	}
	all := []Preview{}
	for _, j := range jobs {
		some, err := s.preview(req.Context(), p, j)
		if err != nil {
			return err
		}
		all = append(all, some...)
	}
	return s.json(w, http.StatusOK, all)
}

// previewJob answers with what its policy makes of a job's archives.
func (s *Server) previewJob(w http.ResponseWriter, req bunrouter.Request) error {
	j, err := s.catalog.Job(req.Context(), ref(req))
	if err != nil {
		return err
	}
	p, err := s.catalog.Policy(req.Context(), j.Policy)
	if err != nil {
		return err
	}
	all, err := s.preview(req.Context(), p, j)
	if err != nil {
		return err
	}
	return s.json(w, http.StatusOK, nonNil(all))
}

// preview decides about the archives of a job. Those of a target that it had
// before are decided about apart, as retention does.
func (s *Server) preview(ctx context.Context, p *shield.Policy, j *shield.Job) ([]Preview, error) {
	own, err := s.catalog.Archives(ctx, shield.Filter{Job: j.UUID, Statuses: []string{string(shield.ArchiveValid)}})
	if err != nil {
		return nil, err
	}
	var all []Preview
	seen := map[string]bool{}
	for _, a := range own {
		if seen[a.Target] {
			continue
		}
		seen[a.Target] = true
		ofTarget, err := s.catalog.Archives(ctx, shield.Filter{Target: a.Target, Statuses: []string{string(shield.ArchiveValid), string(shield.ArchiveInvalid)}})
		if err != nil {
			return nil, err
		}
		decisions, err := retention.Plan(p, j.UUID, ofTarget, time.Now())
		if err != nil {
			return nil, err
		}
		for _, d := range decisions {
			all = append(all, Preview{d, j.Name, d.Kept()})
		}
	}
	return all, nil
}
