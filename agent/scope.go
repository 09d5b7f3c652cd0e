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
// daemon: a backup may write, look at and remove what is its own, a restore may
// read its archive. Without that, one agent could remove the archives of all.
func scoped(s plugin.Store, t *shield.Task) plugin.Store {
	a := able.StoreAbilitiesOf(s)
	sc := &scope{Store: s, task: t}
	if t.Op == shield.OpBackup {
		sc.keys = []string{t.Key, t.Key + shield.ManifestSuffix}
	}
	bounded := able.StoreAbilities{}
	if a.Lister != nil {
		bounded.Lister = scopedLister{sc, a.Lister}
	}
	if a.Keeper != nil {
		bounded.Keeper = scopedKeeper{sc, a.Keeper}
	}
	return able.Store(sc, bounded)
}

type scope struct {
	plugin.Store
	task *shield.Task

	mu   sync.Mutex
	keys []string // the backup's own, those included that the store chose
}

func (s *scope) own(key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Contains(s.keys, key)
}

func (s *scope) forbidden(what, key string) error {
	return shield.Errorf(shield.Forbidden, "", "a %s of archive %s may not %s %.300q", s.task.Op, s.task.Archive, what, key)
}

// stored adds the key that a store chose for what is the backup's own.
func (s *scope) stored(key string, put func() (plugin.Stored, error)) (plugin.Stored, error) {
	if !s.own(key) {
		return plugin.Stored{}, s.forbidden("store", key)
	}
	ack, err := put()
	if err == nil && ack.Key != "" {
		s.mu.Lock()
		s.keys = append(s.keys, ack.Key, ack.Key+shield.ManifestSuffix)
		s.mu.Unlock()
	}
	return ack, err
}

func (s *scope) Put(ctx context.Context, key string, r io.Reader) (plugin.Stored, error) {
	return s.stored(key, func() (plugin.Stored, error) { return s.Store.Put(ctx, key, r) })
}

func (s *scope) Get(ctx context.Context, key string) (io.ReadCloser, error) {
	if !s.own(key) && (s.task.Op != shield.OpRestore || key != s.task.Key) {
		return nil, s.forbidden("read", key)
	}
	return s.Store.Get(ctx, key)
}

func (s *scope) Delete(ctx context.Context, key string) error {
	if !s.own(key) {
		return s.forbidden("remove", key)
	}
	return s.Store.Delete(ctx, key)
}

type scopedLister struct {
	s     *scope
	inner plugin.Lister
}

func (l scopedLister) List(ctx context.Context, prefix string, yield func(plugin.Object) error) error {
	if !l.s.own(prefix) {
		return l.s.forbidden("list", prefix)
	}
	return l.inner.List(ctx, prefix, func(o plugin.Object) error {
		if !l.s.own(o.Key) {
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
	return k.s.stored(key, func() (plugin.Stored, error) { return k.inner.PutUntil(ctx, key, r, until) })
}
