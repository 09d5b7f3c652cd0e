package agent_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/agent"
	"github.com/shieldhq/shield/catalog"
	"github.com/shieldhq/shield/internal/pki"
	"github.com/shieldhq/shield/plugin"
)

// A core is a dispatcher with what it needs, that agents can dial.
type core struct {
	t          *testing.T
	catalog    *catalog.DB
	authority  *pki.Authority
	dispatcher *agent.Dispatcher
	url        string
}

func newCore(t *testing.T, change func(*agent.DispatcherOptions)) *core {
	t.Helper()
	c := &core{t: t}
	var err error
	c.catalog, err = catalog.Open(t.Context(), filepath.Join(t.TempDir(), "catalog.db"), nil)
	c.check(err)
	t.Cleanup(func() { _ = c.catalog.Close() })
	data, err := pki.Generate()
	c.check(err)
	c.authority, err = pki.Parse(data)
	c.check(err)
	o := agent.DispatcherOptions{
		Catalog: c.catalog, Authority: c.authority, Plugins: plugin.NewRegistry(),
		Modules: func(context.Context, string, string) ([]agent.Module, error) { return nil, nil },
		Disown:  func(context.Context, *shield.Agent, string, int64, []string) error { return nil },
		Grace:   time.Second,
	}
	if change != nil {
		change(&o)
	}
	c.dispatcher = agent.NewDispatcher(o)
	c.dispatcher.Start()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	c.check(err)
	s := &http.Server{Handler: c.dispatcher.Handler(), TLSConfig: c.authority.DaemonServer(), ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0)}
	go func() { _ = s.ServeTLS(l, "", "") }()
	t.Cleanup(func() { c.dispatcher.Close(); _ = s.Close() })
	c.url = "https://" + l.Addr().String()
	return c
}

func (c *core) check(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

// join starts an agent with a new token.
func (c *core) join(name string, h agent.Host) {
	c.t.Helper()
	a, err := agent.New(agent.Options{
		Name: name, Core: c.url, Token: c.token(name), Dir: c.t.TempDir(), Host: h,
		Proxy: func(*http.Request) (*url.URL, error) { return nil, nil },
	})
	c.check(err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	c.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			c.t.Errorf("agent %s: %v", name, err)
		}
	})
}

func (c *core) until(what string, ok func() bool) {
	c.t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if ok() {
			return
		}
	}
	c.t.Fatalf("not within a minute: %s", what)
}

func (c *core) linked(name string) bool {
	a, err := c.catalog.Agent(c.t.Context(), name)
	return err == nil && c.dispatcher.Linked(a.UUID)
}

// idle is a host without plugins that remembers the orders it ran.
type idle struct {
	mu     sync.Mutex
	orders []*agent.Order
}

func (*idle) Own() plugin.Describer { return plugin.NewRegistry() }

func (*idle) Plugins(context.Context, []agent.Module, agent.Fetch) (*plugin.Registry, error) {
	return plugin.NewRegistry(), nil
}

func (*idle) Allow(context.Context, *plugin.Registry, plugin.Role, string, shield.Endpoint) error {
	return nil
}

func (h *idle) Run(_ context.Context, o *agent.Order, _, _ *plugin.Registry, _ agent.Seal, _ shield.Monitor) (shield.TaskResult, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.orders = append(h.orders, o)
	return shield.TaskResult{}, nil
}

// TestManyAgents connects 200 at once.
func TestManyAgents(t *testing.T) {
	t.Parallel()
	const many = 200
	c := newCore(t, nil)
	for n := range many {
		c.join(fmt.Sprintf("agent-%d", n), &idle{})
	}
	c.until("all are connected", func() bool {
		n := 0
		for i := range many {
			if c.linked(fmt.Sprintf("agent-%d", i)) {
				n++
			}
		}
		return n == many
	})
}

// TestRenewal lets a certificate come to two thirds of its life: the agent gets
// another, and is let in with it when the first has expired.
func TestRenewal(t *testing.T) {
	t.Parallel()
	c := newCore(t, func(o *agent.DispatcherOptions) { o.Life = 3 * time.Second })
	c.join("a", &idle{})
	c.until("it is connected", func() bool { return c.linked("a") })
	first, err := c.catalog.Agent(t.Context(), "a")
	c.check(err)
	c.until("the first certificate has expired", func() bool { return time.Now().After(first.ExpiresAt.Add(time.Second)) })
	now, err := c.catalog.Agent(t.Context(), "a")
	c.check(err)
	if !now.ExpiresAt.After(first.ExpiresAt) {
		t.Errorf("the certificate is still the one until %s", first.ExpiresAt)
	}
	c.dispatcher.Drop(first.UUID, "a")
	c.until("it is back", func() bool { return c.linked("a") })
}

