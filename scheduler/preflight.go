package scheduler

import (
	"context"
	"time"

	"github.com/shieldhq/shield"
)

// confirm checks that who asks for a restore has named the target whose content
// it overwrites, and keeps with the task that it was. A scratch target needs no
// name, but a wrong one is refused: who typed it means another target.
func (s *Scheduler) confirm(ctx context.Context, t *shield.Task, name string) error {
	tg, err := s.catalog.Target(ctx, t.Target)
	if err != nil {
		return err
	}
	switch {
	case name == tg.Name:
		t.Findings = &shield.Findings{Preflight: []shield.Finding{
			shield.Found(shield.CheckConfirmation, shield.FindingOK, "%s typed the name of target %s", t.Owner, tg.Name),
		}}
	case name != "":
		return shield.FieldErrorf("confirm", "is %.100q: the restore overwrites the content of target %q: type exactly that name to confirm it", name, tg.Name)
	case t.Op == shield.OpRestore && !tg.Scratch:
		return shield.FieldErrorf("confirm", "is missing: the restore overwrites the content of target %q, which is not a scratch target: type that name to confirm it", tg.Name)
	}
	return nil
}

// restore runs a restore or its preflight. What the catalog knows is looked at
// first, the rest by the runner. A restore that is refused ends before that.
func (s *Scheduler) restore(ctx context.Context, t *shield.Task, l *live) (shield.TaskResult, error) {
	found, err := s.known(ctx, t)
	if err != nil {
		return shield.TaskResult{}, err
	}
	for _, f := range found {
		l.Log(shield.SourceShield, f.String())
	}
	refused := shield.Refusal(found)
	if refused != nil && t.Op == shield.OpRestore {
		return shield.TaskResult{Findings: &shield.Findings{Preflight: found}}, refused
	}
	result, err := s.runner.Run(ctx, t, l)
	if result.Findings == nil {
		result.Findings = &shield.Findings{}
	}
	result.Findings.Preflight = append(found, result.Findings.Preflight...)
	if ctx.Err() == nil && refused != nil {
		err = refused
	}
	return result, err
}

// known is what the catalog knows of a restore, as it is now.
func (s *Scheduler) known(ctx context.Context, t *shield.Task) ([]shield.Finding, error) {
	confirmation, err := s.confirmation(ctx, t)
	if err != nil {
		return nil, err
	}
	a, err := s.catalog.Archive(ctx, t.Archive)
	if err != nil {
		return nil, err
	}
	newest, err := s.newestOf(ctx, a)
	if err != nil {
		return nil, err
	}
	found := []shield.Finding{confirmation, restorable(a), newest}
	if a.Suspicious() {
		found = append(found, shield.Found(shield.CheckSuspicion, shield.FindingWarning, "the archive is suspicious: it %s", a.Suspicion))
	}
	return found, nil
}

// confirmation is what was kept when the task was asked for, or that the target
// is, still, a scratch target.
func (s *Scheduler) confirmation(ctx context.Context, t *shield.Task) (shield.Finding, error) {
	if t.Findings != nil {
		for _, f := range t.Findings.Preflight {
			if f.Check == shield.CheckConfirmation && f.State == shield.FindingOK {
				return f, nil
			}
		}
	}
	tg, err := s.catalog.Target(ctx, t.Target)
	switch {
	case err != nil:
		return shield.Finding{}, err
	case tg.Scratch:
		return shield.Found(shield.CheckConfirmation, shield.FindingOK, "target %s is a scratch target: it needs none", tg.Name), nil
	case t.Op == shield.OpPreflight:
		return shield.Found(shield.CheckConfirmation, shield.FindingWarning, "the restore overwrites the content of target %s, and has to be confirmed by typing that name", tg.Name), nil
	}
	return shield.FoundError(shield.CheckConfirmation, shield.FindingFailed, shield.Errorf(shield.Conflict, "",
		"target %s is no longer a scratch target, and nobody has confirmed that its content is overwritten", tg.Name)), nil
}

// restorable says whether an archive is in a state to be restored.
func restorable(a *shield.Archive) shield.Finding {
	if err := checkRestorable(a); err != nil {
		return shield.FoundError(shield.CheckArchive, shield.FindingFailed, err)
	}
	return shield.Found(shield.CheckArchive, shield.FindingOK, "%s of target %s from %s has %d bytes", a.UUID, a.TargetName, a.TakenAt.UTC().Format(time.RFC3339), a.RawSize)
}

func checkRestorable(a *shield.Archive) error {
	if a.Status != shield.ArchiveValid && a.Status != shield.ArchiveExpired {
		return shield.Errorf(shield.Conflict, "", "archive %s is %s: only a valid one can be restored", a.UUID, a.Status)
	}
	return nil
}

// newestOf says whether the target of an archive has a newer one.
func (s *Scheduler) newestOf(ctx context.Context, a *shield.Archive) (shield.Finding, error) {
	f := shield.Filter{Target: a.Target, Statuses: []string{string(shield.ArchiveValid), string(shield.ArchiveExpired)}, Limit: 1}
	newest, err := s.catalog.Archives(ctx, f)
	if err != nil {
		return shield.Finding{}, err
	}
	if len(newest) > 0 && newest[0].TakenAt.After(a.TakenAt) {
		return shield.Found(shield.CheckNewest, shield.FindingOK, "target %s has a newer archive: %s from %s is the newest",
			a.TargetName, newest[0].UUID, newest[0].TakenAt.UTC().Format(time.RFC3339)), nil
	}
	return shield.Found(shield.CheckNewest, shield.FindingOK, "target %s has no newer archive", a.TargetName), nil
}
