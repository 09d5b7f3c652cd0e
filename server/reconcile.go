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
	body, err := readBody(w, req.Request)
	if err != nil {
		return err
	}
	var r ReconcileRequest
	if len(body) > 0 {
		if err := decode(body, &r); err != nil {
			return err
		}
	}
	return s.submit(w, req, shield.Request{Op: shield.OpReconcile, Store: ref(req), RemoveOrphans: r.Remove})
}
