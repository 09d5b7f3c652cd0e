package plugintest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/able"
	"github.com/shieldhq/shield/plugin"
)

// checkKept: a blob that is to be kept until a time is Locked before it, can
// be read meanwhile, and goes after it. Where the endpoint does not ask for
// locks it goes at once.
func checkKept(ctx context.Context, s *suite) error {
	st, err := s.store(ctx)
	if err != nil {
		return err
	}
	k, ok := st.(plugin.Keeper)
	if !ok {
		return nil
	}
	// A store that is slower than the time is asked again with more of it.
	for keep := 3 * time.Second; ; keep *= 2 {
		again, err := s.keepOnce(ctx, st, k, keep)
		if !again || err != nil {
			return err
		}
	}
}

const keptSize = 2000

// keepOnce asks to be called again if the time was over before the first
// Delete had ended.
func (s *suite) keepOnce(ctx context.Context, st plugin.Store, k plugin.Keeper, keep time.Duration) (again bool, err error) {
	until := time.Now().Add(keep)
	stored, err := k.PutUntil(ctx, s.cfg.Prefix+"kept", Stream(keptSize, seeded(keptSize)), until)
	if err != nil {
		return false, fmt.Errorf("put until %s: %w", until.Format(time.RFC3339), err)
	}
	err = st.Delete(ctx, stored.Key)
	early := time.Now().Before(until)
	switch {
	case err == nil && early && s.cfg.Keeps:
		return false, fmt.Errorf("%q was to be kept until %s and was deleted before", stored.Key, until.Format(time.RFC3339))
	case err == nil:
		return !early && s.cfg.Keeps, gone(ctx, st, stored.Key)
	case !errors.Is(err, shield.Locked):
		return false, fmt.Errorf("delete of %q, which is kept until %s: the error is %w (%q), want one of code %q", stored.Key, until.Format(time.RFC3339), err, shield.CodeOf(err), shield.Locked)
	}
	if told := shield.UntilOf(err); !told.IsZero() && told.Before(until.Add(-time.Second)) {
		return false, fmt.Errorf("%q was to be kept until %s and is said to be kept until %s", stored.Key, until.Format(time.RFC3339), told.Format(time.RFC3339))
	}
	return false, shield.FirstError(verify(ctx, st, stored.Key, keptSize), removeLater(ctx, st, stored.Key))
}

// removeLater removes a blob as soon as that can be.
func removeLater(ctx context.Context, st plugin.Store, key string) error {
	for {
		err := st.Delete(ctx, key)
		if err == nil {
			return gone(ctx, st, key)
		}
		if !errors.Is(err, shield.Locked) {
			return fmt.Errorf("delete of %q after it was kept: %w", key, err)
		}
		wait := time.NewTimer(200 * time.Millisecond)
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
			return fmt.Errorf("%q is still kept: %w", key, err)
		}
	}
}

// noting returns st, which notes under which keys something was stored.
func (s *suite) noting(st plugin.Store) plugin.Store {
	a := able.StoreAbilitiesOf(st)
	if a.Keeper != nil {
		a.Keeper = notingKeeper{s, a.Keeper}
	}
	return able.Store(notingStore{st, s}, a)
}

func (s *suite) note(keys ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, key := range keys {
		if key != "" && !slices.Contains(s.keys, key) {
			s.keys = append(s.keys, key)
		}
	}
}

type notingStore struct {
	plugin.Store
	s *suite
}

func (n notingStore) Put(ctx context.Context, key string, r io.Reader) (plugin.Stored, error) {
	stored, err := n.Store.Put(ctx, key, r)
	n.s.note(key, stored.Key)
	return stored, err
}

type notingKeeper struct {
	s     *suite
	inner plugin.Keeper
}

func (n notingKeeper) PutUntil(ctx context.Context, key string, r io.Reader, until time.Time) (plugin.Stored, error) {
	stored, err := n.inner.PutUntil(ctx, key, r, until)
	n.s.note(key, stored.Key)
	return stored, err
}

// checkLeft removes what other checks have left, which is a failure if there
// is any: each of them removes what it has stored.
func checkLeft(ctx context.Context, s *suite) error {
	st, err := s.store(ctx)
	if err != nil {
		return err
	}
	left, err := s.left(ctx, st)
	if err != nil || len(left) == 0 {
		return err
	}
	errs := []error{fmt.Errorf("the checks have left %q", left)}
	for _, key := range left {
		if err := st.Delete(ctx, key); err != nil {
			errs = append(errs, fmt.Errorf("delete of %q: %w", key, err))
		}
	}
	return errors.Join(errs...)
}

// left returns the keys of blobs that the suite has stored and that are still
// there: all below its prefix where the store lists, else those it noted.
func (s *suite) left(ctx context.Context, st plugin.Store) ([]string, error) {
	var left []string
	l, lists := st.(plugin.Lister)
	if lists {
		err := l.List(ctx, s.cfg.Prefix, func(o plugin.Object) error {
			left = append(left, o.Key)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	keys := slices.Clone(s.keys)
	s.mu.Unlock()
	for _, key := range keys {
		if lists && strings.HasPrefix(key, s.cfg.Prefix) {
			continue
		}
		if r, err := st.Get(ctx, key); err == nil {
			_ = r.Close()
			left = append(left, key)
		}
	}
	return left, nil
}
