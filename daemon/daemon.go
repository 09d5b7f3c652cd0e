package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
	_ "time/tzdata" // hosts and images without zone files have schedules too

	"github.com/google/uuid"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/agent"
	"github.com/shieldhq/shield/catalog"
	"github.com/shieldhq/shield/internal/bundled"
	"github.com/shieldhq/shield/internal/pki"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugin/exec"
	"github.com/shieldhq/shield/plugin/library"
	"github.com/shieldhq/shield/plugins-wasm/fs/fs"
	"github.com/shieldhq/shield/scheduler"
	"github.com/shieldhq/shield/scheduler/timespec"
	"github.com/shieldhq/shield/server"
	"github.com/shieldhq/shield/task"
	"github.com/shieldhq/shield/wasmhost"
)

// Daemon is an open system. Make one with Open.
type Daemon struct {
	config    Config
	keys      *keys
	lock      *os.File
	catalog   *catalog.DB
	plugins   *plugin.Registry
	sandbox   *wasmhost.Host
	library   *library.Library
	scheduler *scheduler.Scheduler
	server    *server.Server
	listener  net.Listener
	http      *http.Server
	tls       *certificate // nil: the API speaks plain HTTP

	authority     *pki.Authority
	agents        *agent.Dispatcher
	agentListener net.Listener // nil if agents do not dial
	agentHTTP     *http.Server

	denials  sync.WaitGroup // events that are being recorded
	sweeping sync.WaitGroup
	sealing  sync.Mutex // held while the keyring is read, and while secrets are sealed anew
	closing  sync.Once
	closed   error
}

// Open makes or opens the data folder, takes its lock and listens, but
// neither serves nor runs tasks: that is Run's. It returns Conflict if
// another daemon has the folder.
func Open(ctx context.Context, c Config) (*Daemon, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(c.Data, 0o700); err != nil {
		return nil, fmt.Errorf("the data folder cannot be made: %w", err)
	}
	d := &Daemon{config: c}
	if err := d.open(ctx); err != nil {
		return nil, errors.Join(err, d.release())
	}
	return d, nil
}

func (d *Daemon) open(ctx context.Context) (err error) {
	c := &d.config
	if d.lock, err = lock(filepath.Join(c.Data, lockFile)); err != nil {
		return err
	}
	if d.keys, err = openKeys(c); err != nil {
		return err
	}
	if c.TLSCert != "" {
		if d.tls, err = openCertificate(c.TLSCert, c.TLSKey, c.Log); err != nil {
			return err
		}
	}
	if d.plugins, err = Registry(c); err != nil {
		return err
	}
	if d.catalog, err = catalog.Open(ctx, filepath.Join(c.Data, catalogFile), nil); err != nil {
		return err
	}
	if err := d.openLibrary(ctx); err != nil {
		return err
	}
	// Nobody is at work yet who might seal with an old key.
	if err := d.sealAll(ctx, time.Now().Add(time.Hour)); err != nil {
		c.Log.Error("secrets are not sealed with the new key yet: the old keys stay", "err", err)
	}
	if err := d.openAuthority(ctx); err != nil {
		return err
	}
	d.assemble()
	if err := d.listenForAgents(ctx); err != nil {
		return err
	}
	d.listener, err = (&net.ListenConfig{}).Listen(ctx, "tcp", c.Listen)
	return err
}

// openLibrary makes the sandbox and opens the library of modules. A use of
// what was not granted becomes an event.
func (d *Daemon) openLibrary(ctx context.Context) (err error) {
	c := &d.config
	d.sandbox, err = wasmhost.New(ctx, &wasmhost.Options{
		CacheDir: c.Cache, Log: c.Log, CompileApart: c.CompileApart,
		Audit: func(e wasmhost.Event) { d.denials.Go(func() { d.audit(context.WithoutCancel(ctx), e) }) },
	})
	if err != nil {
		return err
	}
	own := d.plugins.Names()
	d.library, err = library.Open(ctx, filepath.Join(c.Data, pluginsDir), d.catalog, d.sandbox, d.plugins)
	if err == nil && c.Sandbox != SandboxNever {
		err = d.bundle(ctx, own)
	}
	if err != nil {
		return err
	}
	return d.warm(ctx)
}

