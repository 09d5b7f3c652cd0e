package agent

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/shieldhq/shield"
)

// messageLimit is the size, in bytes, of the longest line that an agent may
// send of a task.
const messageLimit = 8 << 20

// runThere runs a task on an agent. A link that breaks does not end it: the
// agent goes on, and the daemon asks again when it is back, within its
// patience.
func (d *Dispatcher) runThere(ctx context.Context, t *shield.Task, m shield.Monitor, a *shield.Agent) (shield.TaskResult, error) {
	l := d.hub.get(a.UUID)
	if l == nil {
		return shield.TaskResult{}, notLinked(a, "target "+t.TargetName)
	}
	o, at, done, err := d.prepare(ctx, t, m, a, l)
	if err != nil {
		return shield.TaskResult{}, err
	}
	defer done()
	defer d.sharing(t, a.UUID)()
	d.mu.Lock()
	d.running[at.held.ref()] = at
	d.mu.Unlock()
	r := &remote{d: d, at: at, agent: a, m: m}
	result, err := r.run(ctx, o)
	d.mu.Lock()
	delete(d.running, at.held.ref())
	d.mu.Unlock()
	at.calls.end()
	return result, err
}

// A remote is the daemon's side of an attempt.
type remote struct {
	d     *Dispatcher
	at    *attempt
	agent *shield.Agent
	m     shield.Monitor

	given bool // the agent may have the order
	after int  // lines that were read
}

func (r *remote) run(ctx context.Context, o *Order) (shield.TaskResult, error) {
	// The agent ends the task at its deadline; this is for one that does not.
	wait, cancel := ctx, context.CancelFunc(func() {})
	if at := r.at.task.TimeoutAt; !at.IsZero() {
		late := shield.Errorf(shield.TimedOut, "", "the deadline of %s passed", at.UTC().Format(time.RFC3339))
		wait, cancel = context.WithDeadlineCause(ctx, at.Add(r.d.opts.Grace), late)
	}
	defer cancel()
	if err := r.give(wait, o); err != nil {
		if wait.Err() != nil && r.given {
			return r.canceled(context.WithoutCancel(ctx), context.Cause(wait))
		}
		return r.lost(err)
	}
	r.logf("running on agent %s", r.agent.Name)
	result, err := r.follow(wait)
	if err == nil {
		return r.accept(result)
	}
	if wait.Err() == nil {
		return r.lost(err)
	}
	return r.canceled(context.WithoutCancel(ctx), context.Cause(wait))
}

func (r *remote) logf(format string, args ...any) {
	r.m.Log(shield.SourceShield, shield.Errorf("", "", format, args...).Message)
}

// lost is the result of an attempt of which nobody knows how it ended. What it
// may have left is to be purged.
func (r *remote) lost(err error) (shield.TaskResult, error) {
	var result shield.TaskResult
	if r.given && r.at.held.Key != "" {
		result.Leftovers = []string{r.at.held.Key}
	}
	return result, err
}

// busyPause is how long an agent that is at its limit is left alone.
const busyPause = 2 * time.Second

// give gives the agent the order. It may be given twice: the agent knows it by
// its epoch.
func (r *remote) give(ctx context.Context, o *Order) error {
	told := false
	for {
		l, err := r.link(ctx)
		if err != nil {
			return err
		}
		o.Now = time.Now().UTC()
		_, o.Share = r.d.shares.of(o.Task.Store, r.agent.UUID)
		r.given = true
		// It is not given up halfway: an order that arrives after its own
		// cancellation would run.
		err = l.ask(context.WithoutCancel(ctx), http.MethodPost, "/v1/tasks", o, nil)
		var e *shield.Error
		switch {
		case err == nil:
			r.d.work.Go(func() { r.d.tell(o.Task.Store, r.agent.UUID, true) }) // it may have changed meanwhile
			return nil
		case errors.As(err, &e) && e.Field == busyField:
			r.given = false
			if !told {
				r.logf("waiting for agent %s: %s", r.agent.Name, e.Message)
				told = true
			}
			if !sleep(ctx, busyPause) {
				return context.Cause(ctx)
			}
		case errors.Is(err, shield.TimedOut): // it may have begun: it is asked when it is linked anew
			_ = l.session.Close()
			return err
		case !errors.Is(err, errBroken):
			r.given = false
			return err
		case ctx.Err() != nil:
			return context.Cause(ctx)
		default:
			_ = l.session.Close()
		}
	}
}

