package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/agent"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/server"
)

// idleAgents are how many agents have nothing to do, and idleFor is how long
// they are watched.
const (
	idleAgents = 1000
	idleFor    = time.Minute
)

// idleCost is what agents cost a daemon that have nothing to do.
type idleCost struct {
	agents      int
	join        time.Duration // until all were connected
	peak        int64         // memory meanwhile
	without     int64         // memory before there were any
	rss         int64         // over that
	cpu         float64       // of a core
	traffic     int64         // bytes that the daemon has read and written in idleFor
	goroutines  int           // over those without agents
	descriptors int           // as above
}

// measureIdle has a thousand agents, all in this process, join a daemon.
func (b *bench) measureIdle(ctx context.Context) (err error) {
	dir := b.path("idle")
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	d, err := startDaemon(ctx, b.bin, filepath.Join(dir, "data"), "--agent-listen", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.stop()) }()
	if !wait(ctx, idleFor) { // until it has compiled its modules
		return ctx.Err()
	}
	before, err := d.look(ctx)
	if err != nil {
		return err
	}
	began := time.Now()
	stop, err := d.crowd(ctx, dir, idleAgents)
	defer func() { err = errors.Join(err, stop()) }()
	if err != nil {
		return err
	}
	c := idleCost{agents: idleAgents, join: time.Since(began), without: before.rss}
	if c.peak, err = peakRSS(d.cmd.Process.Pid); err != nil {
		return err
	}
	if !wait(ctx, idleFor) { // until what was for joining is gone
		return ctx.Err()
	}
	first, err := d.look(ctx)
	if err != nil {
		return err
	}
	if !wait(ctx, idleFor) {
		return ctx.Err()
	}
	last, err := d.look(ctx)
	if err != nil {
		return err
	}
	c.rss = last.rss - before.rss
	c.cpu = (last.cpu - first.cpu).Seconds() / last.at.Sub(first.at).Seconds()
	c.traffic = last.traffic - first.traffic
	c.goroutines, c.descriptors = last.goroutines-before.goroutines, last.descriptors-before.descriptors
	b.report.agents.idle = &c
	fmt.Fprintf(os.Stderr, "agent/idle: %+v\n", c)
	return nil
}

func wait(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// joiningAtOnce is how many agents join at the same time.
const joiningAtOnce = 8

// crowd starts agents in this process and returns when all are connected. They
// end when stop is called.
func (d *daemon) crowd(ctx context.Context, dir string, n int) (stop func() error, err error) {
	running, cancel := context.WithCancel(ctx)
	var ended sync.WaitGroup
	var mu sync.Mutex
	var failed error
	stop = func() error {
		cancel()
		ended.Wait()
		return failed
	}
	slots := make(chan struct{}, joiningAtOnce)
	for i := range n {
		name := fmt.Sprintf("idle-%04d", i)
		token, err := d.client.CreateAgentToken(ctx, server.AgentTokenRequest{Name: name})
		if err != nil {
			return stop, err
		}
		slots <- struct{}{}
		joined := sync.OnceFunc(func() { <-slots })
		a, err := agent.New(agent.Options{
			Name: name, Core: "https://" + d.agents, Dir: filepath.Join(dir, name), Token: shield.Secret(token.Token),
			Host: idleHost{}, Proxy: func(*http.Request) (*url.URL, error) { return nil, nil }, Joined: joined,
		})
		if err != nil {
			return stop, err
		}
		ended.Go(func() {
			defer joined()
			if err := a.Run(running); err != nil {
				mu.Lock()
				defer mu.Unlock()
				failed = errors.Join(failed, fmt.Errorf("agent %s: %w", name, err))
			}
		})
	}
	return stop, d.connected(ctx, n)
}

// An idleHost has no plugins and is given no task.
type idleHost struct{ agent.Host }

func (idleHost) Own() plugin.Describer { return plugin.NewRegistry() }

// A look is what a process has and has used at some time.
type look struct {
	at                      time.Time
	rss, traffic            int64
	cpu                     time.Duration
	goroutines, descriptors int
}

func (d *daemon) look(ctx context.Context) (l look, err error) {
	proc := fmt.Sprintf("/proc/%d/", d.cmd.Process.Pid)
	if l.cpu, err = cpuTime(d.cmd.Process.Pid); err != nil {
		return l, err
	}
	l.at = time.Now()
	kib, err := strconv.ParseInt(strings.TrimSuffix(procValue(proc+"status", "VmRSS"), " kB"), 10, 64)
	if err != nil {
		return l, err
	}
	l.rss = kib << 10
	for _, key := range []string{"rchar", "wchar"} { // those of sockets are in them
		n, err := strconv.ParseInt(procValue(proc+"io", key), 10, 64)
		if err != nil {
			return l, err
		}
		l.traffic += n
	}
	open, err := os.ReadDir(proc + "fd")
	if err != nil {
		return l, err
	}
	l.descriptors = len(open)
	l.goroutines, err = d.goroutines(ctx)
	return l, err
}

var goroutineMetric = regexp.MustCompile(`(?m)^go_goroutines (\d+)$`)

// goroutines asks the daemon's metrics.
func (d *daemon) goroutines(ctx context.Context) (int, error) {
	token, err := os.ReadFile(d.token)
	if err != nil {
		return 0, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.api+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err
	}
	m := goroutineMetric.FindSubmatch(text)
	if m == nil {
		return 0, fmt.Errorf("the metrics do not tell the goroutines: %s", tail(string(text)))
	}
	return strconv.Atoi(string(m[1]))
}
