// Package agent is both ends of agents: Agent runs tasks beside the data, and
// Dispatcher is the shield.Runner of a daemon that places tasks on agents.
//
// An agent joins once, with a token that names the daemon's certificate
// authority, and gets a certificate. From then on both ends know each other by
// certificates (mutual TLS). Over one connection, which either may open, the
// daemon calls an HTTP API of the agent; bytes that have to go through the
// daemon take HTTPS requests of their own. docs/agents.md tells all of it.
package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
)

// A Host is what runs tasks where an Agent is.
type Host interface {
	// Own are the plugins of the host itself.
	Own() plugin.Describer
	// Plugins returns the host's plugins and modules of the daemon's, of which
	// those that the host lacks are fetched.
	Plugins(ctx context.Context, modules []Module, fetch Fetch) (*plugin.Registry, error)
	// Allow returns Forbidden for an endpoint that the host's operator does
	// not let a daemon use.
	Allow(ctx context.Context, r *plugin.Registry, role plugin.Role, name string, e shield.Endpoint) error
	// Run runs the task of an order with plugins for targets and for stores.
	// seal signs and seals the manifest of a backup, given as JSON.
	Run(ctx context.Context, o *Order, targets, stores *plugin.Registry, seal Seal, m shield.Monitor) (shield.TaskResult, error)
}

// Fetch returns the module of a digest from the daemon.
type Fetch func(ctx context.Context, digest string) ([]byte, error)

// Seal has the daemon sign and seal a manifest.
type Seal func(ctx context.Context, manifest []byte) ([]byte, error)

// Options configures an Agent.
type Options struct {
	Name string
	// Core is the daemon's address for agents, like https://backup:7644. It is
	// not wanted with Listen.
	Core string
	// Listen is where the daemon dials this agent; empty: it dials the daemon.
	Listen string
	// Token is what it joins with. Once it has joined, it is not looked at,
	// unless its certificate has expired.
	Token shield.Secret
	// Dir is the folder of its key, its certificate and its results.
	Dir string
	// Limit is how many tasks it runs at once; 0: as many as the daemon gives.
	Limit int
	// StopTimeout is how long running tasks may clean up when it is stopped.
	StopTimeout time.Duration
	// Release is the version of the program.
	Release string
	// Proxy says which proxy a request takes; nil: as the environment says.
	Proxy func(*http.Request) (*url.URL, error)
	Host  Host
	Log   *slog.Logger
	// Joined and Ready, if not nil, are called when it has joined, and with the
	// address that it listens on.
	Joined func()
	Ready  func(address string)
}

// DefaultStopTimeout is how long running tasks may clean up.
const DefaultStopTimeout = 30 * time.Second

// An Agent runs tasks beside the data. Make one with New.
type Agent struct {
	opts     Options
	log      *slog.Logger
	instance string
	state    *state
	lock     *os.File
	core     *url.URL
	daemon   *caller
	lent     lending
	proxy    func(*http.Request) (*url.URL, error)

	mu       sync.Mutex
	tasks    map[string]*held // by ref
	stopping bool
	running  sync.WaitGroup
}

// New opens an agent's folder. It returns Conflict if another agent uses it.
func New(o Options) (*Agent, error) {
	a := &Agent{opts: o, log: o.Log, instance: uuid.NewString(), tasks: map[string]*held{}, proxy: o.Proxy}
	if a.log == nil {
		a.log = slog.New(slog.DiscardHandler)
	}
	if a.proxy == nil {
		a.proxy = http.ProxyFromEnvironment
	}
	a.opts.StopTimeout = cmp.Or(o.StopTimeout, DefaultStopTimeout)
	if err := a.check(); err != nil {
		return nil, err
	}
	if err := a.open(); err != nil {
		if a.lock != nil {
			_ = a.lock.Close()
		}
		return nil, err
	}
	a.daemon = newCaller(a)
	return a, nil
}

