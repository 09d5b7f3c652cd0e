package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/agent"
	"github.com/shieldhq/shield/archive"
	"github.com/shieldhq/shield/internal/pki"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/task"
)

// authorityFile is the key and certificate that agents are let in by.
const authorityFile = "agents-ca.pem"

// openAuthority reads the authority of agents, or makes it while there are
// none: a new one would lock out those that have joined.
func (d *Daemon) openAuthority(ctx context.Context) error {
	path := filepath.Join(d.config.Data, authorityFile)
	agents, err := d.catalog.Agents(ctx, shield.Filter{Limit: 1})
	if err != nil {
		return err
	}
	if _, err := ensure(path, pki.Generate, len(agents) == 0); err != nil {
		return err
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("a key cannot be read: %w", err)
	}
	if d.authority, err = pki.Parse(data); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// listenForAgents opens the listener of agents, if there is to be one.
func (d *Daemon) listenForAgents(ctx context.Context) (err error) {
	if d.config.AgentListen == "" {
		return nil
	}
	d.agentListener, err = (&net.ListenConfig{}).Listen(ctx, "tcp", d.config.AgentListen)
	if err != nil {
		return err
	}
	d.agentHTTP = &http.Server{
		Handler: d.agents.Handler(), TLSConfig: d.authority.DaemonServer(),
		ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(d.config.Log.Handler(), slog.LevelDebug), // of whoever knocks
	}
	return nil
}

// AgentAddr is the address that agents dial; empty if there is none.
func (d *Daemon) AgentAddr() string {
	if d.agentListener == nil {
		return ""
	}
	return d.agentListener.Addr().String()
}

// dispatcher makes what runs tasks here and on agents.
func (d *Daemon) dispatcher(runner *task.Runner, opts task.Options) *agent.Dispatcher {
	c := &d.config
	return agent.NewDispatcher(agent.DispatcherOptions{
		Catalog: d.catalog, Authority: d.authority, Plugins: d.plugins,
		Local: func(stores *plugin.Registry) agent.Local {
			if stores == nil {
				return runner
			}
			elsewhere := opts
			elsewhere.Stores = stores
			return runner.With(d.plugins, &elsewhere)
		},
		Modules: d.modulesOf, Module: d.library.Load, FileKey: d.fileKey, Seal: d.sealManifest,
		Disown:     d.disown,
		Share:      runner.Share,
		Recipients: d.keys.names, IdleTimeout: c.IdleTimeout, Grace: c.Grace, Release: c.Release,
		Life: c.AgentLife, Patience: c.AgentPatience, Unseen: c.AgentUnseen, Log: c.Log,
	})
}

func (d *Daemon) modulesOf(ctx context.Context, name, digest string) ([]agent.Module, error) {
	all, err := d.library.Versions(ctx, name, digest)
	if err != nil {
		return nil, err
	}
	var modules []agent.Module
	for _, m := range all {
		modules = append(modules, agent.Module{Name: m.Name, Digest: m.Digest, Info: m.Info, Grant: m.Grant})
	}
	return modules, nil
}

// fileKey gets the key of the one archive that a restore reads out of what the
// catalog knows of it.
func (d *Daemon) fileKey(t *shield.Task) ([]byte, error) {
	if t.Expected == nil || t.Expected.Seal == "" {
		return nil, shield.Errorf(shield.Invalid, "", "the catalog does not have the seal of archive %s, without which an agent cannot be given its key: restore it on the daemon", t.Archive)
	}
	return archive.FileKey([]byte(t.Expected.Seal), d.keys.identities...)
}

// sealManifest signs the manifest of a task's archive. What an agent has
// written is signed only where it agrees with what was ordered.
func (d *Daemon) sealManifest(t *shield.Task, data []byte) ([]byte, error) {
	var m archive.Manifest
	if err := json.Unmarshal(data, &m); err != nil {
		return nil, shield.FieldErrorf("manifest", "is not JSON: %v", err)
	}
	if m.Archive != t.Archive || m.TargetUUID != t.Target || m.StoreUUID != t.Store || m.JobUUID != t.Job || m.TargetPlugin != t.TargetPlugin {
		return nil, shield.Errorf(shield.Forbidden, "", "the manifest is not of the archive that was ordered")
	}
	if t.Unencrypted {
		m.Recipients = nil
		return archive.SealManifest(&m, d.keys.signing, nil)
	}
	m.Recipients = d.keys.names
	return archive.SealManifest(&m, d.keys.signing, d.keys.recipients)
}

// CreateAgentToken makes a token that one agent can join with, and returns it
// with its text.
func (d *Daemon) CreateAgentToken(ctx context.Context, t *shield.AgentToken, ttl time.Duration) (string, error) {
	if ttl <= 0 || ttl > shield.MaxTokenTTL {
		return "", shield.FieldErrorf("ttl", "is %s: up to %s is allowed", ttl, shield.MaxTokenTTL)
	}
	if t.Dial == "" && d.config.AgentListen == "" {
		return "", shield.FieldErrorf("dial", "is missing: this daemon does not listen for agents (shieldd --agent-listen), so it has to be told where to dial this one")
	}
	token := d.authority.NewToken()
	t.CreatedAt = time.Now().UTC()
	t.ExpiresAt = t.CreatedAt.Add(ttl)
	t.Digest = token.Digest()
	if err := d.catalog.CreateAgentToken(ctx, t); err != nil {
		return "", err
	}
	return token.Reveal(), nil
}

// disown has removed what an agent has left of a task that was its own.
func (d *Daemon) disown(ctx context.Context, a *shield.Agent, task string, epoch int64, keys []string) error {
	t, err := d.catalog.Task(ctx, task)
	if errors.Is(err, shield.NotFound) {
		return nil // nobody knows where that was stored
	}
	if err != nil {
		return err
	}
	if t.Agent == "" || t.Agent != a.Name && t.Agent != a.UUID && t.Agent != a.Dial {
		d.config.Log.Warn("an agent speaks of a task that is not its own", "agent", a.Name, "task", task)
		return nil
	}
	return d.scheduler.Disown(ctx, task, epoch, keys)
}

// placeStore looks up which agent reaches a task's store now.
func (d *Daemon) placeStore(ctx context.Context, t *shield.Task) error {
	if t.Store == "" {
		return nil
	}
	st, err := d.catalog.Store(ctx, t.Store)
	if errors.Is(err, shield.NotFound) {
		return nil
	}
	if err == nil {
		t.StoreAgent = st.Agent
	}
	return err
}

// LinkedAgent reports whether an agent is connected, and which tasks it runs.
func (d *Daemon) LinkedAgent(uuid string) (bool, []string) {
	return d.agents.Linked(uuid), d.agents.Running(uuid)
}

// DeleteAgent forgets an agent: its certificate is refused from then on, its
// connection ended, and with it the tasks that need it.
func (d *Daemon) DeleteAgent(ctx context.Context, ref string) error {
	a, err := d.catalog.Agent(ctx, ref)
	if err == nil {
		err = d.catalog.DeleteAgent(ctx, a.UUID)
	}
	if err == nil {
		d.agents.Drop(a.UUID, a.Name)
	}
	return err
}

// absent tells since when an agent is away for too long.
func (d *Daemon) absent(ctx context.Context, ref string) (string, error) {
	a, err := d.catalog.Agent(ctx, ref)
	if errors.Is(err, shield.NotFound) {
		return "", nil // the task will say so
	}
	if err != nil || !a.Unseen || d.agents.Linked(a.UUID) {
		return "", err
	}
	return fmt.Sprintf("agent %s, which reaches its target, is away since %s", a.Name, a.LastSeenAt.UTC().Format(time.RFC3339)), nil
}
