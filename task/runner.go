// Package task runs one operation of shield to its end: backup, restore and its
// preflight, purge, tests, a probe, a check of a store. Runner is a shield.Runner for the host it runs on; it
// opens plugins, moves the bytes between them through package archive, and
// proves the result. It never touches the catalog.
package task

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"runtime/debug"
	"time"

	"filippo.io/age"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/archive"
	"github.com/shieldhq/shield/plugin"
)

// Defaults of Options.
const (
	DefaultIdleTimeout = 30 * time.Minute
	DefaultGrace       = 30 * time.Second
)

// Options configures a Runner. The zero value of a field means its default.
type Options struct {
	// Recipients are the public keys that archives are sealed to, and
	// RecipientNames their texts. A backup that is to be encrypted is refused
	// without any.
	Recipients     []age.Recipient
	RecipientNames []string
	// Identities open archives for restores.
	Identities []age.Identity
	// SigningKey signs manifests. Required for backups, unless there is Seal.
	SigningKey ed25519.PrivateKey
	// Seal signs and seals manifests where the key is elsewhere.
	Seal func(ctx context.Context, m *archive.Manifest) ([]byte, error)
	// FileKey opens the one archive of a restore, in place of Identities.
	FileKey []byte
	// Stores opens stores; nil: the registry that opens targets.
	Stores *plugin.Registry
	// Limit bounds the bytes a second of all tasks of this runner together.
	Limit shield.Limit
	// Ahead is how far the clock of whoever wants the task is ahead of this
	// host's.
	Ahead time.Duration
	// IdleTimeout ends a task that names no idle timeout and in which no byte
	// has moved for so long.
	IdleTimeout time.Duration
	// Grace is how long a plugin may take to end after it was told to, and
	// how long cleaning up after a failed backup may take.
	Grace time.Duration
	// Workers bounds the cores that one task uses; 0: all.
	Workers int
}

// Runner runs tasks on this host. It is safe for concurrent use.
type Runner struct {
	plugins   *plugin.Registry
	opts      Options
	throttles *throttles
}

var _ shield.Runner = (*Runner)(nil)

// NewRunner returns a Runner that opens plugins from a registry.
func NewRunner(plugins *plugin.Registry, opts *Options) *Runner {
	r := &Runner{plugins: plugins, throttles: &throttles{}}
	if opts != nil {
		r.opts = *opts
	}
	if r.opts.IdleTimeout <= 0 {
		r.opts.IdleTimeout = DefaultIdleTimeout
	}
	if r.opts.Grace <= 0 {
		r.opts.Grace = DefaultGrace
	}
	if r.opts.Stores == nil {
		r.opts.Stores = plugins
	}
	return r
}

// With returns a Runner with other plugins and options that shares what bounds
// the bytes a second with r.
func (r *Runner) With(plugins *plugin.Registry, opts *Options) *Runner {
	w := NewRunner(plugins, opts)
	w.throttles = r.throttles
	return w
}

// Share has the limit of a store, by its UUID, count by a share of it, above 0
// and up to 1, since other hosts use the store, too. It holds for tasks that run
// and for those that begin, until another is set.
func (r *Runner) Share(store string, share float64) { r.throttles.share(store, share) }

// now is the time by the clock of whoever wants the task.
func (r *Runner) now() time.Time { return time.Now().Add(r.opts.Ahead) }

