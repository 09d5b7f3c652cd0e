// Package scheduler decides what runs when and is the only writer of
// outcomes: it turns requests and due runs into tasks, claims tasks by lease,
// hands them to a shield.Runner, keeps their logs, and ends them in the
// catalog. Package scheduler/timespec is the language of schedules.
package scheduler

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/shieldhq/shield"
)

// Defaults of Options.
const (
	DefaultLimit   = 4
	DefaultTimeout = 24 * time.Hour
	DefaultLease   = 30 * time.Second
	DefaultBackoff = time.Minute
)

// Options configures a Scheduler. The zero value of a field means its
// default.
type Options struct {
	// Owner names this scheduler in leases. It must be new with every start.
	Owner string
	// Exclusive says that no other scheduler can be alive on this catalog,
	// so that tasks leased to another owner are interrupted ones.
	Exclusive bool
	// Limit is how many tasks run at once, those of other schedulers on the
	// catalog included, and AgentLimit how many of one agent; 0 is no limit of
	// an agent's own.
	Limit, AgentLimit int
	// Attempts is how often a scheduled backup is tried in all whose job does
	// not say, while its failures may pass; 0: once. Backoff is how long it
	// waits after the first.
	Attempts int
	Backoff  time.Duration
	// Timeout is the deadline of tasks that name none.
	Timeout time.Duration
	// Lease is how long a task stays claimed without a heartbeat; a
	// heartbeat comes three times in it.
	Lease time.Duration
	// EveryMinute runs every job each minute, whatever its schedule says, to
	// try things out.
	EveryMinute bool
	// Reveal replaces the sealed secrets of a task's endpoints just before
	// it runs.
	Reveal func(t *shield.Task) error
	// Content opens archives for Open; nil: none can be.
	Content shield.Opener
	// Absent returns since when the agent of a target is away for too long to
	// start a run for it, in words; empty if it is not. Nil: none ever is.
	Absent func(ctx context.Context, agent string) (string, error)
	// Log receives what operators should know; nil discards it.
	Log *slog.Logger
}

// Scheduler is a shield.Scheduler. Make one with New.
type Scheduler struct {
	catalog shield.Catalog
	runner  shield.Runner
	opts    Options
	log     *slog.Logger

	now                   func() time.Time   // the clock of the wall, which can be set
	schedules             map[string]readied // by UUID; for keepTime alone
	planAtOnce, planSlice int                // see their constants

	wake   chan struct{} // something may be claimable
	replan chan struct{} // jobs or schedules changed
	loops  sync.WaitGroup
	tasks  sync.WaitGroup

	// claiming is held from a claim until the task is live, so that one that
	// is canceled meanwhile is found.
	claiming sync.Mutex
	// purging has room for one: who submits a purge.
	purging chan struct{}
	// readers counts those who read archives, by UUID; mu guards it.
	readers map[string]int

	mu      sync.Mutex
	started bool
	stop    context.CancelFunc // ends the loops
	halt    context.CancelCauseFunc
	running context.Context // the parent of every task
	live    map[string]*live
	begun   chan struct{} // closed when the next task begins
}

var _ shield.Scheduler = (*Scheduler)(nil)

// New returns a scheduler over a catalog that gives tasks to a runner.
func New(catalog shield.Catalog, runner shield.Runner, opts *Options) *Scheduler {
	s := &Scheduler{
		catalog: catalog, runner: runner, now: wallClock,
		schedules: map[string]readied{}, planAtOnce: planAtOnce, planSlice: planSlice,
		wake: make(chan struct{}, 1), replan: make(chan struct{}, 1),
		purging: make(chan struct{}, 1), readers: map[string]int{},
		live: map[string]*live{}, begun: make(chan struct{}),
	}
	if opts != nil {
		s.opts = *opts
	}
	if s.opts.Owner == "" {
		s.opts.Owner = uuid.NewString()
	}
	if s.opts.Limit <= 0 {
		s.opts.Limit = DefaultLimit
	}
	if s.opts.Timeout <= 0 {
		s.opts.Timeout = DefaultTimeout
	}
	if s.opts.Lease <= 0 {
		s.opts.Lease = DefaultLease
	}
	if s.opts.Backoff <= 0 {
		s.opts.Backoff = DefaultBackoff
	}
	if s.opts.Reveal == nil {
		s.opts.Reveal = func(*shield.Task) error { return nil }
	}
	if s.log = s.opts.Log; s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	return s
}

