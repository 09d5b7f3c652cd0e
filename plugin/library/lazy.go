package library

import (
	"context"
	"sync"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
)

// lazy is a module that is compiled when it is first used. What it says of
// itself is known from when it was installed.
type lazy struct {
	library *Library
	info    plugin.Info
	grant   plugin.Grant

	mu     sync.Mutex
	opener plugin.Opener
}

var _ plugin.Opener = (*lazy)(nil)

// Info returns what the plugin said when it was installed.
func (z *lazy) Info(context.Context) (plugin.Info, error) { return z.info, nil }

// open compiles the module unless that was done. A failure is not kept, so
// that what was put right works without a restart.
func (z *lazy) open(ctx context.Context) (plugin.Opener, error) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.opener != nil {
		return z.opener, nil
	}
	module, err := z.library.load(z.info.Digest)
	if err != nil {
		return nil, err
	}
	o, err := z.library.sandbox.Open(ctx, module, z.grant)
	if err == nil {
		z.opener = o
	}
	return o, err
}

// OpenTarget opens a target of the module.
func (z *lazy) OpenTarget(ctx context.Context, e shield.Endpoint, log plugin.Log) (plugin.Target, error) {
	o, err := z.open(ctx)
	if err != nil {
		return nil, err
	}
	return o.OpenTarget(ctx, e, log)
}

// OpenStore opens a store of the module.
func (z *lazy) OpenStore(ctx context.Context, e shield.Endpoint, log plugin.Log) (plugin.Store, error) {
	o, err := z.open(ctx)
	if err != nil {
		return nil, err
	}
	return o.OpenStore(ctx, e, log)
}

// pending stands for a bundled plugin until it is installed.
type pending struct {
	registry *plugin.Registry
	name     string
	info     *plugin.Info // what the plugin says, if that is known already
	begin    func()       // begins to compile and to install, once
	ready    chan struct{}
	err      error // valid when ready is closed

	once   sync.Once
	wanted chan struct{} // closed when somebody waits
}

var _ plugin.Opener = (*pending)(nil)

func (p *pending) wait(ctx context.Context) error {
	p.once.Do(func() { close(p.wanted) })
	p.begin()
	select {
	case <-p.ready:
		return p.err
	case <-ctx.Done():
		return shield.Errorf(shield.Unavailable, "", "the plugin %s is still being compiled: %w", p.name, context.Cause(ctx))
	}
}

// Info waits for the plugin and asks it, unless its answer is known.
func (p *pending) Info(ctx context.Context) (plugin.Info, error) {
	if p.info != nil {
		return *p.info, nil
	}
	if err := p.wait(ctx); err != nil {
		return plugin.Info{}, err
	}
	return p.registry.Info(ctx, p.name)
}

// OpenTarget waits for the plugin and opens a target of it.
func (p *pending) OpenTarget(ctx context.Context, e shield.Endpoint, log plugin.Log) (plugin.Target, error) {
	if err := p.wait(ctx); err != nil {
		return nil, err
	}
	t, _, err := p.registry.OpenTarget(ctx, p.name, e, log)
	return t, err
}

// OpenStore waits for the plugin and opens a store of it.
func (p *pending) OpenStore(ctx context.Context, e shield.Endpoint, log plugin.Log) (plugin.Store, error) {
	if err := p.wait(ctx); err != nil {
		return nil, err
	}
	s, _, err := p.registry.OpenStore(ctx, p.name, e, log)
	return s, err
}
