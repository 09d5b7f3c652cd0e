package server

import (
	"context"

	"github.com/shieldhq/shield"
)

func (s *Server) mountPause() {
	jobs := s.jobs()
	pause := func(verb, summary string, paused bool) {
		handle(s, operation{
			method: "POST", path: jobs.path + "/{ref}/" + verb, id: verb + "Job", tag: jobs.tag, summary: summary,
			role: shield.RoleOperator, fails: []shield.Code{shield.Conflict}, tagged: true, guarded: true,
		}, func(ctx context.Context, c *call) (*shield.Job, error) {
			j, err := s.catalog.Job(ctx, c.ref())
			if err == nil {
				err = c.match(j.Version)
			}
			if err != nil {
				return nil, err
			}
			if j.Paused == paused {
				return jobs.find(ctx, c, c.ref())
			}
			next := *j
			next.Paused = paused
			return jobs.write(ctx, c, j, &next)
		})
	}
	pause("pause", "Have a job start no runs", true)
	pause("unpause", "Have a job start its runs again", false)
}
