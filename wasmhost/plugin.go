package wasmhost

import (
	"context"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/calling"
	"github.com/shieldhq/shield/plugin"
)

// Plugin is a module, opened as a plugin with a grant. It is safe for
// concurrent use.
type Plugin struct {
	host    *Host
	program *program
	digest  string
	grant   plugin.Grant
	// turn is held while info runs, so that many callers start one instance.
	turn   chan struct{}
	cached *plugin.Info
	needs  plugin.Capabilities
}

var (
	_ plugin.Opener   = (*Plugin)(nil)
	_ calling.Carrier = (*Plugin)(nil)
)

// Info returns what the plugin says of itself, with the digest of its module.
// It is asked once, and has no capability while it answers.
func (p *Plugin) Info(ctx context.Context) (plugin.Info, error) {
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return plugin.Info{}, calling.ContextError(ctx, "plugin info")
	}
	if p.cached != nil {
		return *p.cached, nil
	}
	info, needs, err := p.ask(ctx)
	if err != nil {
		return plugin.Info{}, err
	}
	p.cached, p.needs = &info, needs
	return info, nil
}

func (p *Plugin) ask(ctx context.Context) (plugin.Info, plugin.Capabilities, error) {
	limit := p.host.options.InfoTimeout
	ctx, cancel := context.WithTimeoutCause(ctx, limit, shield.Errorf(shield.TimedOut, "", "no answer within %s", limit))
	defer cancel()
	r := &calling.Request{Action: plugin.ActionInfo, Log: func(string) {}}
	c, err := p.start(ctx, r, "plugin", rights{grant: &p.grant})
	if err != nil {
		return plugin.Info{}, plugin.Capabilities{}, err
	}
	defer func() { _ = c.Close() }()
	text, err := calling.ReadAll(c, plugin.InfoLimit)
	if err != nil {
		return plugin.Info{}, plugin.Capabilities{}, err
	}
	info, err := plugin.ParseInfo(text)
	if err != nil {
		return plugin.Info{}, plugin.Capabilities{}, shield.Errorf(shield.PluginFailed, c.Op(), "%w", err)
	}
	needs, err := plugin.ParseCapabilities(info.Capabilities)
	info.Digest, info.Runs = p.digest, plugin.CarrierSandbox
	return info, needs, err
}

// OpenTarget returns a target whose methods run the module. It has those
// optional interfaces whose actions the plugin declares.
func (p *Plugin) OpenTarget(ctx context.Context, e shield.Endpoint, log plugin.Log) (plugin.Target, error) {
	return calling.OpenFunc(p.open).Target(ctx, e, log)
}

// OpenStore returns a store whose methods run the module. It has those
// optional interfaces whose actions the plugin declares, and is a
// plugin.Keeper if its info says keeping. Each of its calls is one instance.
func (p *Plugin) OpenStore(ctx context.Context, e shield.Endpoint, log plugin.Log) (plugin.Store, error) {
	return calling.OpenFunc(p.open).Store(ctx, e, log)
}

func (p *Plugin) open(ctx context.Context, r plugin.Role, e shield.Endpoint, log plugin.Log) (*calling.Session, error) {
	info, err := p.Info(ctx)
	if err != nil {
		return nil, err
	}
	return calling.Open(p, info, r, e, log)
}

// Start starts an action with the rights that the request's endpoint gives.
func (p *Plugin) Start(ctx context.Context, r *calling.Request) (calling.Call, error) {
	info, err := p.Info(ctx)
	if err != nil {
		return nil, err
	}
	rt := rights{grant: &p.grant}
	if rt.needs, err = p.needs.Resolve(r.Endpoint); err != nil {
		return nil, err
	}
	if rt.bound, err = p.grant.Bound().Resolve(r.Endpoint); err != nil {
		return nil, err
	}
	return p.start(ctx, r, info.Name, rt)
}