// link waits for the agent to be linked, within the daemon's patience.
func (r *remote) link(ctx context.Context) (*link, error) {
	if l := r.d.hub.get(r.agent.UUID); l != nil {
		return l, nil
	}
	r.logf("waiting for agent %s to be connected again", r.agent.Name)
	patience, cancel := context.WithTimeout(ctx, r.d.opts.Patience)
	defer cancel()
	if l := r.d.hub.wait(patience, r.agent.UUID); l != nil {
		r.logf("agent %s is connected again", r.agent.Name)
		return l, nil
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return nil, shield.Errorf(shield.Interrupted, "", "interrupted: agent %s was not connected for %s", r.agent.Name, r.d.opts.Patience)
}

// follow reads what the agent tells of the task until it has ended.
func (r *remote) follow(ctx context.Context) (*Result, error) {
	for {
		l, err := r.link(ctx)
		if err != nil {
			return nil, err
		}
		result, err := r.read(ctx, l)
		switch {
		case result != nil:
			return result, nil
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case !errors.Is(err, errBroken):
			return nil, err
		}
		r.d.hub.gone(ctx, l, time.Second)
	}
}

// read follows a task over one link. It returns errBroken when that ends.
func (r *remote) read(ctx context.Context, l *link) (*Result, error) {
	resp, err := l.open(ctx, http.MethodGet, "/v1/tasks/"+r.at.held.ref()+"?after="+strconv.Itoa(r.after), nil)
	if errors.Is(err, shield.NotFound) {
		return nil, shield.Errorf(shield.Interrupted, "", "interrupted: agent %s does not know of this task any more", r.agent.Name)
	}
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	// An agent that is silent is asked anew over another link.
	quiet := time.AfterFunc(3*quietFor, func() { _ = l.session.Close() })
	defer quiet.Stop()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, messageLimit)
	for lines.Scan() {
		quiet.Reset(3 * quietFor)
		var m Message
		if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
			return nil, shield.Errorf(shield.Internal, "", "agent %s says what cannot be read: %w", r.agent.Name, err)
		}
		if m.N > r.after+1 {
			r.logf("%d lines of the agent's log are lost", m.N-r.after-1)
		}
		if m.N > r.after {
			r.after = m.N
			r.m.Log(known(m.Source), m.Text)
		}
		if m.Progress != nil {
			r.m.Progress(*m.Progress)
		}
		if m.Result != nil {
			return m.Result, nil
		}
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return nil, shield.Errorf(shield.Internal, "", "agent %s sent a line of more than %d bytes", r.agent.Name, messageLimit)
	}
	return nil, errBroken
}

func known(s shield.Source) shield.Source {
	if s == shield.SourceTarget || s == shield.SourceStore {
		return s
	}
	return shield.SourceShield
}

// canceled has the agent end the task and waits until it has cleaned up.
func (r *remote) canceled(ctx context.Context, cause error) (shield.TaskResult, error) {
	stop := Stop{Code: shield.CodeOf(cause), Message: cause.Error()}
	// The agent's own grace, for its plugin and for what is left in the store.
	ctx, cancel := context.WithTimeout(ctx, 3*r.d.opts.Grace)
	defer cancel()
	l := r.d.hub.get(r.agent.UUID)
	if l == nil {
		return r.lost(cause)
	}
	if err := l.ask(ctx, http.MethodPost, "/v1/tasks/"+r.at.held.ref()+"/cancel", stop, nil); err != nil {
		return r.lost(cause)
	}
	result, err := r.read(ctx, l)
	if err != nil {
		return r.lost(cause)
	}
	ended, err := r.accept(result)
	if errors.Is(cause, errDeleted) && errors.Is(err, shield.CodeOf(cause)) {
		err = cause // whose reason, which does not pass, is lost on the way
	}
	return ended, err
}

// accept takes a result, if it can be true, and has the agent forget it.
func (r *remote) accept(got *Result) (shield.TaskResult, error) {
	ref := r.at.held.ref()
	r.d.mu.Lock()
	r.d.delivered[ref] = true
	r.d.mu.Unlock()
	r.d.work.Go(func() { r.d.acknowledge(r.agent.UUID, &r.at.held) })
	result, err := got.Result, believed(got.Error)
	result.Missing, result.Found, result.Strays = nil, nil, nil // none of these runs on agents
	result.Leftovers = r.at.leftovers(result.Leftovers)
	if lie := r.at.check(&result, err); lie != nil {
		r.logf("agent %s: %v", r.agent.Name, lie)
		return r.lost(lie)
	}
	if a := result.Archive; a != nil && a.Encrypted {
		a.Recipients = r.d.opts.Recipients // what was ordered, and what its manifest has
	}
	return result, err
}

// acknowledge has an agent forget a task whose result was taken. If it cannot
// be told now, it is when it is linked again.
func (d *Dispatcher) acknowledge(agent string, h *Held) {
	ctx, cancel := context.WithTimeout(d.ctx, time.Minute)
	defer cancel()
	l := d.hub.get(agent)
	if l == nil {
		return
	}
	err := l.ask(ctx, http.MethodDelete, "/v1/tasks/"+h.ref(), nil, nil)
	if err == nil || errors.Is(err, shield.NotFound) {
		d.mu.Lock()
		delete(d.delivered, h.ref())
		d.mu.Unlock()
	}
}
