package server

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/shieldhq/shield"
)

// RestoreRequest is the body of a restore.
type RestoreRequest struct {
	Target string `json:"target,omitempty"` // name or UUID; empty: the archive's own
	// Confirm is the name of the target whose content is overwritten. Scratch
	// targets, and dry runs, need none.
	Confirm string `json:"confirm,omitempty"`
}

// RestoreTargetRequest is the body of a restore of what a target held.
type RestoreTargetRequest struct {
	// At is the time of which the content is wanted; zero is now.
	At     time.Time `json:"at,omitzero"`
	Target string    `json:"target,omitempty"` // name or UUID of where to; empty: the same
	// Confirm is as in RestoreRequest.
	Confirm string `json:"confirm,omitempty"`
}

// byDryRun has a restore looked at, and not made.
var byDryRun = param{name: "dry_run", about: "Look at what the restore needs, and restore nothing", typ: huma.TypeBoolean}

// mountRestores adds both ways to say what is to be restored: an archive, or
// what a target held at a time. Each can be a dry run.
func (s *Server) mountRestores() {
	take(s, queued(operation{
		path: "/v1/archives/{ref}/restore", id: "restoreArchive", tag: "Archives", summary: "Restore an archive",
		params: []param{byDryRun}, body: optional[RestoreRequest](), keyed: true,
	}), func(ctx context.Context, c *call, r *RestoreRequest) (*shield.Task, error) {
		return s.restore(ctx, c, shield.Request{Archive: c.ref(), Target: r.Target, Confirm: r.Confirm})
	})
	take(s, queued(operation{
		path: "/v1/targets/{ref}/restore", id: "restoreTarget", tag: "Targets", summary: "Restore what a target held at a time",
		params: []param{byDryRun}, body: optional[RestoreTargetRequest](), keyed: true,
	}), func(ctx context.Context, c *call, r *RestoreTargetRequest) (*shield.Task, error) {
		return s.restore(ctx, c, shield.Request{From: c.ref(), At: r.At, Target: r.Target, Confirm: r.Confirm})
	})
}

// restore queues a restore, or its dry run.
func (s *Server) restore(ctx context.Context, c *call, r shield.Request) (*shield.Task, error) {
	dry := c.query.flag("dry_run")
	if c.query.err != nil {
		return nil, c.query.err
	}
	if err := s.whole(ctx, "target", &r.Target); err != nil {
		return nil, err
	}
	r.Op = shield.OpRestore
	if dry != nil && *dry {
		r.Op = shield.OpPreflight
	}
	return s.submit(ctx, c, r)
}

const dryRun = "?dry_run=true"

// Restore starts a restore of an archive, to its own target if the request
// names none.
func (c *Client) Restore(ctx context.Context, archive string, r RestoreRequest) (*shield.Task, error) {
	return c.task(ctx, http.MethodPost, at("/v1/archives", archive, "restore"), r)
}

// RestoreTarget starts a restore of what a target held at a time, to the same
// target if the request names none. The task's Expected is the archive that
// was chosen.
func (c *Client) RestoreTarget(ctx context.Context, ref string, r RestoreTargetRequest) (*shield.Task, error) {
	return c.task(ctx, http.MethodPost, at("/v1/targets", ref, "restore"), r)
}

// PreflightRestore starts a task that looks at what the restore of an archive
// needs: its findings have the result, and it fails where the restore would be
// refused.
func (c *Client) PreflightRestore(ctx context.Context, archive string, r RestoreRequest) (*shield.Task, error) {
	return c.task(ctx, http.MethodPost, at("/v1/archives", archive, "restore")+dryRun, r)
}

// PreflightTarget does the same for a restore of what a target held.
func (c *Client) PreflightTarget(ctx context.Context, ref string, r RestoreTargetRequest) (*shield.Task, error) {
	return c.task(ctx, http.MethodPost, at("/v1/targets", ref, "restore")+dryRun, r)
}
