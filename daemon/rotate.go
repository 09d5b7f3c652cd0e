package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/keyring"
)

// keyringLock is held by who changes the keyring's file.
const keyringLock = "keyring.lock"

// How often a daemon looks whether its keyring has a new key, and for how long
// an old one stays after everything was sealed with the new one: a request that
// was going on then may still write what it has read before.
const (
	keysEvery = time.Second
	keysStay  = time.Hour
)

// RotateKeys gives the keyring of a data folder a new key, with which secrets
// are sealed from now on. A daemon that uses the folder seals all anew, which
// RotateKeys waits for until ctx is done; without one, the next does when it
// starts, and RotateKeys reports that none runs. It returns the id of the key.
func RotateKeys(ctx context.Context, data string) (id string, running bool, err error) {
	path := filepath.Join(data, keyringFile)
	err = changeKeyring(ctx, path, func(old []byte) (fresh []byte, err error) {
		fresh, id, err = keyring.Rotate(old, time.Now())
		return fresh, err
	})
	if err != nil {
		return "", false, err
	}
	for t := time.NewTicker(keysEvery / 4); ; {
		f, err := lock(filepath.Join(data, lockFile))
		if err == nil {
			t.Stop()
			return id, false, f.Close()
		}
		if !errors.Is(err, shield.Conflict) {
			t.Stop()
			return id, false, err
		}
		if k, err := readKeyring(path); err == nil && k.Sealed() && k.Current() == id {
			t.Stop()
			return id, true, nil
		}
		select {
		case <-ctx.Done():
			t.Stop()
			return id, true, shield.Errorf(shield.TimedOut, "", "the keyring has the new key %s, but the daemon has not sealed everything with it yet: its log tells why", id)
		case <-t.C:
		}
	}
}

func readKeyring(path string) (*keyring.Keyring, error) {
	if err := checkMode(path); err != nil {
		return nil, err
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("the keyring cannot be read: %w", err)
	}
	k, err := keyring.Parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return k, nil
}

// changeKeyring changes the file while nobody else does. It stays with its
// owner, who need not be who calls.
func changeKeyring(ctx context.Context, path string, change func(old []byte) ([]byte, error)) error {
	release, err := lockKeyring(ctx, filepath.Join(filepath.Dir(path), keyringLock))
	if err != nil {
		return err
	}
	defer release()
	if err := checkMode(path); err != nil {
		return err
	}
	old, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("the keyring cannot be read: %w", err)
	}
	fresh, err := change(old)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if string(fresh) == string(old) {
		return nil
	}
	return replaceDurably(path, fresh)
}

// lockKeyring waits for its turn.
func lockKeyring(ctx context.Context, path string) (release func(), err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("the keyring cannot be locked: %w", err)
	}
	if err := keepOwner(path, filepath.Dir(path)); err != nil {
		f.Close()
		return nil, err
	}
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) || !waitFor(ctx, 10*time.Millisecond) {
			f.Close()
			return nil, fmt.Errorf("the keyring cannot be locked: %w", err)
		}
	}
}

// waitFor reports whether ctx outlived it.
func waitFor(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// reloadKeyring takes over what another process has made of the keyring. One that
// could not open what this one has sealed is refused.
func (d *Daemon) reloadKeyring(path string) error {
	d.sealing.Lock()
	defer d.sealing.Unlock()
	if err := checkMode(path); err != nil {
		return err
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("the keyring cannot be read: %w", err)
	}
	fresh, err := keyring.Parse(data)
	if err == nil {
		err = d.keys.ring.Replaceable(fresh)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return d.keys.ring.Load(data)
}

// sealAll seals everything with the current key, and drops the keys that were
// retired before a time.
func (d *Daemon) sealAll(ctx context.Context, before time.Time) error {
	ring, path := d.keys.ring, filepath.Join(d.config.Data, keyringFile)
	if !ring.Retired() {
		return nil
	}
	n, err := d.catalog.Reseal(ctx, ring.Reseal)
	if err != nil {
		return err
	}
	if n > 0 {
		d.config.Log.Info("secrets are sealed with the new key", "endpoints", n, "key", ring.Current())
	}
	var fresh []byte
	var dropped []string
	err = changeKeyring(ctx, path, func(old []byte) ([]byte, error) {
		now, err := keyring.Parse(old)
		if err != nil {
			return nil, err
		}
		if now.Current() != ring.Current() { // rotated again meanwhile
			return old, nil
		}
		fresh, dropped, err = keyring.Settle(old, before)
		return fresh, err
	})
	if err != nil || fresh == nil {
		return err
	}
	if len(dropped) > 0 {
		d.config.Log.Info("keys that seal nothing any more are dropped", "keys", dropped)
	}
	return ring.Load(fresh)
}

// watchKeys looks for a new key until ctx is done.
func (d *Daemon) watchKeys(ctx context.Context) {
	path := filepath.Join(d.config.Data, keyringFile)
	var seen os.FileInfo // what was read at the start may be old by now
	failed := ""
	for waitFor(ctx, keysEvery) {
		now, err := os.Stat(path)
		if err != nil || seen != nil && os.SameFile(seen, now) && seen.ModTime().Equal(now.ModTime()) && seen.Size() == now.Size() {
			continue
		}
		if err := d.reloadKeyring(path); err != nil {
			if failed != err.Error() {
				failed = err.Error()
				d.config.Log.Error("the new keyring is not used: the old one stays in use", "err", err)
			}
			continue // mode or owner may be put right
		}
		seen, failed = now, ""
		d.trySealAll(ctx)
	}
}

// trySealAll seals everything anew, and drops keys that nobody can still be
// sealing with.
func (d *Daemon) trySealAll(ctx context.Context) {
	d.sealing.Lock()
	defer d.sealing.Unlock()
	if err := d.sealAll(ctx, time.Now().Add(-keysStay)); err != nil && ctx.Err() == nil {
		d.config.Log.Error("secrets are not sealed with the new key yet: the old keys stay", "err", err)
	}
}
