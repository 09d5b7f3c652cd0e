package scheduler

import (
	"context"

	"github.com/shieldhq/shield"
)

// absent returns why no run for a target can be started: its agent is away.
func (s *Scheduler) absent(ctx context.Context, t *shield.Target) (string, error) {
	if s.opts.Absent == nil || t.Agent == "" {
		return "", nil
	}
	return s.opts.Absent(ctx, t.Agent)
}
