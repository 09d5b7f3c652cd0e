package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// dispatches is how many tasks are given to an agent, one after the other.
const dispatches = 200

// A dispatch is how long a task took to begin on an agent.
type dispatch struct {
	request time.Duration // since the request to run its job
	claim   time.Duration // since the daemon has claimed it
}

// measureDispatch times tasks until their agent has begun them, and until
// their first byte is in a store.
func (b *bench) measureDispatch(ctx context.Context) (err error) {
	dir := b.path("dispatch")
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	p, err := newPlaces(dir, filepath.Join(dir, "source"))
	if err != nil {
		return err
	}
	if err := oneFile(p.source, "dump.sql", newDump(7), 64<<10); err != nil {
		return err
	}
	s, err := startAgentSystem(ctx, b.bin, p.scratch)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	direct := ways[1]
	if err := s.prepare(ctx, direct, p); err != nil {
		return err
	}
	s.agent.forget()
	for range dispatches {
		took, err := s.dispatch(ctx, direct.name)
		if err != nil {
			return err
		}
		b.report.agents.dispatches = append(b.report.agents.dispatches, took)
	}
	for range starts {
		took, err := s.firstByte(ctx, direct.name, p.store)
		if err != nil {
			return err
		}
		b.report.agents.firstByte = append(b.report.agents.firstByte, took)
	}
	return nil
}

func (s *agentSystem) dispatch(ctx context.Context, job string) (d dispatch, err error) {
	asked := time.Now()
	t, err := s.client.RunJob(ctx, job)
	if err != nil {
		return d, err
	}
	began, err := s.agent.hasBegun(ctx, t.UUID)
	if err != nil {
		return d, err
	}
	if err := s.done(ctx, t.UUID); err != nil {
		return d, err
	}
	if t, err = s.client.Tasks().Get(ctx, t.UUID); err != nil {
		return d, err
	}
	return dispatch{began.Sub(asked), began.Sub(t.StartedAt)}, nil
}

// hasBegun waits until the agent has begun a task.
func (a *agentProcess) hasBegun(ctx context.Context, task string) (time.Time, error) {
	late := time.NewTimer(time.Minute)
	defer late.Stop()
	for {
		select {
		case b := <-a.began:
			if b.task == task {
				return b.at, nil
			}
		case <-late.C:
			return time.Time{}, fmt.Errorf("the agent has not begun task %s within a minute: %s", task, a.said())
		case <-ctx.Done():
			return time.Time{}, ctx.Err()
		}
	}
}

// forget drops the tasks that were begun so far.
func (a *agentProcess) forget() {
	for {
		select {
		case <-a.began:
		default:
			return
		}
	}
}
