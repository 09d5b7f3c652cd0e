// Package library keeps the modules of sandboxed plugins: files named by
// their digests in a folder, what is known of them in the catalog, and the
// current version of each, bound by its grant, in a plugin.Registry. Older
// versions stay while archives need them.
package library

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/durable"
	"github.com/shieldhq/shield/plugin"
)

// ModuleLimit is the size, in bytes, of the largest module.
const ModuleLimit = 64 << 20

// A Sandbox runs modules. wasmhost.Host is one.
type Sandbox interface {
	Open(ctx context.Context, module []byte, grant plugin.Grant) (plugin.Opener, error)
}

// Library is safe for concurrent use.
type Library struct {
	dir      string
	records  shield.ModuleService
	sandbox  Sandbox
	registry *plugin.Registry
	own      []string // names of plugins that are no modules, which stay what they are

	mu      sync.Mutex // held while the set of modules or their files changes
	pending sync.WaitGroup
	// turn is held by the one that compiles in the background.
	turn chan struct{}
	// bundled holds what came with the program and was not installed yet.
	bundled sync.Map // name → *pending
}

// Open opens the library in a folder, which is made if it is not there, and
// registers its modules. None is compiled before it is used.
func Open(ctx context.Context, dir string, records shield.ModuleService, sandbox Sandbox, registry *plugin.Registry) (*Library, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("the folder of plugins cannot be made: %w", err)
	}
	l := &Library{dir: dir, records: records, sandbox: sandbox, registry: registry, own: registry.Names(), turn: make(chan struct{}, 1)}
	all, err := records.Modules(ctx)
	if err != nil {
		return nil, err
	}
	for _, m := range all {
		if err := l.register(m); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// register makes a module available as its grant says.
func (l *Library) register(m *shield.Module) error {
	o, err := l.opener(m)
	if err == nil {
		l.enter(m, o)
	}
	return err
}

func (l *Library) enter(m *shield.Module, o *lazy) {
	l.registry.ReplaceVersion(m.Name, m.Digest, o)
	if m.Current && !slices.Contains(l.own, m.Name) {
		l.registry.Replace(m.Name, o)
	}
}

func (l *Library) opener(m *shield.Module) (*lazy, error) {
	grant, err := plugin.ParseGrant(m.Grant)
	if err != nil {
		return nil, err
	}
	info, err := plugin.ParseInfo(m.Info)
	if err != nil {
		return nil, err
	}
	info.Digest, info.Runs = m.Digest, plugin.CarrierSandbox
	return &lazy{library: l, info: info, grant: grant}, nil
}

func (l *Library) path(digest string) string {
	return filepath.Join(l.dir, strings.TrimPrefix(digest, "sha256:")+".wasm")
}

// Load returns the module of a digest.
func (l *Library) Load(digest string) ([]byte, error) { return l.load(digest) }

// Versions returns the current module of a plugin and, behind it, the one of a
// digest if that is another; none for what is no module.
func (l *Library) Versions(ctx context.Context, name, digest string) ([]*shield.Module, error) {
	if slices.Contains(l.own, name) {
		return nil, nil
	}
	if err := l.installed(ctx, name); err != nil {
		return nil, err
	}
	all, err := l.records.Modules(ctx)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(m *shield.Module) bool { // the current one comes first
		return m.Name != name || !m.Current && m.Digest != digest
	}), nil
}

// load reads a module and checks that it is what its name says.
func (l *Library) load(digest string) ([]byte, error) {
	module, err := os.ReadFile(l.path(digest))
	if err != nil {
		return nil, shield.Errorf(shield.PluginFailed, "plugin", "the module %s cannot be read: %w", digest, err)
	}
	if got := digestOf(module); got != digest {
		return nil, shield.Errorf(shield.Corrupt, "plugin", "the file of module %s has digest %s: it was changed; install the plugin again", digest, got)
	}
	return module, nil
}

