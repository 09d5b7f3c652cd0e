package plugintest

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
)

// checkList: what was put is listed with its size, under its prefix only, and
// an error of yield ends the list.
func checkList(ctx context.Context, s *suite) error {
	st, err := s.store(ctx)
	if err != nil {
		return err
	}
	l, ok := st.(plugin.Lister)
	if !ok {
		return nil
	}
	want := map[string]int64{}
	for n := range int64(3) {
		key, err := put(ctx, st, fmt.Sprintf("%slist/%d", s.cfg.Prefix, n), n*10)
		if err != nil {
			return err
		}
		want[key] = n * 10
	}
	err = shield.FirstError(listed(ctx, l, s.cfg.Prefix, want), listStops(ctx, l, s.listed()))
	for key := range want {
		err = shield.FirstError(err, remove(ctx, st, key))
	}
	return err
}

func listed(ctx context.Context, l plugin.Lister, prefix string, want map[string]int64) error {
	for key, size := range want {
		found := 0
		err := l.List(ctx, key, func(o plugin.Object) error {
			if o.Key == key && o.Size != size {
				return fmt.Errorf("%q is listed with %d bytes of %d", key, o.Size, size)
			}
			if o.Key == key {
				found++
			}
			return nil
		})
		if err == nil && found != 1 {
			err = fmt.Errorf("%q is listed %d times, want once", key, found)
		}
		if err != nil {
			return err
		}
	}
	return l.List(ctx, prefix+"nothing-begins-so", func(o plugin.Object) error {
		return fmt.Errorf("%q is listed under a prefix that it does not have", o.Key)
	})
}

func listStops(ctx context.Context, l plugin.Lister, prefix string) error {
	enough := errors.New("enough")
	calls := 0
	err := l.List(ctx, prefix, func(plugin.Object) error { calls++; return enough })
	if calls != 1 || !errors.Is(err, enough) {
		return fmt.Errorf("list called yield %d times and returned %v after its first error", calls, err)
	}
	return nil
}

// checkCloseEarly: a blob may be closed before its end, and is whole after.
func checkCloseEarly(ctx context.Context, s *suite) error {
	st, err := s.store(ctx)
	if err != nil {
		return err
	}
	const size = 2 << 20
	key, err := put(ctx, st, s.cfg.Prefix+"early", size)
	if err != nil {
		return err
	}
	for _, n := range []int64{0, 1, 100_000} {
		r, err := st.Get(ctx, key)
		if err != nil {
			return err
		}
		if _, err := io.CopyN(io.Discard, r, n); err != nil {
			return fmt.Errorf("reading %d bytes: %w", n, err)
		}
		if err := soon("close", r.Close); err != nil {
			return err
		}
	}
	return shield.FirstError(verify(ctx, st, key, size), remove(ctx, st, key))
}

var errBroken = errors.New("plugintest: the input is broken")

// A brokenReader gives size bytes and then what end returns.
func brokenReader(size int64, end func() error) io.Reader {
	return io.MultiReader(Stream(size, seeded(size)), endReader(end))
}

var brokenSizes = []int64{0, 1, 300_000}

// checkPutFails: a Put whose input fails returns that error and leaves
// nothing.
func checkPutFails(ctx context.Context, s *suite) error {
	return eachBroken(ctx, s, "fails", func(st plugin.Store, key string, size int64) error {
		_, err := st.Put(ctx, key, brokenReader(size, func() error { return errBroken }))
		if !errors.Is(err, errBroken) {
			return fmt.Errorf("put whose input fails after %d bytes: the error is %v, want the input's", size, err)
		}
		return nil
	})
}

// checkPutCanceled: a Put that is canceled while it waits for input returns
// soon, with an error, and leaves nothing.
func checkPutCanceled(ctx context.Context, s *suite) error {
	return eachBroken(ctx, s, "canceled", func(st plugin.Store, key string, size int64) error {
		return putCanceled(ctx, st, key, size, func(ctx context.Context) error { return context.Cause(ctx) })
	})
}

// checkPutEndsCanceled is the same with an input that ends cleanly then: who
// stops a transfer may well close its pipe.
func checkPutEndsCanceled(ctx context.Context, s *suite) error {
	return eachBroken(ctx, s, "ends-canceled", func(st plugin.Store, key string, size int64) error {
		return putCanceled(ctx, st, key, size, func(context.Context) error { return io.EOF })
	})
}

func putCanceled(ctx context.Context, st plugin.Store, key string, size int64, end func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r := brokenReader(size, func() error {
		cancel()
		return end(ctx)
	})
	return soon("put after its cancellation", func() error {
		if _, err := st.Put(ctx, key, r); err == nil {
			return fmt.Errorf("put that was canceled after %d bytes returned no error", size)
		}
		return nil
	})
}

// eachBroken runs a Put that must fail, after several sizes, and looks for
// what it has left.
func eachBroken(ctx context.Context, s *suite, name string, fail func(st plugin.Store, key string, size int64) error) error {
	st, err := s.store(ctx)
	if err != nil {
		return err
	}
	for _, size := range brokenSizes {
		before, err := count(ctx, st, s.listed())
		if err != nil {
			return err
		}
		key := fmt.Sprintf("%sbroken-%s-%d", s.cfg.Prefix, name, size)
		if err := shield.FirstError(fail(st, key, size), gone(ctx, st, key)); err != nil {
			return err
		}
		if after, err := count(ctx, st, s.listed()); err != nil || after != before {
			return fmt.Errorf("there were %d blobs before the failed put and %d after it (%v)", before, after, err)
		}
		if err := st.Delete(ctx, key); err != nil {
			return fmt.Errorf("delete after a failed put: %w", err)
		}
	}
	return nil
}

// listed is the prefix of all that the suite looks at.
func (s *suite) listed() string {
	if s.cfg.Prefix == keyPrefix {
		return ""
	}
	return s.cfg.Prefix
}

// count returns how many blobs there are, 0 for a store that cannot list.
func count(ctx context.Context, st plugin.Store, prefix string) (n int, err error) {
	if l, ok := st.(plugin.Lister); ok {
		err = l.List(ctx, prefix, func(plugin.Object) error { n++; return nil })
	}
	return n, err
}

// checkGetCanceled: a reader does not end cleanly when its context is done.
func checkGetCanceled(ctx context.Context, s *suite) error {
	st, err := s.store(ctx)
	if err != nil {
		return err
	}
	const size = 4 << 20 // more than pipes hold
	key, err := put(ctx, st, s.cfg.Prefix+"get-canceled", size)
	if err != nil {
		return err
	}
	getCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	r, err := st.Get(getCtx, key)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	if _, err := io.CopyN(io.Discard, r, 1000); err != nil {
		return err
	}
	cancel()
	err = soon("get after its cancellation", func() error {
		if n, err := io.Copy(io.Discard, r); err == nil && n+1000 < size {
			return fmt.Errorf("the blob ended cleanly after %d bytes of %d when its context was done", n+1000, size)
		}
		return nil
	})
	return shield.FirstError(err, remove(ctx, st, key))
}
