package agent

import (
	"context"
	"slices"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
)

// prepare makes the order of a task and opens the store that its bytes are
// relayed to, if they are.
func (d *Dispatcher) prepare(ctx context.Context, t *shield.Task, m shield.Monitor, a *shield.Agent, l *link) (*Order, *attempt, func(), error) {
	done := func() {}
	sent := *t
	sent.Log, sent.Agent = "", ""
	o := &Order{Task: &sent, IdleTimeout: int64(d.opts.IdleTimeout / time.Second)}
	at := &attempt{task: t, held: o.held(), agent: a.UUID, calls: newCalls(), sent: map[string]sentBlob{}}
	if err := d.fill(ctx, o); err != nil {
		return nil, nil, nil, err
	}
	if !t.Op.OnStore() {
		return o, at, done, nil
	}
	direct, modules, err := d.direct(ctx, t, a, l)
	if err != nil {
		return nil, nil, nil, err
	}
	if direct {
		o.Modules = append(o.Modules, modules...)
		return o, at, done, nil
	}
	var info plugin.Info
	at.store, info, done, err = d.openRelayed(ctx, t, m)
	if err != nil {
		return nil, nil, nil, err
	}
	at.store, at.wrote = scoped(at.store, t, at.calls, at.forget)
	info.Fields = nil // the endpoint does not leave the daemon
	sent.StoreEndpoint, o.Relay = nil, &info
	return o, at, done, nil
}

// fill adds what the target needs, and the keys.
func (d *Dispatcher) fill(ctx context.Context, o *Order) (err error) {
	t, digest := o.Task, ""
	if t.Expected != nil {
		digest = t.Expected.PluginDigest
	}
	if o.Modules, err = d.opts.Modules(ctx, t.TargetPlugin, digest); err != nil {
		return err
	}
	switch {
	case t.Op == shield.OpBackup && !t.Unencrypted:
		o.Recipients = d.opts.Recipients
	case t.Op == shield.OpRestore && t.Expected != nil && t.Expected.Encrypted:
		o.FileKey, err = d.opts.FileKey(t)
	}
	return err
}

// direct reports whether the agent of a task reaches the store itself, and
// returns the modules that it needs for that.
func (d *Dispatcher) direct(ctx context.Context, t *shield.Task, a *shield.Agent, l *link) (bool, []Module, error) {
	if t.StoreAgent == shield.AgentDaemon {
		return false, nil, nil
	}
	modules, err := d.opts.Modules(ctx, t.StorePlugin, "")
	if err != nil {
		return false, nil, err
	}
	if t.StoreAgent != "" {
		other, err := d.find(ctx, t.StoreAgent)
		if err != nil {
			return false, nil, err
		}
		return other.UUID == a.UUID, modules, nil
	}
	if len(modules) == 0 && !slices.ContainsFunc(l.hello.Plugins, func(o plugin.Offer) bool { return o.Name == t.StorePlugin }) {
		return false, nil, nil
	}
	network, err := d.onNetwork(ctx, t.StorePlugin, t.StoreEndpoint)
	return network, modules, err
}

// onNetwork reports whether a store needs nothing of the host that uses it: it
// says that it reaches something over the network, and nothing else.
func (d *Dispatcher) onNetwork(ctx context.Context, name string, e shield.Endpoint) (bool, error) {
	info, err := d.opts.Plugins.Info(ctx, name)
	if err != nil {
		return false, err
	}
	all, err := plugin.ParseCapabilities(info.Capabilities)
	if err != nil {
		return false, err
	}
	c, err := all.Resolve(e)
	if err != nil {
		return false, err
	}
	own := len(c.Read) + len(c.Write) + len(c.Own) + len(c.Exec)
	return own == 0 && len(c.TCP)+len(c.HTTP) > 0, nil
}

// openRelayed opens the store that bytes of an agent go to through the daemon:
// its own, or that of another agent.
func (d *Dispatcher) openRelayed(ctx context.Context, t *shield.Task, m shield.Monitor) (plugin.Store, plugin.Info, func(), error) {
	log := func(line string) { m.Log(shield.SourceStore, line) }
	if t.StoreAgent == "" || t.StoreAgent == shield.AgentDaemon {
		s, info, err := d.opts.Plugins.OpenStore(ctx, t.StorePlugin, t.StoreEndpoint, log)
		return s, info, func() {}, err
	}
	opener, giveBack, err := d.borrow(ctx, t)
	if err != nil {
		return nil, plugin.Info{}, nil, err
	}
	s, err := opener.OpenStore(ctx, nil, log)
	return s, opener.About, giveBack, err
}
