package scheduler_test

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/scheduler"
	"github.com/shieldhq/shield/task"
)

// A process is one start of a daemon: a scheduler and its runner. When it is
// killed, nothing that it still does reaches the catalog, a target or a store;
// its goroutines end by and by.
type process struct {
	*simulation
	number int
	sched  *scheduler.Scheduler
	runner *task.Runner
	dead   atomic.Bool
	fuse   atomic.Int64 // calls until it dies; 0: it does not
	gone   chan struct{}
	once   sync.Once

	running sync.Mutex
	tasks   map[string]*simTask
	putting map[*put]bool
}

// startAll starts the schedulers of the world: one, or two where more than
// one is allowed. At times both tick at the same millisecond.
func (w *simulation) startAll() {
	n := 1
	if !w.exclusive {
		n += w.r.IntN(2)
	}
	for range n {
		w.start()
		w.pass(between(w.r, 0, pick(w.draw("start"), time.Nanosecond, 900*time.Millisecond)))
	}
}

func (w *simulation) start() {
	w.started++
	p := &process{simulation: w, number: w.started, gone: make(chan struct{}), tasks: map[string]*simTask{}, putting: map[*put]bool{}}
	w.note("process %d starts", p.number)
	plugins := plugin.NewRegistry()
	w.ok(plugins.Register("memory", &opener{p}))
	p.runner = task.NewRunner(plugins, w.opts)
	p.sched = scheduler.New(&gate{w.db, p}, p, &scheduler.Options{
		Exclusive: w.exclusive, Limit: w.limit, Timeout: 2 * time.Hour,
		Log: slog.New(slog.NewTextHandler(noteWriter{p}, &slog.HandlerOptions{Level: slog.LevelInfo})),
	})
	p.sched.SetClock(w.clock)
	planning := w.draw("planning")
	p.sched.SetPlanning(pick(planning, 1, 2, 200), pick(planning, 0, 0, 1, 50))
	w.processes = append(w.processes, p)
	w.calm = time.Now()
	if err := p.sched.Start(w.t.Context()); err != nil {
		w.note("process %d does not start: %v", p.number, err)
		p.kill()
	}
}

// A noteWriter keeps what schedulers log among the steps.
type noteWriter struct{ p *process }

func (n noteWriter) Write(b []byte) (int, error) {
	_, text, _ := strings.Cut(strings.TrimSpace(string(b)), "level=")
	if !n.p.dead.Load() {
		n.p.note("process %d: %s", n.p.number, text)
	}
	return len(b), nil
}

// burnt is asked wherever a process may die. It reports whether it is dead.
func (p *process) burnt() bool {
	if p.fuse.Load() > 0 && p.fuse.Add(-1) == 0 {
		p.die()
	}
	return p.dead.Load()
}

func (p *process) die() {
	if p.dead.Swap(true) {
		return
	}
	p.note("process %d dies", p.number)
	p.running.Lock()
	clear(p.tasks)
	for put := range p.putting {
		put.leave()
	}
	p.running.Unlock()
}

// kill ends a process as a power cut would.
func (p *process) kill() {
	p.die()
	p.once.Do(func() {
		go func() {
			defer close(p.gone)
			now, cancel := context.WithCancel(context.Background())
			cancel()
			_ = p.sched.Stop(now)
		}()
	})
}

// stop ends a process as its operator would.
func (p *process) stop(grace time.Duration) {
	p.note("process %d is stopped", p.number)
	p.once.Do(func() {
		defer close(p.gone)
		ctx, cancel := context.WithTimeout(context.Background(), grace)
		defer cancel()
		_ = p.sched.Stop(ctx)
	})
	p.die()
}

// reap takes the dead out of the world, and reports whether there were any.
func (w *simulation) reap() bool {
	var alive []*process
	for _, p := range w.processes {
		if !p.dead.Load() {
			alive = append(alive, p)
			continue
		}
		p.kill()
		<-p.gone
	}
	found := len(alive) < len(w.processes)
	w.processes = alive
	return found
}

// Run is shield.Runner: a task.Runner that lives with the clock of its
// process, and dies with it.
func (p *process) Run(ctx context.Context, t *shield.Task, m shield.Monitor) (shield.TaskResult, error) {
	if p.burnt() {
		return shield.TaskResult{}, errDead
	}
	p.note("process %d: %s %s of %s, target %s, store %s, key %s", p.number, t.Op, t.UUID, t.JobName, t.TargetName, t.StoreName, t.Key)
	p.enter(ctx, t)
	defer p.leave(t)
	ahead := time.Duration(p.ahead.Load())
	own := *t
	if !own.TimeoutAt.IsZero() {
		own.TimeoutAt = own.TimeoutAt.Add(-ahead)
	}
	result, err := p.runner.Run(ctx, &own, m)
	if a := result.Archive; a != nil {
		a.TakenAt, a.ExpiresAt = a.TakenAt.Add(ahead), a.ExpiresAt.Add(ahead)
	}
	var e *shield.Error
	if errors.As(err, &e) && !e.Until.IsZero() {
		late := *e
		late.Until = e.Until.Add(ahead)
		err = &late
	}
	if p.burnt() {
		return shield.TaskResult{}, errDead
	}
	return result, err
}

// A simTask runs until its context is done; then it may still clean up.
type simTask struct {
	*shield.Task
	ctx context.Context
}

// enter checks that a process runs no more than it may.
func (p *process) enter(ctx context.Context, t *shield.Task) {
	p.running.Lock()
	defer p.running.Unlock()
	if p.dead.Load() {
		return
	}
	for _, o := range p.tasks {
		if t.Op == shield.OpPurge && o.Op == shield.OpRestore && t.Archive != "" && t.Archive == o.Archive {
			p.t.Errorf("process %d purges archive %s, which is being restored", p.number, t.Archive)
		}
		both := moves(t.Op) && moves(o.Op)
		if o.ctx.Err() == nil && (o.Job != "" && o.Job == t.Job || both && o.Target == t.Target) && p.owns(o.Task) {
			p.t.Errorf("process %d runs %s %s and %s %s of job %s and target %s at once", p.number, o.Op, o.UUID, t.Op, t.UUID, t.JobName, t.TargetName)
		}
	}
	p.tasks[t.UUID] = &simTask{t, ctx}
	if len(p.tasks) > p.limit {
		p.t.Errorf("process %d runs %d tasks, its limit is %d", p.number, len(p.tasks), p.limit)
	}
}

// owns reports whether a task that runs has not been given up by another
// scheduler, for which the lease seemed to lapse when the clock was set.
func (p *process) owns(t *shield.Task) bool {
	now, err := p.db.Task(context.Background(), t.UUID)
	return err == nil && now.Status == shield.TaskRunning && now.LeaseEpoch == t.LeaseEpoch
}

func moves(op shield.Op) bool { return op == shield.OpBackup || op == shield.OpRestore }

func (p *process) leave(t *shield.Task) {
	p.running.Lock()
	defer p.running.Unlock()
	delete(p.tasks, t.UUID)
}

// vanish ends the calling goroutine if its process is dead.
func (p *process) vanish() {
	if p.dead.Load() {
		runtime.Goexit()
	}
}
