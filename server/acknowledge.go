package server

import (
	"net/http"
	"time"

	"github.com/uptrace/bunrouter"

	"github.com/shieldhq/shield"
)

// AcknowledgeRequest is the body of an acknowledgement.
type AcknowledgeRequest struct {
	Note string `json:"note,omitempty"` // why the archive is fine
}

// acknowledgeArchive notes that somebody says that a suspicious archive is fine.
func (s *Server) acknowledgeArchive(w http.ResponseWriter, req bunrouter.Request) error {
	var r AcknowledgeRequest
	if err := readOptional(w, req.Request, &r); err != nil {
		return err
	}
	if err := shield.ValidateText("note", r.Note); err != nil {
		return err
	}
	a, err := s.catalog.Archive(req.Context(), ref(req))
	if err != nil {
		return err
	}
	switch {
	case a.Suspicion == "":
		return shield.Errorf(shield.Conflict, "", "archive %s is not suspicious: there is nothing to acknowledge", a.UUID)
	case !a.Suspicious():
		return shield.Errorf(shield.Conflict, "", "archive %s was acknowledged already, by %s at %s", a.UUID, a.AcknowledgedBy, a.AcknowledgedAt.Format(time.RFC3339))
	}
	a.AcknowledgedAt, a.AcknowledgedBy, a.AcknowledgedNote = time.Now(), "admin", r.Note
	if err := s.catalog.UpdateArchive(req.Context(), a); err != nil {
		return err
	}
	return s.json(w, http.StatusOK, a)
}
