package scheduler

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/shieldhq/shield"
)

// taskFor makes the task that a request asks for, with copies of all that
// its runner needs.
func (s *Scheduler) taskFor(ctx context.Context, r shield.Request) (*shield.Task, error) {
	t := s.newTask(r)
	var err error
	switch r.Op {
	case shield.OpBackup:
		err = s.fillBackup(ctx, t, r)
	case shield.OpRestore, shield.OpPreflight:
		err = s.fillRestore(ctx, t, r)
	case shield.OpPurge:
		err = s.fillPurge(ctx, t, r)
	case shield.OpTestStore, shield.OpCheckStore:
		err = s.fillStore(ctx, t, r.Store)
	case shield.OpVerify:
		err = s.fillVerify(ctx, t, r)
	case shield.OpReconcile:
		err = s.fillReconcile(ctx, t, r)
	case shield.OpTestTarget, shield.OpProbeTarget:
		err = s.fillTarget(ctx, t, r.Target)
	case shield.OpAgentStatus:
		err = s.fillAgent(ctx, t, r.Agent)
	default:
		err = shield.ValidateOp(r.Op)
	}
	if err != nil {
		return nil, err
	}
	return t, t.Validate()
}

func (s *Scheduler) newTask(r shield.Request) *shield.Task {
	return &shield.Task{
		UUID: uuid.NewString(), Owner: cmp.Or(r.Owner, "system"), Op: r.Op, Status: shield.TaskPending,
		Priority: shield.DefaultPriority, RequestedAt: s.now().UTC(),
	}
}

func (s *Scheduler) fillStore(ctx context.Context, t *shield.Task, ref string) error {
	if ref == "" {
		return shield.FieldErrorf("store", "is missing: a %s task needs it", t.Op)
	}
	st, err := s.catalog.Store(ctx, ref)
	if err != nil {
		return err
	}
	setStore(t, st)
	return nil
}

func setStore(t *shield.Task, st *shield.Store) {
	t.Store, t.StoreName, t.StorePlugin, t.StoreEndpoint = st.UUID, st.Name, st.Plugin, st.Endpoint
	t.StoreLimit = st.Limit
}

func (s *Scheduler) fillTarget(ctx context.Context, t *shield.Task, ref string) error {
	if ref == "" {
		return shield.FieldErrorf("target", "is missing: a %s task needs it", t.Op)
	}
	tg, err := s.catalog.Target(ctx, ref)
	if err != nil {
		return err
	}
	setTarget(t, tg)
	return nil
}

// statusTimeout is the deadline, in seconds, of a task that asks an agent.
const statusTimeout = 120

func (s *Scheduler) fillAgent(ctx context.Context, t *shield.Task, ref string) error {
	if ref == "" {
		return shield.FieldErrorf("agent", "is missing: a %s task needs it", t.Op)
	}
	a, err := s.catalog.Agent(ctx, ref)
	if err != nil {
		return err
	}
	t.Agent, t.Timeout = a.Name, statusTimeout
	return nil
}

func setTarget(t *shield.Task, tg *shield.Target) {
	t.Target, t.TargetName, t.TargetPlugin, t.TargetEndpoint, t.Agent = tg.UUID, tg.Name, tg.Plugin, tg.Endpoint, tg.Agent
}

func (s *Scheduler) fillBackup(ctx context.Context, t *shield.Task, r shield.Request) error {
	if r.Job == "" {
		return shield.FieldErrorf("job", "is missing: a backup is a run of a job")
	}
	j, err := s.catalog.Job(ctx, r.Job)
	if err != nil {
		return err
	}
	p, err := s.catalog.Policy(ctx, j.Policy)
	if err != nil {
		return err
	}
	tg, err := s.catalog.Target(ctx, j.Target)
	if err != nil {
		return err
	}
	st, err := s.catalog.Store(ctx, j.Store)
	if err != nil {
		return err
	}
	fillBackupOf(t, j, p, tg, st)
	return nil
}

func fillBackupOf(t *shield.Task, j *shield.Job, p *shield.Policy, tg *shield.Target, st *shield.Store) {
	t.Job, t.JobName, t.Priority, t.Timeout = j.UUID, j.Name, j.Priority, j.Timeout
	t.IdleTimeout, t.MaxAttempts, t.Backoff = j.IdleTimeout, j.Attempts, j.Backoff
	t.Compression, t.Unencrypted, t.Retention = j.Compression, j.Unencrypted, p.Expiry
	t.Archive = uuid.NewString()
	t.Key = storeKey(t.RequestedAt, t.Archive)
	setTarget(t, tg)
	setStore(t, st)
}

// storeKey is the key that a backup asks its store for: readable, sortable
// by time, and unique by the archive's UUID.
func storeKey(at time.Time, archive string) string {
	return fmt.Sprintf("%s/%s-%s", at.UTC().Format("2006/01/02"), at.UTC().Format("2006-01-02-150405"), archive)
}

func (s *Scheduler) fillArchive(ctx context.Context, t *shield.Task, r shield.Request) (*shield.Archive, error) {
	if r.Archive == "" {
		return nil, shield.FieldErrorf("archive", "is missing: a %s task needs it", t.Op)
	}
	a, err := s.catalog.Archive(ctx, r.Archive)
	if err != nil {
		return nil, err
	}
	t.Archive, t.Key, t.ManifestKey = a.UUID, a.Key, a.ManifestKey
	return a, s.fillStore(ctx, t, a.Store)
}