func digestOf(module []byte) string {
	sum := sha256.Sum256(module)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// keep stores a module durably.
func (l *Library) keep(digest string, module []byte) error {
	if have, err := os.ReadFile(l.path(digest)); err == nil && digestOf(have) == digest {
		return nil
	}
	return durable.WriteFile(l.path(digest), module, nil)
}

// current returns the current module of a name, or nil.
func (l *Library) current(ctx context.Context, name string) (*shield.Module, error) {
	all, err := l.records.Modules(ctx)
	if err != nil {
		return nil, err
	}
	for _, m := range all {
		if m.Name == name && m.Current {
			return m, nil
		}
	}
	return nil, nil
}

// Inspect tells what installing a module would mean. Nothing of it runs but
// its info, without any capability. An empty name stands for the plugin's
// own.
func (l *Library) Inspect(ctx context.Context, name string, module []byte) (*plugin.Proposal, error) {
	p, err := l.describe(ctx, name, module)
	if err != nil {
		return nil, err
	}
	return p, l.checkFree(p)
}

func (l *Library) describe(ctx context.Context, name string, module []byte) (*plugin.Proposal, error) {
	if len(module) > ModuleLimit {
		return nil, shield.Errorf(shield.Invalid, "plugin", "the module has %d bytes: at most %d are allowed", len(module), ModuleLimit)
	}
	o, err := l.sandbox.Open(ctx, module, plugin.Grant{})
	if err != nil {
		return nil, err
	}
	info, err := o.Info(ctx)
	if err != nil {
		return nil, err
	}
	info.Digest = digestOf(module)
	if name == "" {
		name = info.Name
	}
	if err := shield.ValidateName("name", name); err != nil {
		return nil, err
	}
	current, err := l.current(ctx, name)
	if err != nil {
		return nil, err
	}
	return plugin.NewProposal(name, info, current)
}

// checkFree returns Conflict if a name that would be new stands for a plugin
// that is no module of ours.
func (l *Library) checkFree(p *plugin.Proposal) error {
	if slices.Contains(l.own, p.Name) {
		return &shield.Error{Code: shield.Conflict, Field: "name", Message: fmt.Sprintf("%q is the name of a plugin that is not a module: choose another", p.Name)}
	}
	return nil
}

// Install makes a module the current version of its plugin. What it asks for
// beyond the grant of the version before, all of it if there is none, must be
// agreed to by giving the module's digest as agreed; else Install returns
// Forbidden, says what that is, and changes nothing.
func (l *Library) Install(ctx context.Context, name string, module []byte, agreed string) (*shield.Module, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p, err := l.Inspect(ctx, name, module)
	if err != nil {
		return nil, err
	}
	if len(p.New) > 0 && agreed != p.Digest {
		return nil, &shield.Error{Code: shield.Forbidden, Field: "agree", Message: fmt.Sprintf("%s %s asks for more than it is granted: it %s", p.Name, p.Info.Version, strings.Join(p.New, "; "))}
	}
	return l.install(ctx, p, module, false)
}

// install records what a proposal says. The grant of the version before is
// widened by what is new, and otherwise kept as the operator made it.
func (l *Library) install(ctx context.Context, p *plugin.Proposal, module []byte, bundled bool) (*shield.Module, error) {
	needs, err := plugin.ParseCapabilities(p.Info.Capabilities)
	if err != nil {
		return nil, err
	}
	grant := plugin.GrantFor(needs)
	if current, err := l.current(ctx, p.Name); err != nil {
		return nil, err
	} else if current != nil {
		if grant, err = widen(current.Grant, needs); err != nil {
			return nil, err
		}
	}
	m := &shield.Module{Name: p.Name, Digest: p.Digest, Version: p.Info.Version, Bundled: bundled, Current: true}
	if m.Info, err = json.Marshal(p.Info); err != nil {
		return nil, err
	}
	if m.Grant, err = json.Marshal(grant); err != nil {
		return nil, err
	}
	if err := l.keep(p.Digest, module); err != nil {
		return nil, shield.Errorf(shield.Internal, "plugin", "the module cannot be stored: %w", err)
	}
	if err := l.records.InstallModule(ctx, m); err != nil {
		return nil, err
	}
	return m, l.refresh(ctx, p.Name)
}

// widen adds to a grant what needs has beyond it.
func widen(old json.RawMessage, needs plugin.Capabilities) (plugin.Grant, error) {
	grant, err := plugin.ParseGrant(old)
	if err != nil {
		return grant, err
	}
	more := plugin.GrantFor(plugin.Diff(grant.Bound(), needs))
	grant.TCP = append(grant.TCP, more.TCP...)
	grant.HTTP = append(grant.HTTP, more.HTTP...)
	grant.Read = append(grant.Read, more.Read...)
	grant.Write = append(grant.Write, more.Write...)
	grant.Own = append(grant.Own, more.Own...)
	for name, c := range more.Exec {
		if grant.Exec == nil {
			grant.Exec = map[string]plugin.Command{}
		}
		grant.Exec[name] = c
	}
	grant.Memory = max(grant.Memory, more.Memory)
	return grant, nil
}

// refresh registers all versions of a name anew.
func (l *Library) refresh(ctx context.Context, name string) error {
	all, err := l.records.Modules(ctx)
	if err != nil {
		return err
	}
	for _, m := range all {
		if m.Name != name {
			continue
		}
		if err := l.register(m); err != nil {
			return err
		}
	}
	return nil
}

// Bundle installs a module that came with the program, granted what it asks
// for, unless it is installed already or the operator installed another.
// load is called only if it is needed.
func (l *Library) Bundle(ctx context.Context, name, digest string, load func() ([]byte, error)) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	current, err := l.current(ctx, name)
	if err != nil || (current != nil && (current.Digest == digest || !current.Bundled)) {
		return err
	}
	module, err := load()
	if err != nil {
		return err
	}
	p, err := l.describe(ctx, name, module)
	if err != nil {
		return err
	}
	_, err = l.install(ctx, p, module, true)
	return err
}