// warm makes the modules ready that targets and stores use.
func (d *Daemon) warm(ctx context.Context) error {
	targets, err := d.catalog.Targets(ctx, shield.Filter{})
	if err != nil {
		return err
	}
	stores, err := d.catalog.Stores(ctx, shield.Filter{})
	if err != nil {
		return err
	}
	used := map[string]bool{}
	for _, t := range targets {
		used[t.Plugin] = true
	}
	for _, s := range stores {
		used[s.Plugin] = true
	}
	d.library.WarmSoon(context.WithoutCancel(ctx), slices.Sorted(maps.Keys(used))...)
	return nil
}

// bundle makes the bundled plugins available as modules, but for those whose
// names the config gives to its own.
func (d *Daemon) bundle(ctx context.Context, own []string) error {
	modules, err := bundled.Modules()
	if err != nil {
		return err
	}
	if len(modules) == 0 && d.config.Sandbox == SandboxAlways {
		return shield.Errorf(shield.Invalid, "", "the bundled plugins cannot be sandboxed: %w", bundled.ErrNotBuilt)
	}
	if len(modules) == 0 {
		d.config.Log.Warn("the bundled plugins run outside of the sandbox", "why", bundled.ErrNotBuilt)
	}
	for _, m := range modules {
		for _, name := range append([]string{m.Name}, otherNames[m.Name]...) {
			if slices.Contains(own, name) {
				continue
			}
			if err := d.bundleOne(context.WithoutCancel(ctx), name, m); err != nil {
				return err
			}
		}
	}
	return nil
}

// otherNames are those under which configurations of the original shield know
// a plugin. It is never written to.
var otherNames = map[string][]string{"redis": {"redis-broker"}, "rabbitmq": {"rabbitmq-broker"}}

// bundleOne has the plugin that nearly everybody uses compiled at once, any
// other when it is first used.
func (d *Daemon) bundleOne(ctx context.Context, name string, m bundled.Module) error {
	if m.Name == "fs" {
		return d.library.BundleSoon(ctx, name, m.Digest, m.Load)
	}
	info, err := plugin.ParseInfo(m.Info)
	if err != nil {
		return fmt.Errorf("bundled plugin %s: %w", m.Name, err)
	}
	return d.library.BundleLater(ctx, name, m.Digest, info, m.Load)
}

func (d *Daemon) audit(ctx context.Context, e wasmhost.Event) {
	name := d.installedAs(ctx, e)
	d.config.Log.Warn("a plugin tried what it is not granted", "plugin", name, "digest", e.Digest, "op", e.Op, "capability", e.Capability, "tried", e.Text)
	err := d.catalog.RecordEvent(ctx, &shield.Event{Kind: shield.EventPluginDenied, Subject: name, Message: e.Op + ": " + e.Text})
	if err != nil {
		d.config.Log.Error("an event was not recorded", "err", err)
	}
}

// installedAs returns the name that a plugin is installed under. What it calls
// itself may be the name of another.
func (d *Daemon) installedAs(ctx context.Context, e wasmhost.Event) string {
	all, err := d.catalog.Modules(ctx)
	if err != nil {
		return e.Plugin
	}
	for _, m := range all {
		if m.Digest == e.Digest {
			return m.Name
		}
	}
	return e.Plugin
}

// assemble makes runner, scheduler and server.
func (d *Daemon) assemble() {
	c, k := &d.config, d.keys
	opts := task.Options{
		Recipients: k.recipients, RecipientNames: k.names, Identities: k.identities, SigningKey: k.signing,
		IdleTimeout: c.IdleTimeout, Grace: c.Grace,
	}
	runner := task.NewRunner(d.plugins, &opts)
	d.agents = d.dispatcher(runner, opts)
	d.scheduler = scheduler.New(d.catalog, d.agents, &scheduler.Options{
		Owner: "daemon-" + uuid.NewString(), Exclusive: true, Timeout: c.Timeout,
		Limit: c.Limit, AgentLimit: c.AgentLimit, Attempts: c.Attempts, Backoff: c.Backoff,
		EveryMinute: c.Dev, Reveal: d.reveal, Content: d.agents, Absent: d.absent, Log: c.Log,
	})
	d.server = server.New(d.catalog, d.scheduler, d.plugins, k.ring, server.Options{
		Token: k.token, Release: c.Release, Mode: c.mode(), Timezone: c.Timezone,
		CheckSchedule: checkSchedule, CheckLimit: task.CheckLimit, Changed: d.scheduler.Changed,
		Library: d.library, Agents: d, Proxies: c.proxies, Patience: c.AnswerTimeout, Log: c.Log,
	})
	d.http = &http.Server{
		Handler: withUI(d.server, c.AnswerTimeout), ReadHeaderTimeout: c.HeaderTimeout, ReadTimeout: c.BodyTimeout,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(c.Log.Handler(), slog.LevelDebug), // what is wrong with the connections of others
	}
}

