package server

import (
	"context"
	"time"

	"github.com/shieldhq/shield"
)

func (s *Server) mountArchives() {
	op := func(method, path, id, summary string, role shield.Role) operation {
		return operation{method: method, path: "/v1/archives" + path, id: id, tag: "Archives", summary: summary, role: role}
	}
	list := op("GET", "", "listArchives", "List archives, the newest first", shield.RoleViewer)
	list.params = []param{byTarget, byStore, byJob, byPlugin, bySuspicion, after, before, byArchive}
	list.params = append(list.params, archivePager.params()...)
	list.fails = []shield.Code{shield.NotFound}
	handle(s, list, func(ctx context.Context, c *call) ([]*shield.Archive, error) {
		return paged(ctx, c, archivePager, s.catalog.Archives)
	})
	get := op("GET", "/{ref}", "getArchive", "Show an archive", shield.RoleViewer)
	get.tagged = true
	handle(s, get, func(ctx context.Context, c *call) (*shield.Archive, error) {
		a, err := s.catalog.Archive(ctx, c.ref())
		return a, c.tagArchive(a, err)
	})
	patch := op("PATCH", "/{ref}", "patchArchive", "Change the notes of an archive and whether it is held", shield.RoleOperator)
	patch.body, patch.fails = bodyOf[ArchivePatch](), []shield.Code{shield.Conflict}
	patch.body.media, patch.tagged, patch.guarded = []string{"application/merge-patch+json", "application/json"}, true, true
	take(s, patch, s.changeArchive)
	hold := func(verb, summary string, held bool) {
		o := op("POST", "/{ref}/"+verb, verb+"Archive", summary, shield.RoleOperator)
		o.fails, o.tagged, o.guarded = []shield.Code{shield.Conflict}, true, true
		handle(s, o, func(ctx context.Context, c *call) (*shield.Archive, error) {
			return s.changeArchive(ctx, c, &ArchivePatch{Held: &held})
		})
	}
	hold("hold", "Keep an archive whatever its policy says, until it is released", true)
	hold("release", "Let the policy of an archive decide again", false)
	acknowledge := op("POST", "/{ref}/acknowledge", "acknowledgeArchive", "Say that a suspicious archive is fine", shield.RoleOperator)
	acknowledge.body, acknowledge.fails = optional[AcknowledgeRequest](), []shield.Code{shield.Conflict}
	acknowledge.tagged, acknowledge.guarded = true, true
	take(s, acknowledge, s.acknowledgeArchive)
	remove := op("DELETE", "/{ref}", "deleteArchive", "Remove an archive from its store", shield.RoleEngineer)
	remove.guarded = true
	handle(s, queued(remove), s.deleteArchive)
	s.mountContent()
}

// ArchivePatch is all that clients may change of an archive.
type ArchivePatch struct {
	Notes *string `json:"notes,omitempty"`
	Held  *bool   `json:"held,omitempty"`
}

func (s *Server) changeArchive(ctx context.Context, c *call, change *ArchivePatch) (*shield.Archive, error) {
	if change.Notes == nil && change.Held == nil {
		return nil, shield.FieldErrorf("notes", "is missing: notes and held are all that can be changed of an archive")
	}
	a, err := s.oldArchive(ctx, c)
	if err != nil {
		return nil, err
	}
	if change.Notes != nil {
		a.Notes = *change.Notes
	}
	if change.Held != nil {
		if *change.Held && a.Status != shield.ArchiveValid && a.Status != shield.ArchiveInvalid {
			return nil, shield.Errorf(shield.Conflict, "", "archive %s is %s: only one that is not about to be purged can be held", a.UUID, a.Status)
		}
		a.Held = *change.Held
	}
	return a, s.updateArchive(ctx, c, a)
}

// oldArchive returns the archive that is to be changed, if it is in a version
// that the client wants.
func (s *Server) oldArchive(ctx context.Context, c *call) (*shield.Archive, error) {
	a, err := s.catalog.Archive(ctx, c.ref())
	if err != nil {
		return nil, err
	}
	return a, c.match(a.Version)
}

// updateArchive changes an archive, if it still is what a was made of.
func (s *Server) updateArchive(ctx context.Context, c *call, a *shield.Archive) error {
	s.deletes.Lock()
	err := s.catalog.UpdateArchive(ctx, a)
	s.deletes.Unlock()
	return c.tagArchive(a, c.matched(err))
}

// tagArchive has the answer tell the version of an archive, unless there is an
// error, which it returns.
func (c *call) tagArchive(a *shield.Archive, err error) error {
	if err == nil {
		c.tag(a.Version)
	}
	return err
}

// deleteArchive queues the removal of an archive, if it is in a version that
// the client wants.
func (s *Server) deleteArchive(ctx context.Context, c *call) (*shield.Task, error) {
	s.deletes.Lock() // nobody changes it between look and request
	defer s.deletes.Unlock()
	if _, err := s.oldArchive(ctx, c); err != nil {
		return nil, err
	}
	return s.submit(ctx, c, shield.Request{Op: shield.OpPurge, Archive: c.ref(), Reason: "deleted by " + principal(ctx).Name})
}

// AcknowledgeRequest is the body of an acknowledgement.
type AcknowledgeRequest struct {
	Note string `json:"note,omitempty"` // why the archive is fine
}

// acknowledgeArchive notes that somebody says that a suspicious archive is fine.
func (s *Server) acknowledgeArchive(ctx context.Context, c *call, r *AcknowledgeRequest) (*shield.Archive, error) {
	if err := shield.ValidateText("note", r.Note); err != nil {
		return nil, err
	}
	a, err := s.oldArchive(ctx, c)
	if err != nil {
		return nil, err
	}
	switch {
	case a.Suspicion == "":
		return nil, shield.Errorf(shield.Conflict, "", "archive %s is not suspicious: there is nothing to acknowledge", a.UUID)
	case !a.Suspicious():
		return nil, shield.Errorf(shield.Conflict, "", "archive %s was acknowledged already, by %s at %s", a.UUID, a.AcknowledgedBy, a.AcknowledgedAt.Format(time.RFC3339))
	}
	a.AcknowledgedAt, a.AcknowledgedBy, a.AcknowledgedNote = time.Now(), principal(ctx).Name, r.Note
	return a, s.updateArchive(ctx, c, a)
}
