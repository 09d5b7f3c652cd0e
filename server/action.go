package server

import (
	"context"
	"net/http"

	"github.com/shieldhq/shield"
)

// ReconcileRequest is the body of a reconciliation.
type ReconcileRequest struct {
	Remove bool `json:"remove,omitempty"` // orphans older than a day
}

// mountActions adds what is answered with the task that it queues.
func (s *Server) mountActions() {
	action(s, operation{path: "/v1/jobs/{ref}/run", id: "runJob", tag: "Jobs", summary: "Back up"}, shield.Request{Op: shield.OpBackup})
	action(s, operation{path: "/v1/targets/{ref}/test", id: "testTarget", tag: "Targets", summary: "Ask a target whether it can be reached and used"}, shield.Request{Op: shield.OpTestTarget})
	action(s, operation{path: "/v1/targets/{ref}/probe", id: "probeTarget", tag: "Targets", summary: "Ask a target what it holds"}, shield.Request{Op: shield.OpProbeTarget})
	action(s, operation{path: "/v1/stores/{ref}/test", id: "testStore", tag: "Stores", summary: "Store, read back and delete a small blob"}, shield.Request{Op: shield.OpTestStore})
	action(s, operation{path: "/v1/stores/{ref}/check", id: "checkStore", tag: "Stores", summary: "Run the conformance suite on a store"}, shield.Request{Op: shield.OpCheckStore})
	action(s, operation{method: "DELETE", path: "/v1/archives/{ref}", id: "deleteArchive", tag: "Archives", summary: "Remove an archive from its store"},
		shield.Request{Op: shield.OpPurge})
	take(s, queued(operation{
		path: "/v1/stores/{ref}/reconcile", id: "reconcileStore", tag: "Stores", summary: "Compare a store with the catalog", body: optional[ReconcileRequest](),
	}), func(ctx context.Context, c *call, r *ReconcileRequest) (*shield.Task, error) {
		return s.submit(ctx, shield.Request{Op: shield.OpReconcile, Store: c.ref(), RemoveOrphans: r.Remove})
	})
}

// queued completes an operation that is answered with the task that it queues.
func queued(op operation) operation {
	if op.method == "" {
		op.method = "POST"
	}
	op.role, op.status, op.fails = shield.RoleOperator, http.StatusAccepted, []shield.Code{shield.Conflict}
	return op
}

// action adds an operation that queues a task that needs no more than the ref
// in the path, and of a target, if that is what the path names, or store or job.
func action(s *Server, op operation, r shield.Request) {
	handle(s, queued(op), func(ctx context.Context, c *call) (*shield.Task, error) {
		r := r
		switch r.Op {
		case shield.OpBackup:
			r.Job = c.ref()
		case shield.OpPurge:
			r.Archive, r.Reason = c.ref(), "deleted by "+principal(ctx).Name
		case shield.OpTestTarget, shield.OpProbeTarget:
			r.Target = c.ref()
		default:
			r.Store = c.ref()
		}
		return s.submit(ctx, r)
	})
}

// submit queues a task for who asks.
func (s *Server) submit(ctx context.Context, r shield.Request) (*shield.Task, error) {
	r.Owner = principal(ctx).Name
	t, err := s.scheduler.Submit(ctx, r)
	if err != nil {
		return nil, err
	}
	return s.shown(t), nil
}
