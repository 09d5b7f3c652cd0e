package daemon_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/agent"
	"github.com/shieldhq/shield/daemon"
	"github.com/shieldhq/shield/internal/agenthost"
	"github.com/shieldhq/shield/internal/faultproxy"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugin/plugintest"
	"github.com/shieldhq/shield/server"
)

// A farm is a daemon in this process that agents dial through a proxy which
// can be cut.
type farm struct {
	*system
	memory *plugintest.Memory // of the daemon
	gate   *gate              // as well
	config daemon.Config
	daemon *daemon.Daemon
	proxy  *faultproxy.TCP
	stop   func()
}

func newFarm(t *testing.T, change func(*daemon.Config)) *farm {
	t.Helper()
	f := &farm{system: &system{t: t, dir: t.TempDir()}, memory: plugintest.NewMemory()}
	f.gate = newGate(f.memory)
	f.config = daemon.Config{
		Data: f.path("data"), Listen: "127.0.0.1:0", AgentListen: "127.0.0.1:0", Grace: 5 * time.Second,
		Plugins: map[string]plugin.Opener{"memory": f.memory, "gate": f.gate},
		Log:     slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
	if change != nil {
		change(&f.config)
	}
	f.open()
	t.Cleanup(func() { f.stop() })
	f.proxy = faultproxy.StartTCP(t, f.daemon.AgentAddr())
	_, err := f.api.Schedules().Create(t.Context(), &shield.Schedule{Meta: shield.Meta{Name: "yearly"}, Timespec: "yearly"})
	f.check(err)
	_, err = f.api.Policies().Create(t.Context(), &shield.Policy{Meta: shield.Meta{Name: "week"}, Expiry: 7 * 86400})
	f.check(err)
	return f
}

func (f *farm) open() {
	f.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	d, err := daemon.Open(ctx, f.config)
	f.check(err)
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx, time.Second) }()
	f.daemon = d
	f.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			f.t.Error(err)
		}
	})
	f.api, err = server.NewClient(d.URL(), d.Token())
	f.check(err)
}

// set makes a job of a target and a store, all called alike.
func (f *farm) set(name string, t shield.Target, st shield.Store) {
	f.t.Helper()
	ctx, meta := f.t.Context(), shield.Meta{Name: name}
	t.Meta, st.Meta = meta, meta
	_, err := f.api.Targets().Create(ctx, &t)
	f.check(err)
	_, err = f.api.Stores().Create(ctx, &st)
	f.check(err)
	_, err = f.api.Jobs().Create(ctx, &shield.Job{Meta: meta, Target: name, Store: name, Schedule: "yearly", Policy: "week", Paused: true})
	f.check(err)
}

func at(agent, plugin, name string) shield.Target {
	return shield.Target{Plugin: plugin, Agent: agent, Endpoint: shield.Endpoint(`{"name":"` + name + `"}`)}
}

func into(agent, name string) shield.Store {
	return shield.Store{Plugin: "memory", Agent: agent, Endpoint: shield.Endpoint(`{"name":"` + name + `","password":"of the store"}`)}
}

// A site is an agent in this process, with plugins in memory of its own.
type site struct {
	f      *farm
	name   string
	opts   agent.Options
	memory *plugintest.Memory
	gate   *gate
	*spy
	ended chan error
	stop  func()
}

func (f *farm) token(name, dial string) shield.Secret {
	f.t.Helper()
	made, err := f.api.CreateAgentToken(f.t.Context(), server.AgentTokenRequest{Name: name, Dial: dial})
	f.check(err)
	return shield.Secret(made.Token)
}

// site makes an agent that dials the daemon; it is yet to be started.
func (f *farm) site(name string) *site {
	f.t.Helper()
	s := &site{f: f, name: name, memory: plugintest.NewMemory()}
	s.gate = newGate(s.memory)
	own := plugin.NewRegistry()
	own.Replace("memory", s.memory)
	own.Replace("gate", s.gate)
	log := slog.New(slog.NewTextHandler(f.t.Output(), nil)).With("agent", name)
	host, err := agenthost.New(context.Background(), agenthost.Options{Own: own, Dir: filepath.Join(f.dir, "agent-"+name), Grace: 5 * time.Second, Log: log})
	f.check(err)
	f.t.Cleanup(func() { _ = host.Close() })
	s.spy = &spy{Host: host}
	s.opts = agent.Options{
		Name: name, Core: "https://" + f.proxy.Addr(), Dir: filepath.Join(f.dir, "agent-"+name), Host: s.spy, Log: log,
		Proxy: func(*http.Request) (*url.URL, error) { return nil, nil },
	}
	return s
}

