package scheduler

import (
	"context"
	"errors"
	"time"

	"github.com/shieldhq/shield"
)

// pollEvery is how often the dispatcher looks for tasks that others queued.
// What is queued here wakes it at once.
const pollEvery = 30 * time.Second

// dispatch claims tasks while there is room.
func (s *Scheduler) dispatch(ctx context.Context) {
	room := make(chan struct{}, s.opts.Limit)
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		s.claimAll(ctx, room)
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		case <-tick.C:
		}
	}
}

func (s *Scheduler) claimAll(ctx context.Context, room chan struct{}) {
	for ctx.Err() == nil {
		select {
		case room <- struct{}{}:
		default:
			return
		}
		if err := s.claim(ctx, func() { <-room }); err != nil {
			<-room
			if !errors.Is(err, shield.NotFound) && ctx.Err() == nil {
				s.log.Error("no task can be claimed", "err", err)
			}
			return
		}
	}
}

// claim claims a task and begins it.
func (s *Scheduler) claim(ctx context.Context, leave func()) error {
	s.claiming.Lock()
	defer s.claiming.Unlock()
	now := s.now()
	t, err := s.catalog.ClaimTask(ctx, shield.Lease{
		Owner: s.opts.Owner, Expires: now.Add(s.opts.Lease), Timeout: s.opts.Timeout,
		Limit: s.opts.Limit, AgentLimit: s.opts.AgentLimit,
	}, now)
	if err != nil {
		return err
	}
	s.begin(t, leave)
	return nil
}

// begin runs a claimed task in its own goroutine.
func (s *Scheduler) begin(t *shield.Task, leave func()) {
	ctx, cancel := context.WithCancelCause(s.running)
	l := newLive(cancel, t.Log)
	s.mu.Lock()
	s.live[t.UUID] = l
	close(s.begun)
	s.begun = make(chan struct{})
	s.mu.Unlock()
	s.tasks.Go(func() {
		s.execute(ctx, t, l)
		cancel(nil)
		s.mu.Lock()
		delete(s.live, t.UUID)
		s.mu.Unlock()
		l.announce()
		leave()
		signal(s.wake)
	})
}

// execute runs a task and writes its outcome.
func (s *Scheduler) execute(ctx context.Context, t *shield.Task, l *live) {
	s.log.Info("task started", "task", t.UUID, "op", t.Op, "job", t.JobName, "target", t.TargetName, "store", t.StoreName, "attempt", t.Attempts)
	if t.Attempts > 1 {
		l.Log(shield.SourceShield, attemptText(t)+" begins")
	}
	// The lease is kept while a canceled task cleans up, too.
	beat, stop := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() { defer close(done); s.heartbeat(beat, t, l) }()

	sealed := *t // the outcome and leftovers use the endpoints as they are kept
	result, err := s.run(ctx, t, l)
	stop()
	<-done
	s.finish(&sealed, l, result, err)
}

func (s *Scheduler) run(ctx context.Context, t *shield.Task, l *live) (shield.TaskResult, error) {
	sealed := *t
	if err := shield.FirstError(s.spare(ctx, t), s.opts.Reveal(t)); err != nil {
		return shield.TaskResult{}, err
	}
	switch t.Op {
	case shield.OpReconcile:
		return s.reconcile(ctx, t, &sealed, l)
	case shield.OpRestore, shield.OpPreflight:
		return s.restore(ctx, t, l)
	}
	result, err := s.runner.Run(ctx, t, l)
	if err == nil && t.Op == shield.OpBackup {
		s.judge(ctx, t, l, result.Archive)
	}
	if t.Op == shield.OpVerify {
		err = s.verified(ctx, t, l, err)
	}
	return result, err
}

func (s *Scheduler) leaseOf(t *shield.Task, expires time.Time) shield.Lease {
	return shield.Lease{Owner: t.LeaseOwner, Epoch: t.LeaseEpoch, Expires: expires}
}