// TestStrangers checks that the daemon answers nothing but a join without a
// certificate of its own.
func TestStrangers(t *testing.T) {
	t.Parallel()
	c := newCore(t, nil)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} // #nosec: of a test
	for _, r := range []struct{ method, path string }{
		{"GET", "/agent/v1/link"}, {"POST", "/agent/v1/renew"}, {"GET", "/agent/v1/modules/sha256:00"},
		{"POST", "/agent/v1/tasks/x/1/manifest"}, {"PUT", "/agent/v1/tasks/x/1/store/blob?key=k"}, {"POST", "/agent/v1/join"},
	} {
		req, err := http.NewRequestWithContext(t.Context(), r.method, c.url+r.path, nil)
		c.check(err)
		resp, err := client.Do(req)
		c.check(err)
		_ = resp.Body.Close()
		want := http.StatusUnauthorized
		if r.path == "/agent/v1/join" {
			want = http.StatusBadRequest // without a token
		}
		if resp.StatusCode != want {
			t.Errorf("%s %s: %s, want %d", r.method, r.path, resp.Status, want)
		}
	}
}

func TestCheckRelease(t *testing.T) {
	for _, c := range []struct {
		daemon, agent string
		protocol      int
		ok            bool
	}{
		{"v1.4.0", "v1.4.7", agent.Protocol, true},
		{"v1.4.0", "v1.3.0", agent.Protocol, true},
		{"v1.4.0", "v1.5.0-rc1", agent.Protocol, true},
		{"v1.4.0", "v1.2.9", agent.Protocol, false},
		{"v1.4.0", "v1.6.0", agent.Protocol, false},
		{"v1.4.0", "v2.4.0", agent.Protocol, false},
		{"v1.4.0", "v1.4.0", agent.Protocol + 1, false},
		{"devel-0123456789ab", "v1.4.0", agent.Protocol, true},
		{"v1.4.0", "devel", agent.Protocol, true},
		{"v1.4.0", "", 0, false},
	} {
		if err := agent.CheckRelease(c.daemon, c.agent, c.protocol); (err == nil) != c.ok {
			t.Errorf("daemon %s, agent %s (protocol %d): %v", c.daemon, c.agent, c.protocol, err)
		}
	}
}

// TestClockOff runs an order of a daemon whose clock is a day ahead: deadline
// and offset are by the agent's clock.
func TestClockOff(t *testing.T) {
	t.Parallel()
	for _, off := range []time.Duration{24 * time.Hour, -24 * time.Hour} {
		h := &idle{}
		daemons := time.Now().UTC().Add(off)
		o := &agent.Order{Now: daemons, Task: &shield.Task{
			UUID: "0f9b2a0e-0000-4000-8000-000000000000", LeaseEpoch: 1, Op: shield.OpTestTarget, TargetPlugin: "x", TimeoutAt: daemons.Add(time.Hour),
		}}
		agent.RunOrder(t, h, o)
		got := h.orders[0]
		if left := time.Until(got.Task.TimeoutAt); left < 59*time.Minute || left > time.Hour {
			t.Errorf("%s off: the deadline of an hour is in %s", off, left)
		}
		if d := got.Ahead - off; d.Abs() > time.Minute {
			t.Errorf("the daemon's clock is taken to be %s ahead, want %s", got.Ahead, off)
		}
	}
}

// fetching is a host that gets the modules of an order.
type fetching struct {
	idle
	got [][]byte
}

func (h *fetching) Plugins(ctx context.Context, modules []agent.Module, fetch agent.Fetch) (*plugin.Registry, error) {
	for _, m := range modules {
		b, err := fetch(ctx, m.Digest)
		if err != nil {
			return nil, err
		}
		h.got = append(h.got, b)
	}
	return plugin.NewRegistry(), nil
}

// TestModulesTravel checks that a module arrives, and that one which is not
// what its digest says is refused: a daemon can lie, too.
func TestModulesTravel(t *testing.T) {
	t.Parallel()
	module := []byte("\x00asm of a plugin")
	sent := module
	c := newCore(t, func(o *agent.DispatcherOptions) {
		o.Modules = func(context.Context, string, string) ([]agent.Module, error) {
			return []agent.Module{{Name: "x", Digest: agent.DigestOf(module)}}, nil
		}
		o.Module = func(string) ([]byte, error) { return sent, nil }
	})
	h := &fetching{}
	c.join("a", h)
	c.until("it is connected", func() bool { return c.linked("a") })
	task := func(epoch int64) *shield.Task {
		return &shield.Task{UUID: "0f9b2a0e-0000-4000-8000-000000000000", LeaseEpoch: epoch, Op: shield.OpTestTarget, TargetPlugin: "x", Agent: "a"}
	}
	if _, err := c.dispatcher.Run(t.Context(), task(1), quiet{}); err != nil || len(h.got) != 1 || string(h.got[0]) != string(module) {
		t.Errorf("%q, %v", h.got, err)
	}
	sent = []byte("\x00asm of another")
	if _, err := c.dispatcher.Run(t.Context(), task(2), quiet{}); !errors.Is(err, shield.Corrupt) {
		t.Errorf("another module than was ordered: %v, want Corrupt", err)
	}
}

type quiet struct{}

func (quiet) Log(shield.Source, string) {}
func (quiet) Progress(shield.Progress)  {}