// BundleSoon is Bundle in the background, since compiling a module takes a
// second or two. Modules are compiled one after another, but for those that
// somebody waits for.
func (l *Library) BundleSoon(ctx context.Context, name, digest string, load func() ([]byte, error)) error {
	p, err := l.bundle(ctx, name, digest, nil, load)
	if p != nil {
		p.begin()
	}
	return err
}

// BundleLater is BundleSoon for a module whose info is known: one that is not
// installed yet is not even compiled before it is used.
func (l *Library) BundleLater(ctx context.Context, name, digest string, info plugin.Info, load func() ([]byte, error)) error {
	info.Digest, info.Runs = digest, plugin.CarrierSandbox
	_, err := l.bundle(ctx, name, digest, &info, load)
	return err
}

// bundle returns what is left to be begun, if anything.
func (l *Library) bundle(ctx context.Context, name, digest string, info *plugin.Info, load func() ([]byte, error)) (*pending, error) {
	current, err := l.current(ctx, name)
	if err != nil || (current != nil && (current.Digest == digest || !current.Bundled)) {
		return nil, err
	}
	p := &pending{registry: l.registry, name: name, info: info, ready: make(chan struct{}), wanted: make(chan struct{})}
	p.begin = sync.OnceFunc(func() {
		l.pending.Go(func() {
			defer l.bundled.CompareAndDelete(name, p)
			defer close(p.ready)
			select {
			case l.turn <- struct{}{}:
				defer func() { <-l.turn }()
			case <-p.wanted: // not to wait for what nobody has asked for
			}
			p.err = l.bundleApart(ctx, name, digest, load)
		})
	})
	if current != nil {
		p.begin() // somebody has used the one before
		return nil, nil
	}
	l.registry.Replace(name, p)
	l.bundled.Store(name, p)
	return p, nil
}

// installed waits until a bundled module that was not used yet is installed.
func (l *Library) installed(ctx context.Context, name string) error {
	if p, ok := l.bundled.Load(name); ok {
		return p.(*pending).wait(ctx)
	}
	return nil
}

// bundleApart compiles the module before it takes the lock.
func (l *Library) bundleApart(ctx context.Context, name, digest string, load func() ([]byte, error)) error {
	module, err := load()
	if err != nil {
		return err
	}
	if _, err := l.sandbox.Open(ctx, module, plugin.Grant{}); err != nil {
		return err
	}
	return l.Bundle(ctx, name, digest, func() ([]byte, error) { return module, nil })
}

