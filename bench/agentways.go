package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/shieldhq/shield/server"
)

// A way is one that the bytes of a backup take. Its name is that of its job.
type way struct {
	name, about   string
	target, store string // the agent of each; none: the daemon
}

var ways = []way{
	{"alone", "no agent", "", ""},
	{"direct", "target and store on the agent", agentName, agentName},
	{"relay", "target on the agent, store on the daemon", agentName, "daemon"},
}

// measureWays compares backups through an agent with one that has none.
func (b *bench) measureWays(ctx context.Context) (err error) {
	dir := b.path("ways")
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	p, err := newPlaces(dir, filepath.Join(dir, "source"))
	if err != nil {
		return err
	}
	size := 2 * b.size
	if err := oneFile(p.source, "random.bin", newNoise(6), size); err != nil {
		return err
	}
	if err := errors.Join(warm(p.source), touch(b.path("touched"), 2*size)); err != nil {
		return err
	}
	s, err := startAgentSystem(ctx, b.bin, p.scratch)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	for _, w := range ways {
		if err := s.prepare(ctx, w, p); err != nil {
			return err
		}
	}
	for round := range b.rounds {
		for i := range ways {
			w := ways[(i+round)%len(ways)] // none is always the first
			used, err := s.backup(ctx, w, p)
			if err != nil {
				return fmt.Errorf("%s, round %d: %w", w.name, round+1, err)
			}
			fmt.Fprintf(os.Stderr, "agent/%s, round %d: %s\n", w.name, round+1, used)
			b.report.agents.ways = append(b.report.agents.ways, result{contender: w.name, size: size, backup: used})
		}
	}
	return nil
}

// prepare makes the job of a way, and has it back up and restore once. So
// modules are where they are needed, and it is known that the way works.
func (s *agentSystem) prepare(ctx context.Context, w way, p places) error {
	folder := func(dir string) string { return fmt.Sprintf(`{"base_dir": %q}`, dir) }
	for _, args := range [][]string{
		{"create", "target", "--name", w.name, "--plugin", "fs", "--endpoint", folder(p.source), "--agent", w.target},
		{"create", "target", "--name", w.name + "-out", "--plugin", "fs", "--endpoint", folder(p.out), "--agent", w.target},
		{"create", "store", "--name", w.name, "--plugin", "fs", "--endpoint", folder(p.store), "--agent", w.store},
		{"create", "schedule", "--name", w.name, "--timespec", "daily " + farAway(time.Now())},
		{"create", "retention", "policy", "--name", w.name, "--expiry", "30d"},
		{"create", "job", "--name", w.name, "--target", w.name, "--store", w.name, "--schedule", w.name, "--retention-policy", w.name},
	} {
		if _, err := s.cli(ctx, args...); err != nil {
			return err
		}
	}
	t, err := s.client.RunJob(ctx, w.name)
	if err == nil {
		err = s.done(ctx, t.UUID)
	}
	if err == nil {
		t, err = s.client.Restore(ctx, t.Archive, server.RestoreRequest{Target: w.name + "-out", Confirm: w.name + "-out"})
	}
	if err == nil {
		err = s.done(ctx, t.UUID)
	}
	if err == nil {
		err = sameContent(p.source, p.out)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", w.name, err)
	}
	return errors.Join(empty(p.out), empty(p.store))
}

// backup runs the job of a way, and removes what it has stored.
func (s *agentSystem) backup(ctx context.Context, w way, p places) (cost, error) {
	used, err := s.work(ctx, "run", "job", w.name, "--wait")
	return used, errors.Join(err, empty(p.store))
}

// empty removes what is in a folder.
func empty(dir string) error {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
	}
	return err
}
