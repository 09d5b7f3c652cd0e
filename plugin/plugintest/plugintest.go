// Package plugintest is the suite that every plugin passes, whatever carries
// it: Run for a test of a plugin, Check for a program that shows an operator
// how a plugin or a place behaves. It also has two plugins for the tests of
// others: Memory, which keeps everything in memory, and Faulty, which wraps a
// plugin and goes wrong in exactly the way that is asked for.
package plugintest

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"testing"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
)

// Config says what to check a plugin with.
type Config struct {
	// TargetEndpoint is a target that holds something to back up; nil leaves
	// targets out. The suite restores to it what it has backed up from it.
	TargetEndpoint shield.Endpoint
	// RestoreEndpoint is where to restore to; nil means TargetEndpoint.
	RestoreEndpoint shield.Endpoint
	// StoreEndpoint is a store that the suite may write to, under keys that
	// begin with Prefix; nil leaves stores out.
	StoreEndpoint shield.Endpoint
	// Prefix begins all keys that the suite wants; empty means "plugintest/".
	// With one of its own the suite lists nothing else, so that it can run on
	// a store that others use at the same time.
	Prefix string
	// Keeps says that the store's endpoint asks for locks, so that a blob
	// which is not kept until its time is a failure.
	Keeps bool
	// Equal says how two backups of the same content differ; nil wants them
	// to have the same bytes.
	Equal func(a, b []byte) error
	// ReadsAll says that the target restores only what it has read to the
	// end, so that a broken stream leaves it as it was.
	ReadsAll bool
	// Checksums says that Inspect notices every bit of a stream that was
	// changed. Without it, the first byte is all that must be noticed.
	Checksums bool
	// Big adds a blob of 1 GiB.
	Big bool
	// Timeout is for one check; 0 means a minute, 10 minutes for the big one.
	Timeout time.Duration
	// Each, if not nil, is called by Check with each result when it is there.
	Each func(Result)
}

// A Result is the outcome of one check.
type Result struct {
	Name string
	Err  error // nil if the plugin passed
	Took time.Duration
}

// Run checks a plugin, a subtest a check.
func Run(t *testing.T, o plugin.Opener, cfg Config) {
	t.Helper()
	s := newSuite(o, cfg)
	for _, c := range s.checks() {
		t.Run(c.name, func(t *testing.T) {
			if err := s.do(t.Context(), c); err != nil {
				t.Error(err)
			}
		})
	}
}

// Check checks a plugin and returns the results, in order. It returns early
// when ctx is done.
func Check(ctx context.Context, o plugin.Opener, cfg Config) []Result {
	s := newSuite(o, cfg)
	var results []Result
	for _, c := range s.checks() {
		if ctx.Err() != nil {
			break
		}
		from := time.Now()
		err := s.do(ctx, c)
		results = append(results, Result{c.name, err, time.Since(from)})
		if cfg.Each != nil {
			cfg.Each(results[len(results)-1])
		}
	}
	return results
}

// A check is one property that plugins have.
type check struct {
	name string
	run  func(ctx context.Context, s *suite) error
}

type suite struct {
	opener plugin.Opener
	cfg    Config
	mu     sync.Mutex
	logged []string
	keys   []string // under which the store may hold something
}

func newSuite(o plugin.Opener, cfg Config) *suite {
	if cfg.RestoreEndpoint == nil {
		cfg.RestoreEndpoint = cfg.TargetEndpoint
	}
	if cfg.Prefix == "" {
		cfg.Prefix = keyPrefix
	}
	return &suite{opener: o, cfg: cfg}
}

func (s *suite) checks() []check {
	list := []check{{"info", checkInfo}}
	if s.cfg.StoreEndpoint != nil {
		list = append(list, storeChecks(s.cfg.Big)...)
	}
	if s.cfg.TargetEndpoint != nil {
		list = append(list, targetChecks...)
	}
	if s.cfg.StoreEndpoint != nil {
		list = append(list, check{"store: nothing is left", checkLeft})
	}
	// Last, since it looks at what all the others have made the plugin log.
	return append(list, check{"secrets are not logged", checkSecrets})
}

// do runs a check. One that does not return when its time is over is left
// behind and has failed.
func (s *suite) do(ctx context.Context, c check) error {
	limit := s.cfg.Timeout
	if limit == 0 {
		limit = time.Minute
		if s.cfg.Big {
			limit = 10 * time.Minute
		}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("the check was not done within %s", limit))
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- guarded(func() error { return c.run(ctx, s) }) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-done:
		return err
	case <-time.After(patience):
		return fmt.Errorf("the plugin hangs: it has not returned %s after its context was done", patience)
	}
}

// patience is how soon a plugin must return after its context is done: more
// than the grace of a process and its kill take.
const patience = 10 * time.Second

// guarded turns a panic into an error.
func guarded(fn func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		}
	}()
	return fn()
}

func (s *suite) log(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.logged = append(s.logged, line)
}

func (s *suite) store(ctx context.Context) (plugin.Store, error) {
	st, err := s.opener.OpenStore(ctx, s.cfg.StoreEndpoint, s.log)
	if err == nil && st == nil {
		err = errors.New("OpenStore returned neither a store nor an error")
	}
	if err != nil {
		return nil, err
	}
	return s.noting(st), nil
}

func (s *suite) target(ctx context.Context, e shield.Endpoint) (plugin.Target, error) {
	t, err := s.opener.OpenTarget(ctx, e, s.log)
	if err == nil && t == nil {
		err = errors.New("OpenTarget returned neither a target nor an error")
	}
	return t, err
}
