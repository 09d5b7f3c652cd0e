package task

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugin/plugintest"
)

// purge removes the archive's blob and manifest, the manifest first: a blob
// without one is an orphan, which is never taken for an archive. It is Locked
// while the store keeps one of them. A blob that is not there is purged, and
// that it was not is said.
func (c *call) purge(ctx context.Context) (shield.TaskResult, error) {
	store, _, err := c.openStore(ctx)
	if err != nil {
		return shield.TaskResult{}, err
	}
	listed, err := c.lists(ctx, store, c.task.Key)
	if err != nil {
		return shield.TaskResult{}, c.blame(ctx, shield.StoreFailed, fmt.Errorf("purging %s: %w", c.task.Key, err))
	}
	for _, key := range []string{c.task.ManifestKey, c.task.Key} {
		if key == "" {
			continue
		}
		if err := c.remove(ctx, store, key); err != nil {
			return shield.TaskResult{}, c.blame(ctx, shield.StoreFailed, fmt.Errorf("purging %s: %w", key, err))
		}
		c.logf("purged %s", key)
	}
	if !listed {
		c.logf("the store had no blob %s before that", c.task.Key)
	}
	return shield.TaskResult{Absent: !listed}, stopped(ctx)
}

// lists reports whether the store lists a key; true if it cannot list.
func (c *call) lists(ctx context.Context, s plugin.Store, key string) (found bool, err error) {
	l, ok := s.(plugin.Lister)
	if !ok {
		return true, nil
	}
	err = c.again(ctx, "listing "+key, func() error {
		found = false
		return l.List(ctx, key, func(o plugin.Object) error {
			c.transfer.activity.Add(1)
			found = found || o.Key == key
			return nil
		})
	})
	return found, err
}

// remove deletes a blob and, where the store can list, looks that it is gone.
func (c *call) remove(ctx context.Context, s plugin.Store, key string) error {
	err := c.again(ctx, "deleting "+key, func() error { return s.Delete(ctx, key) })
	if _, can := s.(plugin.Lister); err != nil || !can {
		return err
	}
	listed, err := c.lists(ctx, s, key)
	if err == nil && listed {
		err = shield.Errorf(shield.StoreFailed, "", "it said that it deleted %s, but still lists it", key)
	}
	return err
}

// testStore has the plugin test the store, then stores a small blob, reads it
// back, deletes it and looks that it is gone: every permission that backups,
// restores and purges need, and the way from here to there.
func (c *call) testStore(ctx context.Context) error {
	store, _, err := c.openStore(ctx)
	if err != nil {
		return err
	}
	if t, ok := store.(plugin.Tester); ok {
		if err := c.onStore(ctx, func() error { return t.Test(ctx) }); err != nil {
			return c.blame(ctx, shield.StoreFailed, err)
		}
	}
	if err := c.tryStore(ctx, store); err != nil {
		return c.blame(ctx, shield.StoreFailed, err)
	}
	return stopped(ctx)
}

const probeSize = 4096

func (c *call) tryStore(ctx context.Context, s plugin.Store) (err error) {
	data := make([]byte, probeSize)
	_, _ = rand.Read(data) // never fails
	key := "shield-test/" + rand.Text()
	var ack plugin.Stored
	err = c.onStore(ctx, func() (err error) {
		ack, err = s.Put(ctx, key, bytes.NewReader(data))
		return err
	})
	if err != nil {
		return fmt.Errorf("storing a test blob: %w", err)
	}
	if ack.Key != "" {
		key = ack.Key
	}
	err = c.readsBack(ctx, s, key, ack.Size, data)
	if ctx.Err() != nil { // cleaning up is still due, but not for long
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), c.runner.opts.Grace)
		defer cancel()
	}
	if derr := c.remove(ctx, s, key); derr != nil && !errors.Is(derr, shield.Locked) {
		return shield.FirstError(err, fmt.Errorf("deleting the test blob: %w", derr))
	} else if derr != nil {
		// A store that keeps every blob for a time works as it should.
		c.logf("the test blob %s stays for the time being: %v", key, derr)
	}
	if err == nil {
		c.logf("stored, read back and deleted a blob of %d bytes", probeSize)
	}
	return err
}

func (c *call) readsBack(ctx context.Context, s plugin.Store, key string, size int64, data []byte) error {
	if size >= 0 && size != probeSize {
		return shield.Errorf(shield.StoreFailed, "", "it acknowledged %d bytes of the %d that it was given", size, probeSize)
	}
	return c.again(ctx, "reading "+key, func() error { return sameBlob(ctx, s, key, data) })
}

// checkStore runs the conformance suite on the store, below a prefix of its
// own.
func (c *call) checkStore(ctx context.Context) (shield.TaskResult, error) {
	o, err := c.runner.opts.Stores.Opener(c.task.StorePlugin)
	if err != nil {
		return shield.TaskResult{}, c.blame(ctx, shield.StoreFailed, err)
	}
	// What the suite opens is opened first: an endpoint that is wrong is one
	// error, and not one of each check.
	_, info, err := c.openStore(ctx)
	if err != nil {
		return shield.TaskResult{}, err
	}
	endpoint, err := info.Resolve(plugin.RoleStore, c.task.StoreEndpoint)
	if err != nil {
		return shield.TaskResult{}, c.blame(ctx, shield.StoreFailed, err)
	}
	found := &shield.Findings{}
	prefix := "plugintest/" + rand.Text() + "/"
	c.logf("checking store %s (%s) below %s", c.task.StoreName, c.task.StorePlugin, prefix)
	c.transfer.waiting.Add(1)
	defer c.transfer.waiting.Add(-1)
	plugintest.Check(ctx, o, plugintest.Config{
		StoreEndpoint: endpoint, Prefix: prefix,
		Each: func(r plugintest.Result) { c.checked(found, r) },
	})
	return shield.TaskResult{Findings: found}, shield.FirstError(stopped(ctx), verdictOf(found))
}

// checked records the result of one check.
func (c *call) checked(found *shield.Findings, r plugintest.Result) {
	c.transfer.activity.Add(1)
	check := shield.Check{Name: r.Name, Passed: r.Err == nil, Seconds: r.Took.Seconds()}
	if r.Err != nil {
		check.Error = r.Err.Error()
		c.logf("%s: FAILED after %.2f s: %v", r.Name, r.Took.Seconds(), r.Err)
	} else {
		c.logf("%s: passed in %.2f s", r.Name, r.Took.Seconds())
	}
	found.Checks = append(found.Checks, check)
}

func verdictOf(found *shield.Findings) error {
	var failed []string
	for _, check := range found.Checks {
		if !check.Passed {
			failed = append(failed, check.Name)
		}
	}
	if len(failed) == 0 {
		return nil
	}
	return shield.Errorf(shield.StoreFailed, "", "%d of %d checks failed: %s", len(failed), len(found.Checks), strings.Join(failed, ", "))
}