func (a *Agent) check() (err error) {
	o := &a.opts
	if err := shield.ValidateName("name", o.Name); err != nil {
		return err
	}
	if o.Dir == "" {
		return shield.FieldErrorf("state", "is missing: the folder for the agent's key and results is wanted")
	}
	if o.Limit < 0 {
		return shield.FieldErrorf("limit", "is %d: it cannot be negative", o.Limit)
	}
	if (o.Core == "") == (o.Listen == "") {
		return shield.FieldErrorf("core", "is %q and listen is %q: one of them is wanted, the daemon's address or where to listen for it", o.Core, o.Listen)
	}
	if o.Listen != "" {
		return nil
	}
	a.core, err = url.Parse(o.Core)
	if err != nil || a.core.Scheme != "https" || a.core.Host == "" || (a.core.Path != "" && a.core.Path != "/") {
		return shield.FieldErrorf("core", "%q is not the address of a daemon: a URL like https://backup.example.com:7644 is wanted", o.Core)
	}
	return nil
}

func (a *Agent) open() (err error) {
	if a.opts.Dir, err = filepath.Abs(a.opts.Dir); err != nil {
		return err
	}
	if a.state, err = openState(a.opts.Dir); err != nil {
		return err
	}
	if a.lock, err = lockFile(filepath.Join(a.opts.Dir, lockName)); err != nil {
		return err
	}
	left, err := a.state.records()
	if err != nil {
		return err
	}
	for _, r := range left {
		h := newHeld(r.Held)
		if r.Result == nil {
			r.Ended, r.Result = true, died(&r.Held)
			if err := a.state.record(r); err != nil {
				return err
			}
		}
		h.end(r.Result)
		a.tasks[r.ref()] = h
	}
	return nil
}

// Run joins if that is yet to be done, and serves the daemon until ctx is
// done. Then running tasks are ended and clean up; what became of them is told
// at the next start. An error is one that does not pass.
func (a *Agent) Run(ctx context.Context) error {
	defer a.lock.Close()
	serve := a.dialOut
	if a.opts.Listen != "" {
		serve = a.listen
	}
	work, cancel := context.WithCancel(ctx)
	defer cancel()
	renewing := make(chan struct{})
	go func() { defer close(renewing); a.renew(work) }()
	err := serve(work)
	cancel()
	<-renewing
	a.stop()
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil
	}
	return err
}

// stop ends what runs.
func (a *Agent) stop() {
	a.mu.Lock()
	a.stopping = true
	a.mu.Unlock()
	a.cancelAll(shield.Errorf(shield.Interrupted, "", "interrupted: the agent was stopped"))
	ended := make(chan struct{})
	go func() { a.running.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(a.opts.StopTimeout):
		a.log.Warn("tasks have not ended in time: the daemon is told at the next start", "after", a.opts.StopTimeout)
	}
}

// cancelAll ends what runs at this moment.
func (a *Agent) cancelAll(cause error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, h := range a.tasks {
		h.cancel(cause)
	}
}

func (a *Agent) hello(ctx context.Context) *Hello {
	h := &Hello{
		Name: a.opts.Name, Instance: a.instance, Release: a.opts.Release, Protocol: Protocol,
		OS: runtime.GOOS + "/" + runtime.GOARCH, Limit: a.opts.Limit,
		Plugins: plugin.Offers(ctx, a.opts.Host.Own(), error.Error), Tasks: []Held{},
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, t := range a.tasks {
		h.Tasks = append(h.Tasks, t.about())
	}
	h.Now = time.Now().UTC() // last: asking the plugins takes time
	return h
}

// fetch gets a module and checks that it is what was asked for.
func (a *Agent) fetch(ctx context.Context, digest string) ([]byte, error) {
	module, err := a.daemon.get(ctx, "/v1/modules/"+digest, moduleLimit)
	if err != nil {
		return nil, fmt.Errorf("the module %s: %w", digest, err)
	}
	if got := DigestOf(module); got != digest {
		return nil, shield.Errorf(shield.Corrupt, "", "the daemon sent a module with digest %s, wanted was %s", got, digest)
	}
	return module, nil
}
