package task

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
)

// purge removes the archive's blob and manifest, the manifest first: a blob
// without one is an orphan, which is never taken for an archive.
func (c *call) purge(ctx context.Context) error {
	store, err := c.openStore(ctx)
	if err != nil {
		return err
	}
	for _, key := range []string{c.task.ManifestKey, c.task.Key} {
		if key == "" {
			continue
		}
		err := c.onStore(ctx, func() error { return remove(ctx, store, key) })
		if err != nil {
			return c.blame(ctx, shield.StoreFailed, fmt.Errorf("purging %s: %w", key, err))
		}
		c.logf("purged %s", key)
	}
	return stopped(ctx)
}

// remove deletes a blob and, where the store can list, looks that it is gone.
func remove(ctx context.Context, s plugin.Store, key string) error {
	if err := s.Delete(ctx, key); err != nil {
		return err
	}
	l, ok := s.(plugin.Lister)
	if !ok {
		return nil
	}
	return l.List(ctx, key, func(o plugin.Object) error {
		if o.Key == key {
			return shield.Errorf(shield.StoreFailed, "", "it said that it deleted %s, but still lists it", key)
		}
		return nil
	})
}

// testStore stores a small blob, reads it back, deletes it and looks that it
// is gone: every permission that backups, restores and purges need.
func (c *call) testStore(ctx context.Context) error {
	store, err := c.openStore(ctx)
	if err != nil {
		return err
	}
	if t, ok := store.(plugin.Tester); ok {
		if err := c.onStore(ctx, func() error { return t.Test(ctx) }); err != nil {
			return c.blame(ctx, shield.StoreFailed, err)
		}
	}
	err = c.onStore(ctx, func() error { return c.tryStore(ctx, store) })
	if err != nil {
		return c.blame(ctx, shield.StoreFailed, err)
	}
	c.logf("stored, read back and deleted a blob of %d bytes", probeSize)
	return stopped(ctx)
}

const probeSize = 4096

func (c *call) tryStore(ctx context.Context, s plugin.Store) (err error) {
	data := make([]byte, probeSize)
	_, _ = rand.Read(data) // never fails
	key := "shield-test/" + rand.Text()
	ack, err := s.Put(ctx, key, bytes.NewReader(data))
	if err != nil {
		return fmt.Errorf("storing a test blob: %w", err)
	}
	if ack.Key != "" {
		key = ack.Key
	}
	defer func() {
		if derr := remove(context.WithoutCancel(ctx), s, key); err == nil && derr != nil {
			err = fmt.Errorf("deleting the test blob: %w", derr)
		}
	}()
	if ack.Size >= 0 && ack.Size != probeSize {
		return shield.Errorf(shield.StoreFailed, "", "it acknowledged %d bytes of the %d that it was given", ack.Size, probeSize)
	}
	return sameBlob(ctx, s, key, data)
}