// Registry returns the bundled plugins as they are compiled in, unless they
// are to be sandboxed and can be, those of the config, the executables of the
// plugin folders, and those that come with the program.
func Registry(c *Config) (*plugin.Registry, error) {
	r := plugin.NewRegistry()
	modules, err := bundled.Modules()
	if err != nil {
		return nil, err
	}
	if c.Sandbox == SandboxNever || len(modules) == 0 {
		r.Replace("fs", fs.Plugin())
	}
	for name, o := range c.Plugins {
		if err := shield.ValidateName("plugin", name); err != nil {
			return nil, err
		}
		r.Replace(name, o)
	}
	for _, dir := range c.PluginDirs {
		if err := registerDir(r, dir, c.Grace); err != nil {
			return nil, err
		}
	}
	taken := r.Names()
	for name, o := range c.Native {
		if err := shield.ValidateName("plugin", name); err != nil {
			return nil, err
		}
		if !slices.Contains(taken, name) {
			r.Replace(name, o)
		}
	}
	return r, nil
}

// killAfter is when an executable that was told to end is made to, at most.
// The runner must see that it has ended, so it is less than the grace.
const killAfter = 5 * time.Second

func registerDir(r *plugin.Registry, dir string, grace time.Duration) error {
	opts := &exec.Options{Grace: killAfter}
	if grace > 0 {
		opts.Grace = min(killAfter, grace/2)
	}

	entries, err := os.ReadDir(dir)
	if err != nil {
		return shield.FieldErrorf("plugin-dir", "%v", err)
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		st, err := os.Stat(path)
		if err != nil || !st.Mode().IsRegular() || st.Mode()&0o111 == 0 {
			continue
		}
		o, err := exec.Open(path, opts)
		if err != nil {
			return err
		}
		if err := r.Register(e.Name(), o); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return nil
}

// reveal opens the sealed secrets of a task's endpoints, and finds out where
// its store is.
func (d *Daemon) reveal(t *shield.Task) error {
	err := d.placeStore(context.Background(), t)
	if err != nil {
		return err
	}
	if t.Target != "" {
		if t.TargetEndpoint, err = d.keys.ring.Reveal(t.Target, t.TargetEndpoint); err != nil {
			return err
		}
	}
	if t.Store != "" {
		t.StoreEndpoint, err = d.keys.ring.Reveal(t.Store, t.StoreEndpoint)
	}
	return err
}

func checkSchedule(s *shield.Schedule) error {
	made, err := timespec.New(s)
	if err != nil {
		return err
	}
	if made.Next(time.Now(), "").IsZero() {
		return shield.FieldErrorf("timespec", "%q is over: a time to come is wanted", s.Timespec)
	}
	return nil
}

// Addr is the address that the API listens on.
func (d *Daemon) Addr() string { return d.listener.Addr().String() }

// URL is the base address for clients.
func (d *Daemon) URL() string {
	if d.tls != nil {
		return "https://" + d.Addr()
	}
	return "http://" + d.Addr()
}

// Token is what clients must present. NewToken reports whether it was made
// just now.
func (d *Daemon) Token() shield.Secret { return d.keys.token }

// NewToken reports whether Open made the token.
func (d *Daemon) NewToken() bool { return d.keys.newToken }

// TokenPath is the file that keeps the token.
func (d *Daemon) TokenPath() string { return filepath.Join(d.config.Data, tokenFile) }

// Catalog returns the catalog, for programs that embed the daemon.
func (d *Daemon) Catalog() shield.Catalog { return d.catalog }

// Scheduler returns the scheduler, for programs that embed the daemon.
func (d *Daemon) Scheduler() shield.Scheduler { return d.scheduler }

// Run serves the API and runs tasks until ctx is done, then stops: no new
// tasks, grace for those that run, then they are canceled and clean up.
// Run closes the daemon.
func (d *Daemon) Run(ctx context.Context, grace time.Duration) error {
	// Being told to stop meanwhile is no failure of starting.
	if err := d.scheduler.Start(context.WithoutCancel(ctx)); err != nil {
		return errors.Join(err, d.Close())
	}
	if d.config.Dev {
		d.config.Log.Warn("MODE DEV: EVERY SCHEDULE MEANS EVERY MINUTE, whatever it says; unset SHIELD_MODE for real backups")
	}
	d.config.Log.Info("shield is ready", "api", d.URL(), "data", d.config.Data, "plugins", d.plugins.Names())
	sweeping, stopSweeping := context.WithCancel(context.WithoutCancel(ctx))
	defer stopSweeping()
	d.sweeping.Go(func() { d.sweep(sweeping) })
	d.agents.Start()
	if d.config.AgentStatus > 0 {
		d.sweeping.Go(func() { d.askAgents(sweeping) })
	}
	served := make(chan error, 2)
	if d.agentListener != nil {
		d.config.Log.Info("agents can connect", "address", d.AgentAddr())
		go func() { served <- d.agentHTTP.ServeTLS(d.agentListener, "", "") }()
	}
	if d.tls != nil {
		d.sweeping.Go(func() { d.tls.watch(sweeping) })
	}
	d.sweeping.Go(func() { d.watchKeys(sweeping) })
	go func() { served <- d.serve() }()
	var err error
	select {
	case err = <-served:
	case <-ctx.Done():
	}
	d.server.Close()
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	err = errors.Join(ignoreClosed(err), d.scheduler.Stop(stop))
	stopSweeping()
	return errors.Join(err, d.Close())
}

func (d *Daemon) serve() error {
	if d.tls == nil {
		return d.http.Serve(d.listener)
	}
	d.http.TLSConfig = d.tls.config()
	return d.http.ServeTLS(d.listener, "", "")
}

// sweep removes, from time to time, the modules that nothing needs any more.
// What is in use stays until the next time.
func (d *Daemon) sweep(ctx context.Context) {
	for t := time.NewTicker(d.config.SweepEvery); ; {
		if err := d.library.Sweep(ctx); err != nil && ctx.Err() == nil {
			d.config.Log.Error("old plugin modules were not removed", "err", err)
		}
		d.trySealAll(ctx)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return
		}
	}
}

