package server

import (
	"context"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/scheduler/retention"
)

// A Preview is what retention would do now to one valid archive.
type Preview struct {
	retention.Decision
	Job  string `json:"job"` // its name
	Kept bool   `json:"kept"`
}

func (s *Server) mountPreviews() {
	handle(s, operation{
		method: "GET", path: "/v1/retention/{ref}/preview", id: "previewPolicy", tag: "Policies", role: shield.RoleViewer,
		summary: "What a policy makes of the archives of all jobs that are under it",
	}, s.previewPolicy)
	handle(s, operation{
		method: "GET", path: "/v1/jobs/{ref}/retention", id: "previewJob", tag: "Jobs", role: shield.RoleViewer,
		summary: "What its policy makes of a job's archives",
	}, s.previewJob)
}

func (s *Server) previewPolicy(ctx context.Context, c *call) ([]Preview, error) {
	p, err := s.catalog.Policy(ctx, c.ref())
	if err != nil {
		return nil, err
	}
	jobs, err := s.catalog.Jobs(ctx, shield.Filter{Policy: p.UUID})
	if err != nil {
		return nil, err
	}
	all := []Preview{}
	for _, j := range jobs {
		some, err := s.preview(ctx, p, j)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}

func (s *Server) previewJob(ctx context.Context, c *call) ([]Preview, error) {
	j, err := s.catalog.Job(ctx, c.ref())
	if err != nil {
		return nil, err
	}
	p, err := s.catalog.Policy(ctx, j.Policy)
	if err != nil {
		return nil, err
	}
	all, err := s.preview(ctx, p, j)
	return nonNil(all), err
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
