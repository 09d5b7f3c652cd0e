package agent

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/storewire"
	"github.com/shieldhq/shield/plugin"
)

// begin starts the task of an order, once.
func (a *Agent) begin(o *Order) error {
	h := newHeld(o.held())
	ctx, cancel := context.WithCancelCause(context.Background())
	h.cancel = cancel
	if err := a.admit(h); err != nil {
		cancel(nil)
		if err == errKnown {
			return nil
		}
		return err
	}
	a.log.Info("task started", "task", h.UUID, "epoch", h.Epoch, "op", h.Op, "target", o.Task.TargetName, "store", o.Task.StoreName)
	go func() {
		defer a.running.Done()
		defer cancel(nil)
		result := resultOf(a.run(ctx, o, h))
		r := &record{Held: h.about(), Result: result}
		r.Ended = true
		if err := a.state.record(r); err != nil {
			// It is still told as long as this process lives.
			a.log.Error("the result of a task cannot be kept", "task", h.UUID, "err", err)
		}
		a.log.Info("task ended", "task", h.UUID, "epoch", h.Epoch, "error", result.Error.Err())
		h.end(result)
	}()
	return nil
}

// errKnown says that an order was taken before.
var errKnown error = shield.Errorf(shield.Conflict, "", "this order was taken already")

// admit records a task before it runs, so that no death of this process can
// hide that it did.
func (a *Agent) admit(h *held) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.tasks[h.ref()] != nil {
		return errKnown
	}
	running := 0
	for _, other := range a.tasks {
		about := other.about()
		if about.UUID == h.UUID && about.Epoch > h.Epoch {
			return shield.Errorf(shield.Conflict, "", "task %s was given to this agent with the later epoch %d", h.UUID, about.Epoch)
		}
		if about.UUID == h.UUID {
			other.cancel(shield.Errorf(shield.Interrupted, "", "interrupted: the daemon begins this task anew"))
		}
		if !about.Ended {
			running++
		}
	}
	switch {
	case a.stopping:
		return shield.Errorf(shield.Unavailable, "", "the agent is stopping")
	case a.opts.Limit > 0 && running >= a.opts.Limit:
		return &shield.Error{Code: shield.Unavailable, Field: busyField, Message: fmt.Sprintf("the agent runs %d tasks already, which is its limit", running)}
	}
	if err := a.state.record(&record{Held: h.Held}); err != nil {
		return shield.Errorf(shield.Unavailable, "", "the agent cannot keep what it does: %w", err)
	}
	a.tasks[h.ref()] = h
	a.running.Add(1)
	return nil
}

// busyField marks the refusal of an agent that is at its limit.
const busyField = "limit"

func (a *Agent) forget(h *Held) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.tasks, h.ref())
	return a.state.drop(h)
}

func (a *Agent) run(ctx context.Context, o *Order, h *held) (_ shield.TaskResult, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = shield.Errorf(shield.Internal, "", "the agent panicked: %v\n%s", p, debug.Stack())
		}
	}()
	t := o.Task
	// The deadline is by the daemon's clock, which may be far from this one.
	o.Ahead = o.Now.Sub(h.StartedAt)
	if !t.TimeoutAt.IsZero() {
		t.TimeoutAt = t.TimeoutAt.Add(-o.Ahead)
	}
	if o.Share > 0 {
		a.share(t.Store, o.Share)
	}
	// Both are this agent's from here on.
	t.Agent, t.StoreAgent = "", ""
	targets, err := a.opts.Host.Plugins(ctx, o.Modules, a.fetch)
	if err != nil {
		return shield.TaskResult{}, err
	}
	if t.Op.OnTarget() {
		if err := a.opts.Host.Allow(ctx, targets, plugin.RoleTarget, t.TargetPlugin, t.TargetEndpoint); err != nil {
			return shield.TaskResult{}, err
		}
	}
	stores := targets
	switch {
	case o.Relay != nil:
		t.StoreEndpoint = shield.Endpoint("{}")
		stores = plugin.NewRegistry()
		stores.Replace(t.StorePlugin, a.daemon.store(o))
	case t.Op.OnStore():
		if err := a.opts.Host.Allow(ctx, targets, plugin.RoleStore, t.StorePlugin, t.StoreEndpoint); err != nil {
			return shield.TaskResult{}, err
		}
	}
	seal := func(ctx context.Context, manifest []byte) ([]byte, error) {
		return a.daemon.patiently(ctx, h, func(ctx context.Context) ([]byte, error) {
			return a.daemon.post(ctx, "/v1/tasks/"+h.ref()+"/manifest", manifest)
		})
	}
	return a.opts.Host.Run(ctx, o, targets, stores, seal, h)
}

// store is the store of a task that is elsewhere.
func (c *caller) store(o *Order) *storewire.Opener {
	h := Held{UUID: o.Task.UUID, Epoch: o.Task.LeaseEpoch}
	return &storewire.Opener{About: *o.Relay, Client: c.bulk, Base: c.base + "/v1/tasks/" + h.ref() + "/store"}
}

// patiently calls f until the link is there again.
func (c *caller) patiently(ctx context.Context, h *held, f func(context.Context) ([]byte, error)) ([]byte, error) {
	pause := time.Second
	for {
		b, err := f(ctx)
		if err == nil || shield.CodeOf(err) != shield.Unavailable || ctx.Err() != nil {
			return b, err
		}
		h.Log(shield.SourceShield, fmt.Sprintf("the daemon cannot be reached, trying again in %s: %v", pause, err))
		if !sleep(ctx, pause) {
			return nil, err
		}
		pause = min(2*pause, 30*time.Second)
	}
}

// sleep reports false if ctx ended meanwhile.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