func ignoreClosed(err error) error {
	if errors.Is(err, http.ErrServerClosed) || errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// Close releases everything at once. Tasks that still run are canceled.
func (d *Daemon) Close() error {
	d.closing.Do(func() { d.closed = d.release() })
	return d.closed
}

func (d *Daemon) release() error {
	var errs []error
	if d.scheduler != nil {
		now, cancel := context.WithCancel(context.Background())
		cancel()
		errs = append(errs, d.scheduler.Stop(now))
	}
	if d.agents != nil {
		d.agents.Close()
	}
	if d.agentHTTP != nil {
		errs = append(errs, d.agentHTTP.Close())
	}
	if d.agentListener != nil {
		errs = append(errs, ignoreClosed(d.agentListener.Close()))
	}
	if d.http != nil {
		errs = append(errs, d.http.Close())
	}
	if d.listener != nil {
		errs = append(errs, ignoreClosed(d.listener.Close()))
	}
	d.sweeping.Wait()
	if d.library != nil {
		d.library.Wait()
	}
	if d.sandbox != nil {
		errs = append(errs, d.sandbox.Close())
	}
	d.denials.Wait()
	if d.catalog != nil {
		errs = append(errs, d.catalog.Close())
	}
	if d.lock != nil {
		errs = append(errs, d.lock.Close())
	}
	return errors.Join(errs...)
}