func (s *site) start() {
	s.f.t.Helper()
	s.launch(func(err error) {
		if err != nil {
			s.f.t.Errorf("agent %s: %v", s.name, err)
		}
	})
}

// launch runs an agent until it is stopped, and says then how it ended.
func (s *site) launch(told func(error)) {
	s.f.t.Helper()
	a, err := agent.New(s.opts)
	s.f.check(err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	s.ended = ended
	go func() { ended <- a.Run(ctx); close(ended) }()
	s.stop = sync.OnceFunc(func() {
		cancel()
		told(<-ended)
	})
	s.f.t.Cleanup(func() { s.stop() })
}

// join starts an agent with a new token and waits until it is connected.
func (f *farm) join(name string) *site {
	f.t.Helper()
	s := f.site(name)
	s.opts.Token = f.token(name, "")
	s.start()
	f.connected(name)
	return s
}

func (f *farm) connected(name string) {
	f.t.Helper()
	f.eventually(name+" is connected", func() bool {
		a, err := f.api.Agents().Get(f.t.Context(), name)
		return err == nil && a.Connected
	})
}

// records are the tasks that an agent keeps on its disk.
func (s *site) records() []string {
	entries, err := os.ReadDir(filepath.Join(s.opts.Dir, "tasks"))
	s.f.check(err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// restored restores the newest archive of a target to another one, and fails
// the test unless it ends well.
func (f *farm) restored(archive, target string) {
	f.t.Helper()
	t, err := f.api.Restore(f.t.Context(), archive, server.RestoreRequest{Target: target, Confirm: target})
	f.check(err)
	if t = f.wait(t); t.Status != shield.TaskDone {
		f.t.Errorf("restore: %s, %s\n%s", t.Status, t.Error, t.Log)
	}
}

func (f *farm) events(kind shield.EventKind) []*shield.Event {
	f.t.Helper()
	all, err := f.api.Events(f.t.Context(), nil)
	f.check(err)
	var some []*shield.Event
	for _, e := range all {
		if e.Kind == kind {
			some = append(some, e)
		}
	}
	return some
}

// A spy remembers the orders that an agent got, and may lie about results.
type spy struct {
	agent.Host
	mu      sync.Mutex
	running atomic.Int64
	orders  []*agent.Order
	lie     func(shield.Monitor, *shield.TaskResult)
	fail    error // in place of how a task ended
}

func (s *spy) Run(ctx context.Context, o *agent.Order, targets, stores *plugin.Registry, seal agent.Seal, m shield.Monitor) (shield.TaskResult, error) {
	s.running.Add(1)
	defer s.running.Add(-1)
	s.mu.Lock()
	s.orders = append(s.orders, o)
	lie, fail := s.lie, s.fail
	s.mu.Unlock()
	r, err := s.Host.Run(ctx, o, targets, stores, seal, m)
	if lie != nil {
		lie(m, &r)
	}
	if fail != nil {
		return r, fail
	}
	return r, err
}

// lies has the agent lie about results, or about how tasks end.
func (s *spy) lies(lie func(shield.Monitor, *shield.TaskResult), fail error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lie, s.fail = lie, fail
}

func (s *spy) last() *agent.Order {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.orders[len(s.orders)-1]
}

// A gate is a target that gives half of what is in memory, then waits until it
// is opened.
type gate struct {
	*plugintest.Memory
	mu      sync.Mutex
	halfway chan struct{} // closed when a backup is halfway
	open    chan struct{}
}

func newGate(m *plugintest.Memory) *gate {
	return &gate{Memory: m, halfway: make(chan struct{}), open: make(chan struct{})}
}

func (g *gate) Info(ctx context.Context) (plugin.Info, error) {
	i, err := g.Memory.Info(ctx)
	i.Name, i.Actions, i.Features.Store = "gate", nil, "no"
	return i, err
}

func (g *gate) OpenTarget(ctx context.Context, e shield.Endpoint, log plugin.Log) (plugin.Target, error) {
	t, err := g.Memory.OpenTarget(ctx, e, log)
	return gated{t, g}, err
}

type gated struct {
	plugin.Target
	g *gate
}

func (t gated) Backup(ctx context.Context, w io.Writer) error {
	half := strings.Repeat("half of it\n", 100_000)
	if _, err := io.WriteString(w, half); err != nil {
		return err
	}
	t.g.mu.Lock()
	select {
	case <-t.g.halfway:
	default:
		close(t.g.halfway)
	}
	t.g.mu.Unlock()
	select {
	case <-t.g.open:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	_, err := io.WriteString(w, half)
	return err
}
