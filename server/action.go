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
	action(s, operation{path: "/v1/jobs/{ref}/run", id: "runJob", tag: "Jobs", summary: "Back up", keyed: true}, shield.Request{Op: shield.OpBackup})
	action(s, operation{path: "/v1/targets/{ref}/test", id: "testTarget", tag: "Targets", summary: "Ask a target whether it can be reached and used"}, shield.Request{Op: shield.OpTestTarget})
	action(s, operation{path: "/v1/targets/{ref}/probe", id: "probeTarget", tag: "Targets", summary: "Ask a target what it holds"}, shield.Request{Op: shield.OpProbeTarget})
	action(s, operation{path: "/v1/stores/{ref}/test", id: "testStore", tag: "Stores", summary: "Store, read back and delete a small blob"}, shield.Request{Op: shield.OpTestStore})
	action(s, operation{path: "/v1/stores/{ref}/check", id: "checkStore", tag: "Stores", summary: "Run the conformance suite on a store"}, shield.Request{Op: shield.OpCheckStore})
	action(s, operation{path: "/v1/archives/{ref}/verify", id: "verifyArchive", tag: "Archives", summary: "Read an archive and compare it with the catalog, without a target"},
		shield.Request{Op: shield.OpVerify})
	take(s, queued(operation{
		path: "/v1/stores/{ref}/reconcile", id: "reconcileStore", tag: "Stores", summary: "Compare a store with the catalog", body: optional[ReconcileRequest](),
	}), func(ctx context.Context, c *call, r *ReconcileRequest) (*shield.Task, error) {
		return s.submit(ctx, c, shield.Request{Op: shield.OpReconcile, Store: c.ref(), RemoveOrphans: r.Remove})
	})
}

// queued completes an operation that is answered with the task that it queues.
func queued(op operation) operation {
	if op.method == "" {
		op.method = "POST"
	}
	if op.role == "" {
		op.role = shield.RoleOperator
	}
	op.status, op.fails = http.StatusAccepted, []shield.Code{shield.Conflict}
	return op
}

// action adds an operation that queues a task that needs no more than the ref
// in the path, and of a target, if that is what the path names, or store, job or agent.
func action(s *Server, op operation, r shield.Request) {
	handle(s, queued(op), func(ctx context.Context, c *call) (*shield.Task, error) {
		r := r
		switch r.Op {
		case shield.OpBackup:
			r.Job = c.ref()
		case shield.OpVerify:
			r.Archive = c.ref()
		case shield.OpTestTarget, shield.OpProbeTarget:
			r.Target = c.ref()
		case shield.OpAgentStatus:
			r.Agent = c.ref()
		default:
			r.Store = c.ref()
		}
		return s.submit(ctx, c, r)
	})
}

// keyLimit is the length of the longest Idempotency-Key.
const keyLimit = 200

// submit queues a task for who asks; once only, where the operation knows keys
// and the request has one.
func (s *Server) submit(ctx context.Context, c *call, r shield.Request) (*shield.Task, error) {
	r.Owner = principal(ctx).Name
	if c.op.keyed && r.Op != shield.OpPreflight {
		r.Key = c.req.Header.Get("Idempotency-Key")
		if len(r.Key) > keyLimit {
			return nil, shield.FieldErrorf("Idempotency-Key", "has %d bytes: at most %d are allowed", len(r.Key), keyLimit)
		}
	}
	t, err := s.scheduler.Submit(ctx, r)
	if err != nil {
		return nil, err
	}
	return s.shown(t), nil
}
