// Package agenthost is what runs tasks in shield-agent: the plugins of the
// host, the sandbox for those that the daemon sends, and the runner, bounded
// by what the operator of the host allows.
package agenthost

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"filippo.io/age"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/agent"
	"github.com/shieldhq/shield/archive"
	"github.com/shieldhq/shield/internal/durable"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/task"
	"github.com/shieldhq/shield/wasmhost"
)

// Options configures a Host.
type Options struct {
	// Own are the plugins of this host.
	Own *plugin.Registry
	// Dir keeps modules and their compiled forms.
	Dir string
	// DenyCommands are names of commands that no plugin runs, whatever the
	// daemon grants.
	DenyCommands []string
	// AllowPaths are the folders below which plugins may read and write; none:
	// what the daemon grants.
	AllowPaths []string
	// Limit bounds the bytes a second of all tasks together.
	Limit shield.Limit
	Grace time.Duration
	// CompileApart is as in wasmhost.Options.
	CompileApart bool
	Log          *slog.Logger
}

// Host is an agent.Host.
type Host struct {
	opts    Options
	sandbox *wasmhost.Host
	runner  *task.Runner

	mu    sync.Mutex
	known map[string]plugin.Opener // by digest and grant
}

var (
	_ agent.Host   = (*Host)(nil)
	_ agent.Sharer = (*Host)(nil)
)

// New returns a Host. Close it.
func New(ctx context.Context, o Options) (*Host, error) {
	for n, p := range o.AllowPaths {
		if !filepath.IsAbs(p) {
			return nil, shield.FieldErrorf("allow-path", "%q is not absolute: a folder like /var/lib/redis is wanted", p)
		}
		o.AllowPaths[n] = filepath.Clean(p)
	}
	if err := task.CheckLimit(&o.Limit); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Join(o.Dir, "modules"), 0o700); err != nil {
		return nil, err
	}
	sandbox, err := wasmhost.New(ctx, &wasmhost.Options{
		CacheDir: filepath.Join(o.Dir, "cache"), Log: o.Log, CompileApart: o.CompileApart,
		Audit: func(e wasmhost.Event) {
			o.Log.Warn("a plugin tried what it is not granted", "plugin", e.Plugin, "op", e.Op, "capability", e.Capability, "tried", e.Text)
		},
	})
	if err != nil {
		return nil, err
	}
	return &Host{opts: o, sandbox: sandbox, runner: task.NewRunner(o.Own, nil), known: map[string]plugin.Opener{}}, nil
}

// Close frees the sandbox.
func (h *Host) Close() error { return h.sandbox.Close() }

// Own returns the plugins of this host.
func (h *Host) Own() plugin.Describer { return h.opts.Own }

// Plugins returns the host's plugins, and in front of them the modules.
func (h *Host) Plugins(ctx context.Context, modules []agent.Module, fetch agent.Fetch) (*plugin.Registry, error) {
	r := plugin.NewRegistry()
	for _, name := range h.opts.Own.Names() {
		o, err := h.opts.Own.Opener(name)
		if err != nil {
			return nil, err
		}
		r.Replace(name, o)
	}
	current := map[string]bool{}
	for _, m := range modules {
		o, err := h.open(ctx, m, fetch)
		if err != nil {
			return nil, fmt.Errorf("plugin %s: %w", m.Name, err)
		}
		r.ReplaceVersion(m.Name, m.Digest, o)
		if !current[m.Name] {
			current[m.Name] = true
			r.Replace(m.Name, o)
		}
	}
	return r, nil
}

// knownLimit bounds the modules that are kept ready.
const knownLimit = 64

func (h *Host) open(ctx context.Context, m agent.Module, fetch agent.Fetch) (plugin.Opener, error) {
	key := m.Digest + " " + string(m.Grant) + " " + m.Name
	h.mu.Lock()
	o := h.known[key]
	h.mu.Unlock()
	if o != nil {
		return o, nil
	}
	info, err := plugin.ParseInfo(m.Info)
	if err != nil {
		return nil, err
	}
	grant, err := plugin.ParseGrant(m.Grant)
	if err != nil {
		return nil, err
	}
	module, err := h.module(ctx, m.Digest, fetch)
	if err != nil {
		return nil, err
	}
	opened, err := h.sandbox.Open(ctx, module, h.narrow(grant))
	if err != nil {
		return nil, err
	}
	info.Digest, info.Runs = m.Digest, plugin.CarrierSandbox
	o = described{opened, info, grant}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.known) >= knownLimit {
		clear(h.known)
	}
	h.known[key] = o
	return o, nil
}

// described knows what a module says of itself without running it.
type described struct {
	plugin.Opener
	info  plugin.Info
	grant plugin.Grant
}

func (d described) Info(context.Context) (plugin.Info, error) { return d.info, nil }

