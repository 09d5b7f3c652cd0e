package server

import (
	"net/http"

	"github.com/uptrace/bunrouter"

	"github.com/shieldhq/shield"
)

// ReconcileRequest is the body of a reconciliation.
type ReconcileRequest struct {
	Remove bool `json:"remove,omitempty"` // orphans older than a day
}

func (s *Server) reconcileStore(w http.ResponseWriter, req bunrouter.Request) error {
	var r ReconcileRequest
	if err := readOptional(w, req.Request, &r); err != nil {
		return err
	}
	return s.submit(w, req, shield.Request{Op: shield.OpReconcile, Store: ref(req), RemoveOrphans: r.Remove})
}
