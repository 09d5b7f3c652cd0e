package wasmhost

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/tetratelabs/wazero"
	experimentalsys "github.com/tetratelabs/wazero/experimental/sys"
	"github.com/tetratelabs/wazero/experimental/sysfs"

	"github.com/shieldhq/shield/internal/calling"
	"github.com/shieldhq/shield/plugin"
)

// runCommand runs a WASI command: its main function is the action.
func (p *Plugin) runCommand(c *call) error {
	i := c.instance
	ctx := i.memory.with(context.WithValue(c.ctx, instanceKey{}, i))
	config := i.moduleConfig().WithArgs(argv(i.name, c.request)...)
	if c.request.Delivery == plugin.DeliverEnv && c.request.Endpoint != nil {
		config = config.WithEnv("SHIELD_ENDPOINT", string(c.request.Endpoint))
	}
	m, err := p.program.runtime.InstantiateModule(ctx, p.program.module, config)
	if m != nil {
		err = errors.Join(err, m.Close(context.Background()))
	}
	return err
}

// argv holds the endpoint, unlike that of an executable: nobody else can read
// what a guest is given.
func argv(name string, r *calling.Request) []string {
	args := []string{name, string(r.Action)}
	if r.Endpoint != nil && r.Delivery != plugin.DeliverEnv {
		args = append(args, "--endpoint", string(r.Endpoint))
	}
	return append(args, r.Args()...)
}

// moduleConfig replaces all of wazero's defaults that are made for tests: it
// would give each guest the same random numbers, a clock that stands still,
// and a sleep that nothing can end. Without a name a module can run many
// times at once.
func (i *instance) moduleConfig() wazero.ModuleConfig {
	fs := wazero.NewFSConfig()
	for _, m := range i.mounts {
		fs = fs.(sysfs.FSConfig).WithSysFSMount(m, m.path)
	}
	return wazero.NewModuleConfig().WithName("").
		WithStdin(&guestInput{i: i}).WithStdout(guestOutput{i}).WithStderr(i.diag).
		WithFSConfig(fs).
		WithRandSource(guestRandom{i}).WithSysWalltime().WithSysNanotime().WithNanosleep(i.sleep).
		WithEnv("SHIELD_ABI", abiModule).
		WithEnv("SHIELD_GREASE_"+rand.Text()[:8], rand.Text()[:8]).
		// A Go guest collects garbage before it runs into its limit.
		WithEnv("GOMEMLIMIT", fmt.Sprint(i.memory.limit/8*7))
}

// sleep ends with the guest's context.
func (i *instance) sleep(ns int64) {
	t := time.NewTimer(time.Duration(ns))
	defer t.Stop()
	select {
	case <-t.C:
	case <-i.ctx.Done():
		stop()
	}
}

// guestRandom is a source of random numbers that a stopped guest cannot go on
// reading: it asks for as many as its memory holds in one call.
type guestRandom struct{ i *instance }

func (g guestRandom) Read(p []byte) (int, error) {
	if g.i.ctx.Err() != nil {
		stop()
	}
	return rand.Read(p[:min(len(p), 1<<20)])
}

// guestInput is the standard input of WASI, the same as handle 0.
type guestInput struct{ i *instance }

var (
	_ io.Reader                = (*guestInput)(nil)
	_ experimentalsys.Pollable = (*guestInput)(nil)
)

func (g *guestInput) Read(p []byte) (int, error) {
	return wait(g.i, func() (int, error) { return g.i.stdin.read(p) })
}

// Poll is what poll_oneoff asks.
func (g *guestInput) Poll(flag experimentalsys.Pflag, ms int32) (bool, experimentalsys.Errno) {
	if flag != experimentalsys.POLLIN {
		return false, experimentalsys.ENOTSUP
	}
	var over <-chan time.Time
	if ms >= 0 {
		t := time.NewTimer(time.Duration(ms) * time.Millisecond)
		defer t.Stop()
		over = t.C
	}
	for {
		if _, err := g.i.stdin.peek(); !again(err) {
			return true, 0
		}
		select {
		case <-g.i.wake:
		case <-over:
			return false, 0
		case <-g.i.ctx.Done():
			stop()
		}
	}
}

// guestOutput is the standard output of WASI, the same as handle 1.
type guestOutput struct{ i *instance }

func (g guestOutput) Write(p []byte) (int, error) {
	total := 0
	for total < len(p) {
		n, err := wait(g.i, func() (int, error) { return g.i.handles[stdoutHandle].write(p[total:]) })
		total += n
		if err != nil {
			return total, err
		}
	}
	return total, nil
}

// trap returns the first line of an error, which says what the guest did; a
// trace of its stack follows.
func trap(err error) string {
	text, _, _ := strings.Cut(err.Error(), "\n")
	text = strings.TrimPrefix(text, "module[] function[_start] failed: ")
	return strings.TrimSuffix(strings.TrimPrefix(text, "wasm error: "), " (recovered by wazero)")
}