// WarmSoon makes modules ready in the background for whoever uses them first.
// Names that are of no module are ignored.
func (l *Library) WarmSoon(ctx context.Context, names ...string) {
	l.pending.Go(func() {
		for _, name := range names {
			l.warm(ctx, name)
		}
	})
}

// warm compiles the current module of a name, or takes it from the cache, and
// asks for its info. What is wrong with it, its first use will tell.
func (l *Library) warm(ctx context.Context, name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	m, err := l.current(ctx, name)
	if err != nil || m == nil {
		return
	}
	z, err := l.opener(m)
	if err != nil {
		return
	}
	if o, err := z.open(ctx); err == nil {
		_, _ = o.Info(ctx)
		l.enter(m, z)
	}
}

// Wait waits for what is being compiled in the background.
func (l *Library) Wait() { l.pending.Wait() }

// Grant replaces the grant of a plugin. The zero grant revokes everything.
func (l *Library) Grant(ctx context.Context, name string, grant plugin.Grant) error {
	if err := grant.Check(); err != nil {
		return err
	}
	if err := l.installed(ctx, name); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	text, err := json.Marshal(grant)
	if err != nil {
		return err
	}
	if err := l.records.GrantModule(ctx, name, text); err != nil {
		return err
	}
	return l.refresh(ctx, name)
}

// Remove removes a plugin with all its versions. It returns InUse, and
// removes nothing, while targets or stores use it or archives need one.
func (l *Library) Remove(ctx context.Context, name string) error {
	if err := l.installed(ctx, name); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	all, err := l.records.Modules(ctx)
	if err != nil {
		return err
	}
	var mine []*shield.Module
	for _, m := range all {
		if m.Name == name {
			mine = append(mine, m)
		}
	}
	if len(mine) == 0 {
		return shield.Errorf(shield.NotFound, "", "there is no module called %q", name)
	}
	// The current one comes first and goes last: it is the one that targets
	// and stores use.
	for i := len(mine) - 1; i >= 0; i-- {
		if err := l.remove(ctx, mine[i]); err != nil {
			return err
		}
	}
	l.registry.Remove(name, "")
	return nil
}

func (l *Library) remove(ctx context.Context, m *shield.Module) error {
	if err := l.records.RemoveModule(ctx, m.Name, m.Digest); err != nil {
		return err
	}
	l.registry.Remove(m.Name, m.Digest)
	return l.dropFiles(ctx)
}

// Sweep removes the versions that are not current and that nothing needs any
// more: neither an archive, nor a task that runs and may have begun with it.
// It also removes files that a crash has left behind.
func (l *Library) Sweep(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	all, err := l.records.Modules(ctx)
	if err != nil {
		return err
	}
	for _, m := range all {
		if m.Current {
			continue
		}
		if err := l.remove(ctx, m); err != nil && !errors.Is(err, shield.InUse) {
			return err
		}
	}
	return l.dropFiles(ctx)
}

// dropFiles removes the files that are no module's. One module may be
// installed under several names.
func (l *Library) dropFiles(ctx context.Context) error {
	all, err := l.records.Modules(ctx)
	if err != nil {
		return err
	}
	entries, err := os.ReadDir(l.dir)
	if err != nil {
		return shield.Errorf(shield.Internal, "plugin", "%w", err)
	}
	for _, e := range entries {
		digest, isModule := strings.CutSuffix(e.Name(), ".wasm")
		if !isModule && !strings.HasPrefix(e.Name(), durable.Prefix) {
			continue // not ours
		}
		if slices.ContainsFunc(all, func(m *shield.Module) bool { return m.Digest == "sha256:"+digest }) {
			continue
		}
		if err := os.Remove(filepath.Join(l.dir, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return shield.Errorf(shield.Internal, "plugin", "%w", err)
		}
	}
	return nil
}

// Modules returns all versions of all plugins in the library.
func (l *Library) Modules(ctx context.Context) ([]*shield.Module, error) {
	return l.records.Modules(ctx)
}
