package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/server"
)

// starts is how often the daemon is started, and how often a first byte is
// waited for.
const starts = 10

// measureStart times the daemon from its start until it listens: the first
// start on an empty folder, which makes catalog and keys, and further ones.
func (b *bench) measureStart(ctx context.Context) error {
	for i := range starts {
		var took [2]time.Duration
		dir := b.path(fmt.Sprint("start-", i))
		for again := range took {
			d, err := startDaemon(ctx, b.bin, dir)
			if err != nil {
				return err
			}
			took[again] = d.took
			_, err = d.client.Status(ctx) // it serves
			if err := errors.Join(err, d.stop()); err != nil {
				return err
			}
		}
		b.report.firstStart = append(b.report.firstStart, took[0])
		b.report.nextStart = append(b.report.nextStart, took[1])
	}
	return nil
}

// measureFirstByte times from the request to run a job until a file in the
// store holds a byte.
func (b *bench) measureFirstByte(ctx context.Context) (err error) {
	const small = 16 << 20 // enough for a task to be under way when its first byte arrives
	source := b.path("first-byte", "source")
	p, err := newPlaces(b.path("first-byte"), source)
	if err != nil {
		return err
	}
	if err := oneFile(source, "dump.sql", newDump(4), small); err != nil {
		return err
	}
	c := &shieldContender{bin: b.bin}
	defer func() { err = errors.Join(err, c.close(), os.RemoveAll(b.path("first-byte"))) }()
	if err := c.prepare(ctx, p); err != nil {
		return err
	}
	for range starts {
		took, err := c.daemon.firstByte(ctx, "job", p.store)
		if err != nil {
			return err
		}
		b.report.firstByte = append(b.report.firstByte, took)
	}
	return nil
}

// firstByte times from the request to run a job until a file in its store
// holds a byte.
func (d *daemon) firstByte(ctx context.Context, job, store string) (time.Duration, error) {
	before, _, err := treeSize(store)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	t, err := d.client.RunJob(ctx, job)
	if err != nil {
		return 0, err
	}
	for now := before; now <= before; {
		if time.Since(began) > time.Minute {
			return 0, errors.New("no byte reached the store within a minute")
		}
		time.Sleep(500 * time.Microsecond)
		if now, _, err = treeSize(store); err != nil {
			return 0, err
		}
	}
	took := time.Since(began)
	return took, d.done(ctx, t.UUID)
}

// done waits until a task has ended well.
func (d *daemon) done(ctx context.Context, task string) error {
	end, err := d.client.Wait(ctx, task, func(*server.FollowAnswer) {})
	if err == nil && end.Status != shield.TaskDone {
		err = fmt.Errorf("the task is %s: %s", end.Status, end.Error)
	}
	return err
}

// measureMemory looks whether the daemon's memory grows with what it backs
// up and restores.
func (b *bench) measureMemory(ctx context.Context) error {
	for _, size := range []int64{b.size, 2 * b.size} {
		peak, err := b.peakAt(ctx, size)
		if err != nil {
			return err
		}
		fmt.Fprintf(os.Stderr, "memory at %d MiB: %d MiB\n", size>>20, peak>>20)
		b.report.memory = append(b.report.memory, memory{size, peak})
	}
	return nil
}

func (b *bench) peakAt(ctx context.Context, size int64) (peak int64, err error) {
	source := b.path("memory", "source")
	p, err := newPlaces(b.path("memory"), source)
	if err != nil {
		return 0, err
	}
	if err := oneFile(source, "dump.sql", newDump(5), size); err != nil {
		return 0, err
	}
	c := &shieldContender{bin: b.bin}
	defer func() { err = errors.Join(err, c.close(), os.RemoveAll(b.path("memory"))) }()
	if err := c.prepare(ctx, p); err != nil {
		return 0, err
	}
	backup, err := c.backup(ctx)
	if err != nil {
		return 0, err
	}
	restore, _, err := c.restore(ctx)
	return max(backup.rss, restore.rss), err
}
