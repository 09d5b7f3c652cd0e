package agent

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/shieldhq/shield"
)

// errDeleted is the cause in the reason of what ended with its agent. It does
// not pass: the certificate of the agent is refused from then on.
var errDeleted = &shield.Error{Code: shield.Unauthorized, Message: "the certificate of the agent is revoked"}

// uses are the tasks that need an agent at this moment, so that they end with
// it.
type uses struct {
	mu  sync.Mutex
	all map[*use]bool
}

type use struct {
	agent  string // UUID
	cancel context.CancelCauseFunc
}

// with returns a context that ends when an agent is deleted. leave must be
// called.
func (u *uses) with(ctx context.Context, agent string) (_ context.Context, leave func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	mine := &use{agent, cancel}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.all == nil {
		u.all = map[*use]bool{}
	}
	u.all[mine] = true
	return ctx, func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		delete(u.all, mine)
		cancel(nil)
	}
}

func (u *uses) end(agent string, cause error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for each := range u.all {
		if each.agent == agent {
			each.cancel(cause)
		}
	}
}

// needing returns a context that ends when an agent is deleted that a task
// needs for its target or its store.
func (d *Dispatcher) needing(ctx context.Context, t *shield.Task) (_ context.Context, leave func()) {
	var refs []string
	if t.Op.OnTarget() {
		refs = append(refs, t.Agent)
	}
	if t.Op.OnStore() && t.StoreAgent != shield.AgentDaemon {
		refs = append(refs, t.StoreAgent)
	}
	leave = func() {}
	for _, ref := range refs {
		if ref == "" {
			continue
		}
		a, err := d.find(ctx, ref)
		if err != nil {
			continue // who looks for it next says so
		}
		before := leave
		inner, end := d.uses.with(ctx, a.UUID)
		ctx, leave = inner, func() { end(); before() }
	}
	return ctx, leave
}

// dropTimeout is how long an agent that was deleted may take to be told to end
// what it runs.
const dropTimeout = 5 * time.Second

// Drop ends what is done with an agent that was deleted: the tasks that need
// it, what it moves through the daemon, what it runs, and its link.
func (d *Dispatcher) Drop(uuid, name string) {
	cause := &shield.Error{Code: shield.Interrupted, Message: fmt.Sprintf("interrupted: agent %s was deleted", name), Err: errDeleted}
	l := d.hub.take(uuid)
	var runs []*attempt
	d.mu.Lock()
	for _, at := range d.running {
		if at.agent == uuid {
			runs = append(runs, at)
		}
	}
	d.mu.Unlock()
	for _, at := range runs {
		at.calls.cancel(cause)
	}
	d.uses.end(uuid, cause)
	if l == nil {
		return
	}
	defer l.session.Close()
	ctx, cancel := context.WithTimeout(d.ctx, dropTimeout)
	defer cancel()
	var telling sync.WaitGroup
	for _, at := range runs {
		telling.Go(func() {
			stop := Stop{Code: shield.Interrupted, Message: "interrupted: the daemon has deleted this agent"}
			err := l.ask(ctx, http.MethodPost, "/v1/tasks/"+at.held.ref()+"/cancel", stop, nil)
			if err != nil && !errors.Is(err, shield.NotFound) {
				d.log.Warn("an agent that was deleted was not told to end a task", "agent", name, "task", at.held.UUID, "err", err)
			}
		})
	}
	telling.Wait()
}

// calls are those of an agent to a store through the daemon. They end with
// the attempt that they are of.
type calls struct {
	ctx    context.Context // ends with the attempt
	cancel context.CancelCauseFunc

	mu      sync.Mutex // held while calls are counted or let in no more
	running sync.WaitGroup
}

func newCalls() *calls {
	c := &calls{}
	c.ctx, c.cancel = context.WithCancelCause(context.Background())
	return c
}

// enter begins a call, whose context ends with the attempt, too. It returns
// the reason if that has ended.
func (c *calls) enter(ctx context.Context) (_ context.Context, leave func(), err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx.Err() != nil {
		return nil, nil, context.Cause(c.ctx)
	}
	c.running.Add(1)
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(c.ctx, func() { cancel(context.Cause(c.ctx)) })
	return ctx, sync.OnceFunc(func() {
		stop()
		cancel(nil)
		c.running.Done()
	}), nil
}

// end lets no more calls in, and waits until those that there are have ended:
// what the attempt has left is removed after that.
func (c *calls) end() {
	c.mu.Lock()
	c.cancel(errGivenUp)
	c.mu.Unlock()
	c.running.Wait()
}

// errGivenUp is what an agent is told of an attempt that is none any more.
var errGivenUp error = &shield.Error{Code: shield.Interrupted, Message: "interrupted: the daemon has given up this attempt"}
