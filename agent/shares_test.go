package agent_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/agent"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugin/plugintest"
)

// A keeper is a host, or the daemon, that knows its share of a store's limit.
// Its tasks last until they are canceled.
type keeper struct {
	idle
	mu   sync.Mutex
	knew map[string]float64 // by store
}

func (k *keeper) Share(store string, share float64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.knew == nil {
		k.knew = map[string]float64{}
	}
	k.knew[store] = share
}

func (k *keeper) share(store string) float64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.knew[store]
}

func (k *keeper) Run(ctx context.Context, _ *agent.Order, _, _ *plugin.Registry, _ agent.Seal, _ shield.Monitor) (shield.TaskResult, error) {
	<-ctx.Done()
	return shield.TaskResult{}, context.Cause(ctx)
}

// A localKeeper runs tasks in the daemon.
type localKeeper struct {
	*keeper
	shield.Opener
}

func (l localKeeper) Run(ctx context.Context, _ *shield.Task, _ shield.Monitor) (shield.TaskResult, error) {
	return l.keeper.Run(ctx, nil, nil, nil, nil, nil)
}

// TestSharesOfALimit has tasks of three places use a store that has a limit:
// its parts are by the tasks of each, and all of it is for who is left.
func TestSharesOfALimit(t *testing.T) {
	t.Parallel()
	const store = "0f9b2a0e-0000-4000-8000-00000000000a"
	daemon := &keeper{}
	plugins := plugin.NewRegistry()
	plugins.Replace("memory", plugintest.NewMemory())
	c := newCore(t, func(o *agent.DispatcherOptions) {
		o.Plugins, o.Share = plugins, daemon.Share
		o.Local = func(*plugin.Registry) agent.Local { return localKeeper{keeper: daemon} }
	})
	hosts := map[string]*keeper{"": daemon, "a": {}, "b": {}}
	for _, name := range []string{"a", "b"} {
		c.join(name, hosts[name])
		c.until(name+" is connected", func() bool { return c.linked(name) })
	}
	ids := []string{"0f9b2a0e-0000-4000-8000-000000000001", "0f9b2a0e-0000-4000-8000-000000000002", "0f9b2a0e-0000-4000-8000-000000000003", "0f9b2a0e-0000-4000-8000-000000000004"}
	begin := func(place string) (end func()) {
		task := &shield.Task{
			UUID: ids[0], LeaseEpoch: 1, Op: shield.OpBackup, Agent: place, TargetPlugin: "memory", Archive: ids[0], Key: "k", Retention: 60,
			Store: store, StorePlugin: "memory", StoreAgent: shield.AgentDaemon, StoreEndpoint: shield.Endpoint(`{"name":"x"}`), StoreLimit: shield.Limit{Up: "1MiB"},
			TimeoutAt: time.Now().Add(time.Hour),
		}
		ids = ids[1:]
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); _, _ = c.dispatcher.Run(ctx, task, quiet{}) }()
		return func() { cancel(); <-ended }
	}
	want := func(what string, shares map[string]float64) {
		t.Helper()
		c.until(what, func() bool {
			for place, share := range shares {
				if hosts[place].share(store) != share {
					return false
				}
			}
			return true
		})
	}
	first := begin("a")
	want("one task", map[string]float64{"a": 1})
	second := begin("b")
	want("one task each of two", map[string]float64{"a": 0.5, "b": 0.5})
	third := begin("b")
	last := begin("")
	want("two tasks of one", map[string]float64{"a": 0.25, "b": 0.5, "": 0.25})
	first()
	third()
	want("one task each of b and the daemon", map[string]float64{"b": 0.5, "": 0.5})
	last()
	want("b alone", map[string]float64{"b": 1})
	second()
}