// newest returns the archive that a target's content of a time is restored
// from: the newest that was taken by then; a zero time is now.
func (s *Scheduler) newest(ctx context.Context, target string, at time.Time) (*shield.Archive, error) {
	tg, err := s.catalog.Target(ctx, target)
	if err != nil {
		return nil, err
	}
	f := shield.Filter{Target: tg.UUID, Statuses: []string{string(shield.ArchiveValid), string(shield.ArchiveExpired)}}
	if !at.IsZero() {
		f.Before = at.Truncate(time.Millisecond).Add(time.Millisecond) // archives are told apart by that
	}
	f.Limit = 1
	found, err := s.catalog.Archives(ctx, f)
	if err != nil {
		return nil, err
	}
	if len(found) > 0 {
		return found[0], nil
	}
	f.Before, f.Limit = time.Time{}, 0
	all, err := s.catalog.Archives(ctx, f)
	switch {
	case err != nil:
		return nil, err
	case len(all) == 0:
		return nil, shield.Errorf(shield.NotFound, "", "target %q has no archive that can be restored", tg.Name)
	}
	first := all[len(all)-1].TakenAt
	return nil, &shield.Error{Code: shield.NotFound, Field: "at", Message: fmt.Sprintf("target %q has no archive from %s or before that can be restored: the oldest is from %s",
		tg.Name, at.UTC().Format(time.RFC3339), first.UTC().Format(time.RFC3339))}
}

func (s *Scheduler) fillRestore(ctx context.Context, t *shield.Task, r shield.Request) error {
	if r.From != "" {
		if r.Archive != "" {
			return shield.FieldErrorf("from", "is %q beside archive %s: one of them says what is to be restored", r.From, r.Archive)
		}
		a, err := s.newest(ctx, r.From, r.At)
		if err != nil {
			return err
		}
		r.Archive = a.UUID
	}
	a, err := s.fillArchive(ctx, t, r)
	if err != nil {
		return err
	}
	if err := checkRestorable(a); err != nil {
		return err
	}
	t.Expected = a
	if r.Target == "" {
		r.Target = a.Target
	}
	if err := s.fillTarget(ctx, t, r.Target); err != nil {
		return err
	}
	if t.TargetPlugin != a.Plugin {
		return shield.FieldErrorf("target", "%q is a %s target: archive %s was made by %s", t.TargetName, t.TargetPlugin, a.UUID, a.Plugin)
	}
	return s.confirm(ctx, t, r.Confirm)
}

func (s *Scheduler) fillPurge(ctx context.Context, t *shield.Task, r shield.Request) error {
	a, err := s.fillArchive(ctx, t, r)
	if err != nil {
		return err
	}
	if a.Status == shield.ArchivePurged {
		return shield.Errorf(shield.Conflict, "", "archive %s is purged already: %s", a.UUID, a.PurgeReason)
	}
	if a.Held {
		return shield.Errorf(shield.Conflict, "", "archive %s is held: release it first", a.UUID)
	}
	if err := shield.FirstError(s.checkFrozen(ctx, a), s.checkUnread(a.UUID)); err != nil {
		return err
	}
	open, err := s.catalog.Tasks(ctx, shield.Filter{Archive: a.UUID, Statuses: open})
	if err != nil {
		return err
	}
	for _, o := range open {
		switch {
		case o.Op == shield.OpRestore:
			return shield.Errorf(shield.Conflict, "", "archive %s is being restored, by task %s", a.UUID, o.UUID)
		case o.Op == shield.OpVerify:
			return shield.Errorf(shield.Conflict, "", "archive %s is being verified, by task %s", a.UUID, o.UUID)
		case o.Op == shield.OpPurge:
			text := fmt.Sprintf("archive %s is being purged already, by task %s", a.UUID, o.UUID)
			if o.Waits() {
				text += ", which " + o.Error
			}
			return &shield.Error{Code: shield.Conflict, Message: text}
		}
	}
	if r.Reason == "" {
		r.Reason = "deleted by " + t.Owner
	}
	a.PurgeReason = r.Reason
	if a.Status == shield.ArchiveValid || a.Status == shield.ArchiveInvalid {
		a.Status = shield.ArchivePurging
	}
	return s.catalog.UpdateArchive(ctx, a)
}

// leftover makes the task that removes a blob which is no archive. Purging a
// manifest that is not there is harmless.
func leftover(t *shield.Task, key string, at time.Time) *shield.Task {
	return &shield.Task{
		UUID: uuid.NewString(), Owner: "system", Op: shield.OpPurge, Status: shield.TaskPending,
		Priority: t.Priority, RequestedAt: at.UTC(), Job: t.Job, JobName: t.JobName,
		Store: t.Store, StoreName: t.StoreName, StorePlugin: t.StorePlugin, StoreEndpoint: t.StoreEndpoint,
		StoreLimit: t.StoreLimit, Key: key, ManifestKey: key + shield.ManifestSuffix,
	}
}
