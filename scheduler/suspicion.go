package scheduler

import (
	"context"
	"errors"
	"fmt"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/scheduler/retention"
)

// judge says of a new archive whether it is suspicious. A backup is not lost
// because the catalog cannot tell what was before it.
func (s *Scheduler) judge(ctx context.Context, t *shield.Task, l *live, a *shield.Archive) {
	if a == nil || t.Job == "" {
		return
	}
	trusted := false
	before, err := s.catalog.Archives(context.WithoutCancel(ctx), shield.Filter{
		Job: t.Job, Target: t.Target, Suspicious: &trusted, Limit: retention.CompareWith,
		Statuses: []string{string(shield.ArchiveValid), string(shield.ArchiveExpired), string(shield.ArchivePurging), string(shield.ArchivePurged)},
	})
	if err != nil {
		s.log.Error("an archive was not compared with those before it", "task", t.UUID, "archive", a.UUID, "err", err)
		return
	}
	if a.Suspicion = retention.Suspicion(a.RawSize, before); a.Suspicion == "" {
		return
	}
	l.Log(shield.SourceShield, "SUSPICIOUS: archive "+a.UUID+" "+a.Suspicion+"; nothing of this job is purged until it is acknowledged or deleted")
	s.log.Warn("suspicious archive", "task", t.UUID, "archive", a.UUID, "job", t.JobName, "target", t.TargetName, "reason", a.Suspicion)
}

// frozenBy returns a suspicious archive because of which nothing of a job and
// target is purged, or nil.
func (s *Scheduler) frozenBy(ctx context.Context, job, target string) (*shield.Archive, error) {
	suspicious := true
	some, err := s.catalog.Archives(ctx, shield.Filter{
		Job: job, Target: target, Suspicious: &suspicious,
		Statuses: []string{string(shield.ArchiveValid), string(shield.ArchiveInvalid)},
	})
	return retention.FrozenBy(job, some), err
}

// checkFrozen refuses to purge an archive of a job that a suspicious one
// freezes, unless it is itself suspicious.
func (s *Scheduler) checkFrozen(ctx context.Context, a *shield.Archive) error {
	if a.Suspicious() {
		return nil
	}
	frozen, err := s.frozenBy(ctx, a.Job, a.Target)
	if err != nil || frozen == nil {
		return err
	}
	return shield.Errorf(shield.Conflict, "", "archive %s is not purged while archive %s of its job is suspicious (it %s): acknowledge or delete that one first",
		a.UUID, frozen.UUID, frozen.Suspicion)
}

// errSpared is the cause of the end of a purge whose archive is to be kept.
var errSpared = errors.New("spared")

// spare ends the purge of an archive that retention wanted to go before its
// job was frozen, by errSpared. One that somebody asked for goes
// on, and so does one that was tried before: it may have begun.
func (s *Scheduler) spare(ctx context.Context, t *shield.Task) error {
	if t.Op == shield.OpPurge && t.Archive == "" {
		return s.spareOwned(ctx, t)
	}
	if t.Op != shield.OpPurge || t.Attempts > 1 {
		return nil
	}
	a, err := s.catalog.Archive(ctx, t.Archive)
	if shield.CodeOf(err) == shield.NotFound {
		return nil
	}
	if err != nil || a.Status != shield.ArchiveExpired || a.Suspicious() {
		return err
	}
	frozen, err := s.frozenBy(ctx, a.Job, a.Target)
	if err != nil || frozen == nil {
		return err
	}
	text := fmt.Sprintf("archive %s is kept: archive %s of its job has become suspicious, it %s", a.UUID, frozen.UUID, frozen.Suspicion)
	return &shield.Error{Code: shield.Canceled, Message: text, Err: errSpared}
}

// spareOwned ends the purge of what an attempt has left if it is what an archive
// has: whoever said that it was left was wrong, or lied.
func (s *Scheduler) spareOwned(ctx context.Context, t *shield.Task) error {
	owner, err := s.catalog.KeyOwner(ctx, t.Store, t.Key)
	if err != nil || owner == "" {
		return err
	}
	return shield.Errorf(shield.Canceled, "", "%.300q is what archive %s has in store %s: it stays", t.Key, owner, t.StoreName)
}