// module returns a module from the folder, or from the daemon.
func (h *Host) module(ctx context.Context, digest string, fetch agent.Fetch) ([]byte, error) {
	name, ok := strings.CutPrefix(digest, "sha256:")
	if !ok || len(name) != 64 || strings.ContainsAny(name, "/\\.") {
		return nil, shield.FieldErrorf("digest", "%.80q is not sha256: and 64 hex digits", digest)
	}
	file := filepath.Join(h.opts.Dir, "modules", name+".wasm")
	if b, err := os.ReadFile(file); err == nil && agent.DigestOf(b) == digest {
		return b, nil
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	b, err := fetch(ctx, digest)
	if err != nil {
		return nil, err
	}
	return b, durable.WriteFile(file, b, nil)
}

// narrow takes from a grant what the operator of this host denies.
func (h *Host) narrow(g plugin.Grant) plugin.Grant {
	g.Exec = maps.Clone(g.Exec)
	for name, command := range g.Exec {
		if h.denied(name) || h.denied(command.Path) {
			delete(g.Exec, name)
		}
	}
	return g
}

// denied reports whether a command is denied, by its name or by that of the
// program that it leads to.
func (h *Host) denied(command string) bool {
	if command == "" {
		return false
	}
	real, err := filepath.EvalSymlinks(command)
	if err != nil {
		real = command
	}
	return slices.Contains(h.opts.DenyCommands, path.Base(command)) || slices.Contains(h.opts.DenyCommands, path.Base(real))
}

// Allow looks at what an endpoint reaches of this host.
func (h *Host) Allow(ctx context.Context, r *plugin.Registry, role plugin.Role, name string, e shield.Endpoint) error {
	info, err := r.Info(ctx, name)
	if err != nil {
		return err
	}
	if e, err = info.Resolve(role, e); err != nil {
		return err
	}
	all, err := plugin.ParseCapabilities(info.Capabilities)
	if err != nil {
		return err
	}
	c, err := all.Resolve(e)
	if err != nil {
		return err
	}
	for _, command := range c.Exec {
		// A module asks for more than it uses, and is stopped when it does.
		if info.Runs != plugin.CarrierSandbox && slices.Contains(h.opts.DenyCommands, path.Base(command)) {
			return shield.Errorf(shield.Forbidden, "", "%s runs the command %s, which this agent denies (--deny-command)", name, path.Base(command))
		}
	}
	folders := slices.Concat(c.Read, c.Write, c.Own)
	// What a module says of itself comes from the daemon: what bounds it is its
	// grant.
	bounds, err := h.grantedFolders(r, name, e)
	if err != nil {
		return err
	}
	for _, folder := range append(folders, bounds...) {
		if len(h.opts.AllowPaths) > 0 && !slices.ContainsFunc(h.opts.AllowPaths, func(p string) bool { return below(p, folder) }) {
			return shield.Errorf(shield.Forbidden, "", "%s would use %s, which is not below what this agent allows (--allow-path): %s", name, folder, strings.Join(h.opts.AllowPaths, ", "))
		}
	}
	return nil
}

// grantedFolders are those that the grant of a module has for an endpoint.
func (h *Host) grantedFolders(r *plugin.Registry, name string, e shield.Endpoint) ([]string, error) {
	o, err := r.Opener(name)
	if err != nil {
		return nil, err
	}
	d, is := o.(described)
	if !is {
		return nil, nil
	}
	c, err := d.grant.Bound().Resolve(e)
	return slices.Concat(c.Read, c.Write, c.Own), err
}

// below reports whether a folder is another, or in it, by where its symlinks
// lead.
func below(parent, folder string) bool {
	folder, parent = real(filepath.Clean(folder)), real(filepath.Clean(parent))
	rel, err := filepath.Rel(parent, folder)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, "../")
}

// Share has the limit of a store count by a share of it.
func (h *Host) Share(store string, share float64) { h.runner.Share(store, share) }

// Run runs the task of an order.
func (h *Host) Run(ctx context.Context, o *agent.Order, targets, stores *plugin.Registry, seal agent.Seal, m shield.Monitor) (shield.TaskResult, error) {
	opts := &task.Options{
		FileKey: o.FileKey, Stores: stores, Limit: h.opts.Limit, Ahead: o.Ahead,
		IdleTimeout: time.Duration(o.IdleTimeout) * time.Second, Grace: h.opts.Grace,
		Seal: func(ctx context.Context, m *archive.Manifest) ([]byte, error) {
			data, err := json.Marshal(m)
			if err != nil {
				return nil, err
			}
			return seal(ctx, data)
		},
	}
	for _, text := range o.Recipients {
		r, err := age.ParseX25519Recipient(text)
		if err != nil {
			return shield.TaskResult{}, shield.FieldErrorf("recipients", "%.100q: %v", text, err)
		}
		opts.Recipients, opts.RecipientNames = append(opts.Recipients, r), append(opts.RecipientNames, text)
	}
	return h.runner.With(targets, opts).Run(ctx, o.Task, m)
}

// real is where a path leads, of which the end need not exist yet.
func real(name string) string {
	if led, err := filepath.EvalSymlinks(name); err == nil || name == filepath.Dir(name) {
		return cmp.Or(led, name)
	}
	return filepath.Join(real(filepath.Dir(name)), filepath.Base(name))
}
