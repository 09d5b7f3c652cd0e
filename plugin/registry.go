package plugin

import (
	"context"
	"fmt"
	"sort"
	"strings"
	"sync"

	"github.com/shieldhq/shield"
)

// A Registry opens plugins by name. The zero value is not usable; make one
// with NewRegistry. It is safe for concurrent use.
type Registry struct {
	mu       sync.RWMutex
	openers  map[string]Opener
	versions map[version]Opener
}

// A version is one of several modules of a plugin.
type version struct{ name, digest string }

// NewRegistry returns an empty registry.
func NewRegistry() *Registry {
	return &Registry{openers: map[string]Opener{}, versions: map[version]Opener{}}
}

// Register adds a plugin. It returns Conflict if the name is taken.
func (r *Registry) Register(name string, o Opener) error {
	if err := shield.ValidateName("plugin", name); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, taken := r.openers[name]; taken {
		return &shield.Error{Code: shield.Conflict, Field: "plugin", Message: fmt.Sprintf("%q is registered already", name)}
	}
	r.openers[name] = o
	return nil
}

// Replace makes o what name stands for, whether there was one or not.
func (r *Registry) Replace(name string, o Opener) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.openers[name] = o
}

// ReplaceVersion makes o what name stands for when the version of a digest is
// asked for.
func (r *Registry) ReplaceVersion(name, digest string, o Opener) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.versions[version{name, digest}] = o
}

// Remove forgets a plugin, or with a digest one version of it.
func (r *Registry) Remove(name, digest string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if digest == "" {
		delete(r.openers, name)
		return
	}
	delete(r.versions, version{name, digest})
}

// Names returns the names of all plugins, sorted.
func (r *Registry) Names() []string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	names := make([]string, 0, len(r.openers))
	for n := range r.openers {
		names = append(names, n)
	}
	sort.Strings(names)
	return names
}

// Opener returns the plugin called name, or Invalid for an unknown one.
func (r *Registry) Opener(name string) (Opener, error) {
	r.mu.RLock()
	o, ok := r.openers[name]
	r.mu.RUnlock()
	if ok {
		return o, nil
	}
	return nil, shield.FieldErrorf("plugin", "%q is unknown: this host has %s", name, strings.Join(r.Names(), ", "))
}

// Info returns the description of a plugin, or Invalid for an unknown name.
func (r *Registry) Info(ctx context.Context, name string) (Info, error) {
	o, err := r.Opener(name)
	if err != nil {
		return Info{}, err
	}
	return o.Info(ctx)
}

// Resolve checks an endpoint for a plugin in a role: its fields, and the
// plugin's own rules where it has any. It returns the canonical form.
func (r *Registry) Resolve(ctx context.Context, name string, role Role, e shield.Endpoint) (shield.Endpoint, error) {
	o, err := r.Opener(name)
	if err != nil {
		return nil, err
	}
	info, err := o.Info(ctx)
	if err != nil {
		return nil, err
	}
	e, err = info.Resolve(role, e)
	if err != nil || !info.Can(ActionValidate) {
		return e, err
	}
	var opened any
	discard := func(string) {}
	if role == RoleTarget {
		opened, err = o.OpenTarget(ctx, e, discard)
	} else {
		opened, err = o.OpenStore(ctx, e, discard)
	}
	if err != nil {
		return nil, err
	}
	if v, ok := opened.(Validator); ok {
		err = v.Validate(ctx)
	}
	return e, err
}

// OpenTarget opens a target of the plugin called name, its endpoint checked.
func (r *Registry) OpenTarget(ctx context.Context, name string, e shield.Endpoint, log Log) (Target, Info, error) {
	o, info, e, err := r.prepare(ctx, name, RoleTarget, e)
	if err != nil {
		return nil, info, err
	}
	t, err := o.OpenTarget(ctx, e, log)
	return t, info, err
}

// OpenStore opens a store of the plugin called name, its endpoint checked.
func (r *Registry) OpenStore(ctx context.Context, name string, e shield.Endpoint, log Log) (Store, Info, error) {
	o, info, e, err := r.prepare(ctx, name, RoleStore, e)
	if err != nil {
		return nil, info, err
	}
	s, err := o.OpenStore(ctx, e, log)
	return s, info, err
}

// OpenTargetVersion opens a target of the version of a plugin that has the
// digest, or as OpenTarget does if there is none; the Info's digest tells
// which it was.
func (r *Registry) OpenTargetVersion(ctx context.Context, name, digest string, e shield.Endpoint, log Log) (Target, Info, error) {
	r.mu.RLock()
	o, ok := r.versions[version{name, digest}]
	r.mu.RUnlock()
	if !ok {
		return r.OpenTarget(ctx, name, e, log)
	}
	info, e, err := resolve(ctx, o, RoleTarget, e)
	if err != nil {
		return nil, info, err
	}
	t, err := o.OpenTarget(ctx, e, log)
	return t, info, err
}

func (r *Registry) prepare(ctx context.Context, name string, role Role, e shield.Endpoint) (Opener, Info, shield.Endpoint, error) {
	o, err := r.Opener(name)
	if err != nil {
		return nil, Info{}, nil, err
	}
	info, e, err := resolve(ctx, o, role, e)
	return o, info, e, err
}

func resolve(ctx context.Context, o Opener, role Role, e shield.Endpoint) (Info, shield.Endpoint, error) {
	info, err := o.Info(ctx)
	if err != nil {
		return info, nil, err
	}
	e, err = info.Resolve(role, e)
	return info, e, err
}
