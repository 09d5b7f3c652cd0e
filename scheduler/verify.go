package scheduler

import (
	"context"
	"errors"
	"fmt"

	"github.com/shieldhq/shield"
)

func (s *Scheduler) fillVerify(ctx context.Context, t *shield.Task, r shield.Request) error {
	a, err := s.fillArchive(ctx, t, r)
	if err != nil {
		return err
	}
	t.Expected = a
	return s.checkReadable(ctx, a)
}

// checkReadable returns Conflict for an archive that is gone or about to go.
func (s *Scheduler) checkReadable(ctx context.Context, a *shield.Archive) error {
	if a.Status == shield.ArchivePurging || a.Status == shield.ArchivePurged {
		return shield.Errorf(shield.Conflict, "", "archive %s is %s: there is nothing to read any more", a.UUID, a.Status)
	}
	open, err := s.openWith(ctx, a.Store)
	if err != nil {
		return err
	}
	for _, o := range open {
		if o.Archive == a.UUID && o.Op == shield.OpPurge {
			return shield.Errorf(shield.Conflict, "", "archive %s is being purged, by task %s", a.UUID, o.UUID)
		}
	}
	return nil
}

// verified notes what a verification found: what is damaged is no valid archive
// any more, and what was found to be damaged once and is good now is one again.
func (s *Scheduler) verified(ctx context.Context, t *shield.Task, l *live, found error) error {
	good := found == nil
	if !good && shield.CodeOf(found) != shield.Corrupt {
		return found // it tells nothing about the blob
	}
	a, err := s.catalog.Archive(ctx, t.Archive)
	if err != nil {
		return errors.Join(found, err)
	}
	kind, text := shield.EventArchiveDamaged, fmt.Sprintf("archive of target %s in store %s is damaged: %v", a.TargetName, a.StoreName, found)
	switch {
	case !good && a.Status == shield.ArchiveValid:
		a.Status = shield.ArchiveInvalid
	case good && a.Status == shield.ArchiveInvalid && a.MissingAt.IsZero():
		a.Status = shield.ArchiveValid
		kind, text = shield.EventArchiveFound, fmt.Sprintf("archive of target %s in store %s is good again", a.TargetName, a.StoreName)
	default:
		return found
	}
	if err := s.catalog.UpdateArchive(ctx, a); err != nil {
		return errors.Join(found, err)
	}
	l.Log(shield.SourceShield, fmt.Sprintf("the archive is %s now", a.Status))
	if err := s.catalog.RecordEvent(ctx, &shield.Event{Kind: kind, Subject: a.UUID, Message: text}); err != nil {
		s.log.Error("an event was not recorded", "kind", kind, "archive", a.UUID, "err", err)
	}
	return found
}
