package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"syscall"
	"time"

	"github.com/shieldhq/shield/server"
)

// measureAgents does what -only asks for of agents. Ways of bytes are in turn
// with each other, and so are all measured when one is asked for.
func (b *bench) measureAgents(ctx context.Context) error {
	for _, x := range []struct {
		names []string
		run   func(context.Context) error
	}{
		{[]string{"agent/direct", "agent/relay"}, b.measureWays},
		{[]string{"agent/dispatch"}, b.measureDispatch},
		{[]string{"agent/idle"}, b.measureIdle},
	} {
		if !b.wanted(x.names) {
			continue
		}
		if err := x.run(ctx); err != nil {
			b.fail("%s: %v", x.names[0], err)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) wanted(names []string) bool {
	for _, n := range names {
		if b.only.MatchString(n) {
			return true
		}
	}
	return false
}

// agentName is that of the one agent of an agentSystem.
const agentName = "beside"

// An agentSystem is a daemon and an agent that has joined it, both as their
// users run them.
type agentSystem struct {
	*daemon
	agent *agentProcess
}

// startAgentSystem starts both in folders of their own below dir.
func startAgentSystem(ctx context.Context, bin, dir string) (s *agentSystem, err error) {
	d, err := startDaemon(ctx, bin, filepath.Join(dir, "data"), "--agent-listen", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.stop())
		}
	}()
	token, err := d.client.CreateAgentToken(ctx, server.AgentTokenRequest{Name: agentName})
	if err != nil {
		return nil, err
	}
	a, err := startAgent(bin, d.agents, token.Token, filepath.Join(dir, "agent"))
	if err != nil {
		return nil, err
	}
	if err := d.connected(ctx, 1); err != nil {
		return nil, errors.Join(err, a.stop())
	}
	return &agentSystem{d, a}, nil
}

// connectTimeout is how long agents may take to be connected.
const connectTimeout = 5 * time.Minute

// connected waits until so many agents are connected.
func (d *daemon) connected(ctx context.Context, wanted int) error {
	ctx, cancel := context.WithTimeoutCause(ctx, connectTimeout, fmt.Errorf("%d agents were not connected within %s", wanted, connectTimeout))
	defer cancel()
	for {
		all, err := d.client.Agents().List(ctx, nil)
		if err != nil {
			return errors.Join(context.Cause(ctx), err)
		}
		n := 0
		for _, a := range all {
			if a.Connected {
				n++
			}
		}
		if n == wanted {
			return nil
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (s *agentSystem) stop() error { return errors.Join(s.agent.stop(), s.daemon.stop()) }

// work runs the command line and counts what daemon and agent did meanwhile.
// The memory is that of the larger one.
func (s *agentSystem) work(ctx context.Context, args ...string) (cost, error) {
	pid := s.agent.cmd.Process.Pid
	before, err := cpuTime(pid)
	if err != nil {
		return cost{}, err
	}
	if err := resetPeak(pid); err != nil {
		return cost{}, err
	}
	used, err := s.daemon.work(ctx, args...)
	if err != nil {
		return used, err
	}
	after, err := cpuTime(pid)
	if err != nil {
		return used, err
	}
	used.cpu += after - before
	peak, err := peakRSS(pid)
	used.rss = max(used.rss, peak)
	return used, err
}

// An agentProcess is a running shield-agent.
type agentProcess struct {
	cmd   *exec.Cmd
	began chan begun // of tasks, as it logs that they are
	ended chan error

	mu  sync.Mutex
	log bytes.Buffer
}

// A begun task is one that the agent has recorded and started.
type begun struct {
	task string
	at   time.Time
}

func startAgent(bin, core, token, dir string) (*agentProcess, error) {
	a := &agentProcess{began: make(chan begun, 16), ended: make(chan error, 1)}
	a.cmd = exec.Command(filepath.Join(bin, "shield-agent"), "--core", "https://"+core, "--name", agentName, "--state", dir)
	a.cmd.Env = append(os.Environ(), "SHIELD_AGENT_TOKEN="+token)
	a.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // as the daemon's
	out, err := a.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := a.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		a.read(bufio.NewScanner(out))
		a.ended <- a.cmd.Wait()
	}()
	return a, nil
}

var startedLine = regexp.MustCompile(`msg="task started" task=(\S+)`)

// read keeps the log, and tells of each task when its line is there.
func (a *agentProcess) read(lines *bufio.Scanner) {
	for lines.Scan() {
		now := time.Now()
		if m := startedLine.FindStringSubmatch(lines.Text()); m != nil {
			select {
			case a.began <- begun{m[1], now}:
			default: // nobody waits for it
			}
		}
		a.mu.Lock()
		fmt.Fprintln(&a.log, lines.Text())
		a.mu.Unlock()
	}
}

func (a *agentProcess) said() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return tail(a.log.String())
}

func (a *agentProcess) stop() error {
	_ = a.cmd.Process.Signal(syscall.SIGTERM) // it may have ended already
	select {
	case err := <-a.ended:
		if err != nil {
			return fmt.Errorf("shield-agent: %w: %s", err, a.said())
		}
		return nil
	case <-time.After(time.Minute):
		_ = a.cmd.Process.Kill() // as above
		<-a.ended
		return errors.New("shield-agent did not stop within a minute")
	}
}
