package agent_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/shieldhq/shield/agent"
)

// TestLinksLeaveNothing has agents connect and disconnect hundreds of times. It
// is alone in the process, whose goroutines and sockets it counts.
func TestLinksLeaveNothing(t *testing.T) {
	const agents, times = 8, 25
	if _, err := os.Stat("/dev/shm"); err == nil {
		t.Setenv("TMPDIR", "/dev/shm") // each connection is a commit of its own
	}
	c := newCore(t, nil)
	goroutines, sockets := runtime.NumGoroutine(), countSockets()
	var coming sync.WaitGroup
	for n := range agents {
		a := c.comer(fmt.Sprintf("agent-%d", n))
		coming.Go(func() {
			for range times {
				a.comeAndGo()
			}
		})
	}
	coming.Wait()
	c.until(fmt.Sprintf("there are no more than %d goroutines and %d sockets, and no link is known", goroutines, sockets), func() bool {
		return runtime.NumGoroutine() <= goroutines && countSockets() <= sockets && c.dispatcher.Links() == 0
	})
}

// A comer is an agent that has joined, and is started and stopped.
type comer struct {
	c    *core
	opts agent.Options
	uuid string
}

func (c *core) comer(name string) *comer {
	c.t.Helper()
	a := &comer{c: c, opts: agent.Options{
		Name: name, Core: c.url, Token: c.token(name), Dir: c.t.TempDir(), Host: &idle{},
		Proxy: func(*http.Request) (*url.URL, error) { return nil, nil },
	}}
	a.comeAndGo()
	return a
}

// comeAndGo runs the agent until it is connected, and waits until the daemon
// has seen it go.
func (a *comer) comeAndGo() {
	g, err := agent.New(a.opts)
	if err != nil {
		a.c.t.Error(err)
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	a.c.until(a.opts.Name+" is connected", func() bool {
		if a.uuid == "" {
			if s, err := a.c.catalog.Agent(context.Background(), a.opts.Name); err == nil {
				a.uuid = s.UUID
			}
		}
		return a.c.dispatcher.Linked(a.uuid)
	})
	cancel()
	if err := <-ended; err != nil {
		a.c.t.Error(err)
	}
	a.c.until(a.opts.Name+" is gone", func() bool { return !a.c.dispatcher.Linked(a.uuid) })
}

// countSockets returns how many this process has; none where the system does not tell.
func countSockets() (n int) {
	open, _ := os.ReadDir("/proc/self/fd")
	for _, d := range open {
		if to, err := os.Readlink("/proc/self/fd/" + d.Name()); err == nil && strings.HasPrefix(to, "socket:") {
			n++
		}
	}
	return n
}