// Run runs t to its end and reports to m meanwhile; see shield.Runner.
func (r *Runner) Run(ctx context.Context, t *shield.Task, m shield.Monitor) (shield.TaskResult, error) {
	if err := t.Validate(); err != nil {
		return shield.TaskResult{}, err
	}
	if t.Agent != "" {
		return shield.TaskResult{}, shield.Errorf(shield.Unavailable, string(t.Op),
			"the target wants agent %q: this runner serves only its own host", t.Agent)
	}
	ctx, cancel := deadline(ctx, t)
	defer cancel()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	c := &call{runner: r, task: t, diag: newDiagnostics(m)}
	c.transfer = &transfer{call: c, cancel: stop}
	go c.transfer.watch(ctx)
	defer c.leave()
	switch t.Op {
	case shield.OpBackup:
		return c.backup(ctx)
	case shield.OpRestore:
		return c.restore(ctx)
	case shield.OpPreflight:
		return c.dryRun(ctx)
	case shield.OpPurge:
		return c.purge(ctx)
	case shield.OpCheckStore:
		return c.checkStore(ctx)
	case shield.OpVerify:
		return c.verify(ctx)
	case shield.OpReconcile:
		return c.reconcile(ctx)
	case shield.OpTestTarget:
		return shield.TaskResult{}, c.testTarget(ctx)
	case shield.OpProbeTarget:
		return c.probeTarget(ctx)
	default:
		return shield.TaskResult{}, c.testStore(ctx)
	}
}

func deadline(ctx context.Context, t *shield.Task) (context.Context, context.CancelFunc) {
	if t.TimeoutAt.IsZero() {
		return context.WithCancel(ctx)
	}
	cause := shield.Errorf(shield.TimedOut, string(t.Op), "the deadline of %s passed", t.TimeoutAt.UTC().Format(time.RFC3339))
	return context.WithDeadlineCause(ctx, t.TimeoutAt, cause)
}

// A call is one run of one task.
type call struct {
	runner   *Runner
	task     *shield.Task
	diag     *diagnostics
	transfer *transfer
	left     []func() // end the use of throttles
}

func (c *call) leave() {
	for _, leave := range c.left {
		leave()
	}
}

func (c *call) logf(format string, args ...any) {
	c.diag.log(shield.SourceShield, fmt.Sprintf(format, args...))
}

// openStore opens the store, bounded by its limit.
func (c *call) openStore(ctx context.Context) (plugin.Store, plugin.Info, error) {
	s, info, err := c.runner.opts.Stores.OpenStore(ctx, c.task.StorePlugin, c.task.StoreEndpoint, c.diag.of(shield.SourceStore))
	if err != nil {
		return nil, info, c.blame(ctx, shield.StoreFailed, err)
	}
	if s, err = c.bounded(s, c.task.Store, &c.task.StoreLimit); err == nil {
		s, err = c.bounded(s, ownThrottle, &c.runner.opts.Limit)
	}
	return s, info, err
}

// ownThrottle names the throttle of the limit that a runner has of its own.
const ownThrottle = "own"

func (c *call) bounded(s plugin.Store, name string, l *shield.Limit) (plugin.Store, error) {
	if reflect.ValueOf(*l).IsZero() {
		return s, nil
	}
	t, leave, err := c.runner.throttles.take(name, l)
	if err != nil {
		return nil, err
	}
	c.left = append(c.left, leave)
	return t.limited(s, c.transfer), nil
}

func (c *call) openTarget(ctx context.Context) (plugin.Target, plugin.Info, error) {
	digest := ""
	if c.task.Expected != nil {
		digest = c.task.Expected.PluginDigest
	}
	t, info, err := c.runner.plugins.OpenTargetVersion(ctx, c.task.TargetPlugin, digest, c.task.TargetEndpoint, c.diag.of(shield.SourceTarget))
	if err != nil {
		return nil, info, c.blame(ctx, shield.TargetFailed, err)
	}
	return t, info, nil
}

// blame makes the error of a task out of the error of one side: its text
// begins with the side and ends with the side's last diagnostics. When ctx
// is done, its cause says more than what the side made of it.
func (c *call) blame(ctx context.Context, side shield.Code, err error) error {
	if stop := stopped(ctx); stop != nil {
		return stop
	}
	code := side
	switch shield.CodeOf(err) {
	case shield.Corrupt:
		code = shield.Corrupt
	case shield.Invalid, shield.NotFound, shield.Unavailable, shield.Locked:
		code = shield.CodeOf(err)
	}
	return &shield.Error{Code: code, Message: c.describe(side, err), Until: shield.UntilOf(err), Err: err}
}