// heartbeat renews the lease and keeps the log until ctx is done. A lost
// lease cancels the task: another scheduler may have given up on it. So does
// one that could not be renewed in its time, if there can be another.
func (s *Scheduler) heartbeat(ctx context.Context, t *shield.Task, l *live) {
	tick := time.NewTicker(s.opts.Lease / 3)
	defer tick.Stop()
	lapse := time.AfterFunc(s.opts.Lease, func() {
		if !s.opts.Exclusive {
			l.cancel(shield.Errorf(shield.Interrupted, "", "the lease could not be renewed for %s", s.opts.Lease))
		}
	})
	defer lapse.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			began := time.Now()
			err := s.catalog.RenewTask(ctx, t.UUID, s.leaseOf(t, s.now().Add(s.opts.Lease)), l.lines.text())
			if errors.Is(err, shield.Conflict) {
				l.cancel(shield.Errorf(shield.Interrupted, "", "the lease was lost: %v", err))
				return
			}
			if err != nil && ctx.Err() == nil {
				s.log.Error("the lease of a task was not renewed", "task", t.UUID, "err", err)
			}
			if err == nil {
				lapse.Reset(s.opts.Lease - time.Since(began))
			}
		}
	}
}

// finish writes how a task ended.
func (s *Scheduler) finish(t *shield.Task, l *live, result shield.TaskResult, err error) {
	o := s.outcome(t, l, result, err, s.now())
	for _, key := range result.Leftovers {
		o.Then = append(o.Then, leftover(t, key, s.now()))
	}
	ctx := context.Background()
	if werr := s.write(ctx, t, o); werr != nil {
		s.log.Error("the outcome of a task was not written", "task", t.UUID, "status", o.Status, "err", werr)
		s.disown(ctx, t, o)
		return
	}
	if !o.RetryAt.IsZero() {
		s.wakeAt(o.RetryAt)
		if o.Code != shield.Locked {
			s.log.Warn("an attempt of a task failed", "task", t.UUID, "op", t.Op, "attempt", t.Attempts, "next", o.RetryAt, "error", o.Error)
			return
		}
	}
	if o.Code == shield.Locked && !o.RetryAt.IsZero() {
		s.log.Info("task waits", "task", t.UUID, "op", t.Op, "until", o.RetryAt, "reason", o.Error)
		return
	}
	s.log.Info("task ended", "task", t.UUID, "op", t.Op, "status", o.Status, "error", o.Error)
}

// write tries again while the catalog is out of order, not when the lease is
// lost.
func (s *Scheduler) write(ctx context.Context, t *shield.Task, o shield.Outcome) error {
	wait := 50 * time.Millisecond
	for {
		err := s.catalog.FinishTask(ctx, t.UUID, s.leaseOf(t, time.Time{}), o)
		if err == nil || errors.Is(err, shield.Conflict) || errors.Is(err, shield.NotFound) || wait > 5*time.Second {
			return err
		}
		time.Sleep(wait)
		wait *= 2
	}
}

// disown queues the purge of what a task has left whose outcome was not
// written: its lease was lost. Where the catalog has the outcome after all, or
// does not answer, it does nothing: in the latter case the lease will lapse,
// and endLapsed purges.
func (s *Scheduler) disown(ctx context.Context, t *shield.Task, o shield.Outcome) {
	now, err := s.catalog.Task(ctx, t.UUID)
	if err != nil || now.Status == shield.TaskRunning && now.LeaseEpoch == t.LeaseEpoch || now.Status == shield.TaskDone {
		return
	}
	purges := o.Then
	if o.Archive != nil {
		purges = append(purges, leftover(t, o.Archive.Key, s.now()))
	}
	for _, p := range purges {
		if err := s.catalog.CreateTask(ctx, p); err != nil {
			s.log.Error("a purge was not queued", "store", p.StoreName, "key", p.Key, "err", err)
		}
	}
	signal(s.wake)
}