// wallClock is without the monotonic reading, by which a clock that was set
// would seem to have gone on as before.
func wallClock() time.Time { return time.Now().Round(0) }

// Start ends the tasks that an earlier scheduler left running, tells which
// objectives were missed meanwhile, launches the loops and returns.
func (s *Scheduler) Start(ctx context.Context) error {
	if err := s.recoverTasks(ctx, s.now()); err != nil {
		return err
	}
	// Before anything runs, and makes up for it.
	s.report(ctx, "judging objectives", s.judgeObjectives(ctx, s.now()))
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.started {
		return nil
	}
	loops, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop = stop
	s.running, s.halt = context.WithCancelCause(context.WithoutCancel(ctx))
	s.started = true
	s.loops.Go(func() { s.dispatch(loops) })
	s.loops.Go(func() { s.keepTime(loops) })
	return nil
}

// Stop ends the loops, lets running tasks end until ctx is done, then
// cancels them, and returns when nothing runs any more.
func (s *Scheduler) Stop(ctx context.Context) error {
	s.mu.Lock()
	if !s.started {
		s.mu.Unlock()
		return nil
	}
	s.stop()
	halt := s.halt
	s.mu.Unlock()

	s.loops.Wait()
	ended := make(chan struct{})
	go func() { s.tasks.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-ctx.Done():
		halt(shield.Errorf(shield.Interrupted, "", "interrupted: the daemon is stopping"))
		<-ended
	}
	s.mu.Lock()
	s.started = false
	s.mu.Unlock()
	return nil
}

// Changed tells the scheduler that jobs or schedules were changed.
func (s *Scheduler) Changed() { signal(s.replan) }

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Submit makes a task of a request, queues it and wakes the dispatcher.
func (s *Scheduler) Submit(ctx context.Context, r shield.Request) (*shield.Task, error) {
	if r.Op == shield.OpPurge || r.Op == shield.OpVerify { // an archive is marked before its purge is there
		select {
		case s.purging <- struct{}{}:
			defer func() { <-s.purging }()
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	if r.Key != "" {
		return s.once(ctx, r)
	}
	t, err := s.taskFor(ctx, r)
	if err != nil {
		return nil, err
	}
	if err := s.catalog.CreateTask(ctx, t); err != nil {
		return nil, err
	}
	signal(s.wake)
	return t, nil
}

// Cancel ends a task: a pending one at once, a running one as soon as its
// runner has cleaned up.
func (s *Scheduler) Cancel(ctx context.Context, uuid string) error {
	return s.cancel(ctx, uuid, "canceled on request")
}

func (s *Scheduler) cancel(ctx context.Context, uuid, reason string) error {
	err := s.catalog.CancelPending(ctx, uuid, reason, s.now())
	if err == nil {
		signal(s.wake) // what it held back may go on
		return nil
	}
	if !errors.Is(err, shield.Conflict) {
		return err
	}
	s.claiming.Lock() // one that is being claimed is live after that
	s.mu.Lock()
	l := s.live[uuid]
	s.mu.Unlock()
	s.claiming.Unlock()
	if l == nil {
		return err
	}
	l.cancel(shield.Errorf(shield.Canceled, "", "%s", reason))
	return nil
}

// Follow returns a task and its log from line number after on; see
// shield.Scheduler.
func (s *Scheduler) Follow(ctx context.Context, uuid string, after int, wait time.Duration) (*shield.Task, []string, int, error) {
	until := time.Now().Add(wait)
	for {
		s.mu.Lock()
		l, begun := s.live[uuid], s.begun
		s.mu.Unlock()
		if l != nil {
			l.wait(ctx, after, time.Until(until))
		}
		t, err := s.catalog.Task(ctx, uuid)
		if err != nil {
			return nil, nil, 0, err
		}
		if l != nil && !t.Status.Final() {
			lines, next := l.lines.from(after)
			t.Progress = l.current()
			return t, lines, next, nil
		}
		lines, next := splitLog(t.Log, after)
		left := time.Until(until)
		if len(lines) > 0 || t.Status.Final() || left <= 0 || ctx.Err() != nil {
			return t, lines, next, nil
		}
		// It waits for its turn, or runs elsewhere.
		pause(ctx, begun, min(left, time.Second))
	}
}

func pause(ctx context.Context, news <-chan struct{}, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-news:
	case <-t.C:
	}
}