func (c *call) describe(side shield.Code, err error) string {
	t := c.task
	if side == shield.StoreFailed && shield.CodeOf(err) == shield.Locked {
		return fmt.Sprintf("store %s (%s): %v", t.StoreName, t.StorePlugin, err) // it does what it was told to
	}
	switch side {
	case shield.TargetFailed:
		return fmt.Sprintf("target %s (%s) failed: %v%s", t.TargetName, t.TargetPlugin, err, c.diag.quote(shield.SourceTarget, err))
	case shield.StoreFailed:
		return fmt.Sprintf("store %s (%s) failed: %v%s", t.StoreName, t.StorePlugin, err, c.diag.quote(shield.SourceStore, err))
	}
	return fmt.Sprintf("shield failed: %v", err)
}

// stopped returns why ctx ended, as an *shield.Error, or nil if it has not.
func stopped(ctx context.Context) error {
	if ctx.Err() == nil {
		return nil
	}
	cause := context.Cause(ctx)
	var e *shield.Error
	switch {
	case errors.As(cause, &e):
		return e
	case errors.Is(cause, context.DeadlineExceeded):
		return shield.Errorf(shield.TimedOut, "", "the deadline passed")
	}
	return shield.Errorf(shield.Canceled, "", "canceled")
}

// guard calls a plugin's code and makes an error out of its panic. When ctx
// is done it waits no longer than grace: a plugin that does not end is left
// behind, which beats a task that never ends.
func guard[T any](ctx context.Context, grace time.Duration, f func() (T, error)) (T, error) {
	type result struct {
		v   T
		err error
	}
	done := make(chan result, 1)
	go func() {
		var r result
		defer func() {
			if p := recover(); p != nil {
				r.err = shield.Errorf(shield.PluginFailed, "", "the plugin panicked: %v\n%s", p, debug.Stack())
			}
			done <- r
		}()
		r.v, r.err = f()
	}()
	select {
	case r := <-done:
		return r.v, r.err
	case <-ctx.Done():
	}
	t := time.NewTimer(grace)
	defer t.Stop()
	select {
	case r := <-done:
		return r.v, r.err
	case <-t.C:
		var zero T
		return zero, shield.Errorf(shield.PluginFailed, "", "the plugin did not end within %s of being told to", grace)
	}
}

// guarded calls guard for code that returns only an error.
func (c *call) guarded(ctx context.Context, f func() error) error {
	_, err := guard(ctx, c.runner.opts.Grace, func() (struct{}, error) { return struct{}{}, f() })
	return err
}

// onStore calls the store's code, outside of the archive stream.
func (c *call) onStore(ctx context.Context, f func() error) error {
	c.transfer.waiting.Add(1)
	defer c.transfer.waiting.Add(-1)
	return c.guarded(ctx, f)
}

// How often a store that is not available is asked in all, and how long it is
// left alone at first; then twice as long each time.
const (
	tries      = 4
	firstPause = time.Second
)

// again calls the store's code until it no longer returns Unavailable, a
// bounded number of times. It is for calls that can be made twice: a Put
// reads a stream, which cannot.
func (c *call) again(ctx context.Context, what string, f func() error) error {
	for n := 1; ; n++ {
		err := c.onStore(ctx, f)
		if !errors.Is(err, shield.Unavailable) || n == tries || ctx.Err() != nil {
			return err
		}
		wait := backoff(n)
		c.logf("%s: %v; trying again in %s (%d of %d)", what, err, wait.Round(time.Millisecond), n+1, tries)
		c.transfer.activity.Add(1) // it did not hang
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return err
		}
	}
}

// backoff is the pause after so many tries, between half of it and all of it,
// so that tasks which failed together do not come back together.
func backoff(n int) time.Duration {
	wait := firstPause << (n - 1)
	return wait/2 + rand.N(wait/2)
}