// outcome turns what the runner returned into what the catalog keeps.
func (s *Scheduler) outcome(t *shield.Task, l *live, r shield.TaskResult, err error, now time.Time) shield.Outcome {
	o := shield.Outcome{Status: shield.TaskDone, StoppedAt: now.UTC(), Progress: r.Progress, Findings: r.Findings}
	switch {
	case err == nil && t.Op == shield.OpBackup:
		o.Archive = r.Archive
	case err == nil && t.Op == shield.OpReconcile:
		o.Missing, o.Found = r.Missing, r.Found
	case err == nil && t.Op == shield.OpPurge:
		o.PurgedArchive, o.Absent = t.Archive, r.Absent
	case errors.Is(err, shield.Canceled):
		o.Status, o.Code, o.Error = shield.TaskCanceled, shield.Canceled, err.Error()
		o.Spared = errors.Is(err, errSpared)
	case err != nil:
		o.Status, o.Code, o.Error = shield.TaskFailed, shield.CodeOf(err), err.Error()
	}
	switch {
	case t.Op == shield.OpPurge && o.Code == shield.Locked:
		o.RetryAt = afterLock(shield.UntilOf(err), now)
		o.Error = waits(shield.UntilOf(err)) + ": " + o.Error
		l.Log(shield.SourceShield, o.Error)
	case o.Error != "":
		l.Log(shield.SourceShield, string(o.Status)+": "+o.Error)
	}
	// A purge is wanted until the store confirms it.
	if t.Op == shield.OpPurge && o.Status == shield.TaskFailed {
		if o.RetryAt.IsZero() {
			o.RetryAt = now.Add(backoff(s.firstPause(t), t.Attempts)).UTC()
		}
		l.Log(shield.SourceShield, "this purge is tried again at "+o.RetryAt.Format(time.RFC3339))
	} else if text := s.tryAgain(t, &o, shield.MayPass(err), now); text != "" {
		l.Log(shield.SourceShield, text)
	}
	o.Log = l.lines.text()
	return o
}

// recoverTasks ends the tasks of schedulers that are gone: failed as
// interrupted, with a purge of what a backup may have left.
func (s *Scheduler) recoverTasks(ctx context.Context, now time.Time) error {
	dead := func(owner string) bool { return s.opts.Exclusive && owner != s.opts.Owner }
	lapsed, err := s.catalog.LapsedTasks(ctx, now, dead)
	if err != nil {
		return err
	}
	for _, t := range lapsed {
		if s.isLive(t.UUID) {
			continue // it runs here: the heartbeat is late, the task is not dead
		}
		if err := s.endLapsed(ctx, t, now); err != nil && !errors.Is(err, shield.Conflict) {
			return err
		}
	}
	return nil
}

func (s *Scheduler) isLive(uuid string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.live[uuid] != nil
}

func (s *Scheduler) endLapsed(ctx context.Context, t *shield.Task, now time.Time) error {
	text := "interrupted: the process that ran this task died"
	o := shield.Outcome{
		Status: shield.TaskFailed, StoppedAt: now.UTC(), Code: shield.Interrupted, Error: text,
		Progress: t.Progress,
	}
	full, err := s.catalog.Task(ctx, t.UUID) // lists come without logs
	if err != nil {
		return err
	}
	l := newLive(nil, full.Log)
	l.Log(shield.SourceShield, "failed: "+text)
	if t.Op == shield.OpPurge {
		o.RetryAt = now.UTC()
	} else if text := s.tryAgain(t, &o, shield.Interrupted.MayPass(), now); text != "" {
		l.Log(shield.SourceShield, text)
	}
	o.Log = l.lines.text()
	if t.Op == shield.OpBackup {
		o.Then = []*shield.Task{leftover(t, t.Key, now)}
	}
	s.log.Warn("task interrupted", "task", t.UUID, "op", t.Op, "job", t.JobName)
	if err := s.catalog.FinishTask(ctx, t.UUID, s.leaseOf(t, time.Time{}), o); err != nil {
		return err
	}
	if !o.RetryAt.IsZero() {
		s.wakeAt(o.RetryAt)
	}
	return nil
}

// wakeAt has the dispatcher look for tasks at a time.
func (s *Scheduler) wakeAt(at time.Time) {
	time.AfterFunc(at.Sub(s.now()), func() { signal(s.wake) })
}
