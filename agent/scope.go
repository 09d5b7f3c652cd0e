package agent

import (
	"context"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/able"
	"github.com/shieldhq/shield/plugin"
)

// scoped bounds what an agent may do with a store that it uses through the
// daemon: a backup may write, look at and remove what is its own, a restore and
// its preflight may read their archive. Without that, one agent could remove the
// archives of all.
// What it does ends with its calls. Removed, if not nil, is told of each key
// that is removed; wrote reports whether a key may have been stored.
func scoped(s plugin.Store, t *shield.Task, c *calls, removed func(key string)) (_ plugin.Store, wrote func(key string) bool) {
	a := able.StoreAbilitiesOf(s)
	sc := &scope{Store: s, task: t, calls: c, read: []string{t.Key}, removed: removed}
	if t.Op == shield.OpBackup {
		sc.allow(t.Key)
	}
	bounded := able.StoreAbilities{}
	if a.Lister != nil {
		bounded.Lister = scopedLister{sc, a.Lister}
	}
	if a.Keeper != nil {
		bounded.Keeper = scopedKeeper{sc, a.Keeper}
	}
	return able.Store(sc, bounded), func(key string) bool { return sc.may(&sc.write, key) }
}

type scope struct {
	plugin.Store
	task    *shield.Task
	calls   *calls
	removed func(key string)

	mu sync.Mutex
	// read are the keys that may be read, and write those that may be written
	// and removed, too: a backup's own, those included that the store chose.
	read, write []string
}

// allow lets a blob and its manifest be read and written.
func (s *scope) allow(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.read = append(s.read, key, key+shield.ManifestSuffix)
	s.write = append(s.write, key, key+shield.ManifestSuffix)
}

func (s *scope) may(keys *[]string, key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Contains(*keys, key)
}

func (s *scope) forbidden(what, key string) error {
	return shield.Errorf(shield.Forbidden, "", "a %s of archive %s may not %s %.300q", s.task.Op, s.task.Archive, what, key)
}

// stored adds the key that a store chose for what is the backup's own.
func (s *scope) stored(ctx context.Context, key string, put func(context.Context) (plugin.Stored, error)) (plugin.Stored, error) {
	if !s.may(&s.write, key) {
		return plugin.Stored{}, s.forbidden("store", key)
	}
	ctx, leave, err := s.calls.enter(ctx)
	if err != nil {
		return plugin.Stored{}, err
	}
	defer leave()
	ack, err := put(ctx)
	if err == nil && ack.Key != "" {
		s.allow(ack.Key)
	}
	return ack, err
}

func (s *scope) Put(ctx context.Context, key string, r io.Reader) (plugin.Stored, error) {
	return s.stored(ctx, key, func(ctx context.Context) (plugin.Stored, error) { return s.Store.Put(ctx, key, r) })
}

func (s *scope) Get(ctx context.Context, key string) (io.ReadCloser, error) {
	if !s.may(&s.read, key) {
		return nil, s.forbidden("read", key)
	}
	ctx, leave, err := s.calls.enter(ctx)
	if err != nil {
		return nil, err
	}
	blob, err := s.Store.Get(ctx, key)
	if err != nil {
		leave()
		return nil, err
	}
	return &borrowed{blob, leave}, nil
}

func (s *scope) Delete(ctx context.Context, key string) error {
	if !s.may(&s.write, key) {
		return s.forbidden("remove", key)
	}
	ctx, leave, err := s.calls.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	if s.removed != nil {
		s.removed(key)
	}
	return s.Store.Delete(ctx, key)
}

type scopedLister struct {
	s     *scope
	inner plugin.Lister
}

func (l scopedLister) List(ctx context.Context, prefix string, yield func(plugin.Object) error) error {
	if !l.s.may(&l.s.read, prefix) {
		return l.s.forbidden("list", prefix)
	}
	ctx, leave, err := l.s.calls.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	return l.inner.List(ctx, prefix, func(o plugin.Object) error {
		if !l.s.may(&l.s.read, o.Key) {
			return nil
		}
		return yield(o)
	})
}

type scopedKeeper struct {
	s     *scope
	inner plugin.Keeper
}

func (k scopedKeeper) PutUntil(ctx context.Context, key string, r io.Reader, until time.Time) (plugin.Stored, error) {
	most := time.Now().Add(time.Duration(k.s.task.Retention)*time.Second + time.Hour)
	if until.After(most) {
		return plugin.Stored{}, k.s.forbidden("keep until "+until.UTC().Format(time.RFC3339), key)
	}
	return k.s.stored(ctx, key, func(ctx context.Context) (plugin.Stored, error) { return k.inner.PutUntil(ctx, key, r, until) })
}
