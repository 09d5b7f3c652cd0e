package restic

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugins-wasm/internal/child"
)

// store is a repository.
type store struct {
	program *child.Program
	global  []string
	host    string
	tag     string
	init    bool
	prune   bool
	unlock  bool
	wait    time.Duration // for locks
	log     plugin.Log
	turn    chan struct{} // held by who wants the repository for itself
}

var (
	_ plugin.Store     = (*store)(nil)
	_ plugin.Lister    = (*store)(nil)
	_ plugin.Tester    = (*store)(nil)
	_ plugin.Validator = (*store)(nil)
)

func openStore(e shield.Endpoint, log plugin.Log) (plugin.Store, error) {
	c, err := decode(e)
	if err != nil {
		return nil, err
	}
	if log == nil {
		log = func(string) {}
	}
	s := &store{host: c.Host, tag: c.Tag, init: c.Init, prune: c.Prune, unlock: c.Unlock, log: log, turn: make(chan struct{}, 1)}
	if s.program, err = program(&c, log); err != nil {
		return nil, err
	}
	if s.wait, err = duration("lock_wait", c.LockWait); err != nil {
		return nil, err
	}
	s.global, err = global(&c)
	return s, err
}

// Validate has nothing to add to what opening the store has checked.
func (s *store) Validate(context.Context) error { return nil }

// command returns a run of one of restic's commands.
func (s *store) command(name string, args ...string) child.Run {
	return child.Run{Args: append(append([]string{name}, s.global...), args...)}
}

// answerLimit is far more than an answer takes that is not streamed.
const answerLimit = 4 << 20

// run runs a command without input, waits for locks, makes the repository if
// that is wanted, and returns what it printed.
func (s *store) run(ctx context.Context, name string, args ...string) ([]byte, error) {
	var out bytes.Buffer
	err := s.patiently(ctx, func() (bool, error) {
		out.Reset()
		r := s.command(name, args...)
		r.Stdout = &limited{&out, answerLimit}
		return true, s.program.Run(ctx, r)
	})
	return out.Bytes(), err
}

// limited takes so much and no more.
type limited struct {
	w    io.Writer
	left int
}

// Write implements io.Writer.
func (l *limited) Write(p []byte) (int, error) {
	if l.left -= len(p); l.left < 0 {
		return 0, shield.Errorf(shield.StoreFailed, "", "restic answers with more than %d bytes", answerLimit)
	}
	return l.w.Write(p)
}

// patiently calls run until nobody has the repository locked any more, and
// once more after it has made the repository. run says whether it can be
// called again.
func (s *store) patiently(ctx context.Context, run func() (again bool, err error)) error {
	until := time.Now().Add(s.wait)
	made, unlocked := !s.init, !s.unlock
	for pause := 200 * time.Millisecond; ; pause = min(2*pause, 4*time.Second) {
		again, err := run()
		switch {
		case err == nil || !again || ctx.Err() != nil:
			return err
		case absent(err) && !made:
			made = true
			if err := s.make(ctx); err != nil {
				return err
			}
		case locked(err) && !unlocked:
			unlocked = true
			if err := s.program.Run(ctx, s.command("unlock")); err != nil {
				return err
			}
		case locked(err) && time.Now().Before(until):
			// Others wait as well: who always asks at the same time never gets it.
			select {
			case <-ctx.Done():
				return context.Cause(ctx)
			case <-time.After(100*time.Millisecond + rand.N(pause)):
			}
		default:
			return err
		}
	}
}

// make makes the repository. Somebody else may do so at the same time.
func (s *store) make(ctx context.Context) error {
	s.log("there is no repository yet: it is made")
	err := s.program.Run(ctx, s.command("init"))
	if f, ok := err.(*child.Failure); ok && f.Says("already exists", "already initialized") {
		return nil
	}
	return err
}

// Get opens the blob. Its end is io.EOF only if restic has ended well after as
// many bytes as were stored. It takes no lock: a prune at the same time may
// make it fail, and nothing else.
func (s *store) Get(ctx context.Context, key string) (io.ReadCloser, error) {
	if err := checkKey(key); err != nil {
		return nil, err
	}
	a, err := s.find(ctx, key)
	if err != nil {
		return nil, err
	}
	if a == nil {
		return nil, shield.Errorf(shield.NotFound, "restic.Get", "there is no %s", key)
	}
	if a.size == 0 {
		return io.NopCloser(bytes.NewReader(nil)), nil
	}
	return child.Stream(ctx, func(ctx context.Context, w io.Writer) error {
		r, n := s.command("dump", "--no-lock", a.data, "/"+escape(key)), &counted{w: w}
		r.Stdout = n
		if err := s.program.Run(ctx, r); err != nil {
			return problem("restic.Get", err)
		}
		if n.n != a.size {
			return shield.Errorf(shield.Corrupt, "restic.Get", "restic gave %d bytes of %s and said that this is all, but %d were stored", n.n, key, a.size)
		}
		return nil
	}), nil
}

// counted counts what passes.
type counted struct {
	w io.Writer
	n int64
}

// Write implements io.Writer.
func (c *counted) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

// Delete forgets all snapshots of a key, those that say that an archive is
// whole before the others.
func (s *store) Delete(ctx context.Context, key string) error {
	if err := checkKey(key); err != nil {
		return err
	}
	var first, then []string
	err := s.each(ctx, tagKey+escape(key), func(n *snapshot) error {
		if _, whole := n.archive(); whole {
			first = append(first, n.ID)
		} else {
			then = append(then, n.ID)
		}
		return nil
	})
	if err != nil || len(first)+len(then) == 0 {
		return err
	}
	return s.forget(ctx, append(first, then...), s.prune)
}

// forget removes snapshots.
func (s *store) forget(ctx context.Context, ids []string, prune bool) error {
	select {
	case s.turn <- struct{}{}: // else they would be in one another's way
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	args := []string{"--quiet"}
	if prune {
		args = append(args, "--prune")
	}
	_, err := s.run(ctx, "forget", append(args, ids...)...)
	return problem("restic.Delete", err)
}
