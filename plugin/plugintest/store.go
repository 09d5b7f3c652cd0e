package plugintest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"
	"time"

	"github.com/zeebo/blake3"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
)

func storeChecks(big bool) []check {
	list := []check{
		{"store: nothing", roundTrip(0)},
		{"store: one byte", roundTrip(1)},
		{"store: 1 MiB", roundTrip(1 << 20)},
	}
	if big {
		list = append(list, check{"store: 1 GiB", roundTrip(1 << 30)})
	}
	return append(list,
		check{"store: get of a missing key", checkGetMissing},
		check{"store: delete twice", checkDeleteTwice},
		check{"store: put of an existing key", checkPutAgain},
		check{"store: odd keys", checkOddKeys},
		check{"store: concurrent puts", checkConcurrent},
		check{"store: list", checkList},
		check{"store: close before the end", checkCloseEarly},
		check{"store: input that fails leaves nothing", checkPutFails},
		check{"store: cancellation leaves nothing", checkPutCanceled},
		check{"store: an end after cancellation leaves nothing", checkPutEndsCanceled},
		check{"store: get is canceled", checkGetCanceled},
		check{"store: kept until", checkKept},
	)
}

// keyPrefix is the default of Config.Prefix.
const keyPrefix = "plugintest/"

func seeded(size int64) uint64 { return uint64(size) + 1 }

func roundTrip(size int64) func(context.Context, *suite) error {
	return func(ctx context.Context, s *suite) error {
		st, err := s.store(ctx)
		if err != nil {
			return err
		}
		return checkOne(ctx, st, fmt.Sprintf("%ssize-%d", s.cfg.Prefix, size), size)
	}
}

// checkOne stores, reads and removes one blob.
func checkOne(ctx context.Context, st plugin.Store, key string, size int64) error {
	key, err := put(ctx, st, key, size)
	if err != nil {
		return err
	}
	if err := verify(ctx, st, key, size); err != nil {
		return err
	}
	return remove(ctx, st, key)
}

// put stores a generated blob and checks the acknowledgement.
func put(ctx context.Context, st plugin.Store, key string, size int64) (string, error) {
	sums := map[string]hash.Hash{"sha256": sha256.New(), "blake3": blake3.New()}
	r := io.TeeReader(Stream(size, seeded(size)), io.MultiWriter(sums["sha256"], sums["blake3"]))
	stored, err := st.Put(ctx, key, r)
	switch {
	case err != nil:
		return "", fmt.Errorf("put of %d bytes: %w", size, err)
	case stored.Key == "":
		return "", errors.New("put acknowledged an empty key")
	case stored.Size != size && stored.Size != -1:
		return "", fmt.Errorf("put acknowledged %d bytes of %d", stored.Size, size)
	case stored.Digest == "":
		return stored.Key, nil
	}
	name, sum, _ := strings.Cut(stored.Digest, ":")
	if h := sums[name]; h == nil || hex.EncodeToString(h.Sum(nil)) != sum {
		return "", fmt.Errorf("put acknowledged the digest %s, which is not that of what was put", stored.Digest)
	}
	return stored.Key, nil
}

// verify compares a blob with the generated one of the same size.
func verify(ctx context.Context, st plugin.Store, key string, size int64) error {
	r, err := st.Get(ctx, key)
	if err != nil {
		return fmt.Errorf("get of %q: %w", key, err)
	}
	err = sameStream(r, Stream(size, seeded(size)))
	if closeErr := r.Close(); err == nil && closeErr != nil {
		err = fmt.Errorf("close: %w", closeErr)
	}
	if err != nil {
		return fmt.Errorf("get of %q: %w", key, err)
	}
	return nil
}

func sameStream(got, want io.Reader) error {
	a, b := make([]byte, 64<<10), make([]byte, 64<<10)
	for at := 0; ; {
		n, err := io.ReadFull(got, a)
		m, _ := io.ReadFull(want, b)
		if !bytes.Equal(a[:min(n, m)], b[:min(n, m)]) {
			return fmt.Errorf("the bytes differ within %d of offset %d", len(a), at)
		}
		at += n
		switch {
		case err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
			return fmt.Errorf("after %d bytes: %w", at, err)
		case n < m:
			return fmt.Errorf("it ends after %d bytes, too early", at)
		case n > m:
			return fmt.Errorf("it has more than the %d bytes that were put", at-n+m)
		case err != nil:
			return nil
		}
	}
}

// remove deletes a blob and makes sure that it is gone.
func remove(ctx context.Context, st plugin.Store, key string) error {
	if err := st.Delete(ctx, key); err != nil {
		return fmt.Errorf("delete of %q: %w", key, err)
	}
	return gone(ctx, st, key)
}

func gone(ctx context.Context, st plugin.Store, key string) error {
	r, err := st.Get(ctx, key)
	if err == nil {
		_ = r.Close()
	}
	if err := wantCode(fmt.Sprintf("get of %q, which must not be there", key), err, shield.NotFound); err != nil {
		return err
	}
	l, ok := st.(plugin.Lister)
	if !ok {
		return nil
	}
	return l.List(ctx, key, func(o plugin.Object) error {
		if o.Key == key {
			return fmt.Errorf("%q is listed but must not be there", key)
		}
		return nil
	})
}

func checkGetMissing(ctx context.Context, s *suite) error {
	st, err := s.store(ctx)
	if err != nil {
		return err
	}
	return gone(ctx, st, s.cfg.Prefix+"missing")
}

func checkDeleteTwice(ctx context.Context, s *suite) error {
	st, err := s.store(ctx)
	if err != nil {
		return err
	}
	key, err := put(ctx, st, s.cfg.Prefix+"twice", 10)
	if err != nil {
		return err
	}
	return shield.FirstError(remove(ctx, st, key), remove(ctx, st, key), remove(ctx, st, s.cfg.Prefix+"never"))
}

// checkPutAgain: a second blob under a key replaces the first, is refused, or
// gets another key. It never leaves a mixture.
func checkPutAgain(ctx context.Context, s *suite) error {
	st, err := s.store(ctx)
	if err != nil {
		return err
	}
	first, err := put(ctx, st, s.cfg.Prefix+"again", 3000)
	if err != nil {
		return err
	}
	second, err := put(ctx, st, s.cfg.Prefix+"again", 2000)
	if err != nil {
		return shield.FirstError(verify(ctx, st, first, 3000), remove(ctx, st, first))
	}
	if err := verify(ctx, st, second, 2000); err != nil {
		return err
	}
	if second != first {
		err = shield.FirstError(verify(ctx, st, first, 3000), remove(ctx, st, first))
	}
	return shield.FirstError(err, remove(ctx, st, second))
}

// oddKeys are keys that shells, URLs and file systems take for something
// else.
var oddKeys = []string{
	"with space", "ünïcödé/日本", "-dash", "--endpoint", "quote'\"`$HOME;", "a/b/c/d", "percent%2F%00",
	"plus+and&equals=?#", "back\\slash", "*[a-z]?{x,y}", "dot.", ".hidden", strings.Repeat("long", 40),
}

// checkOddKeys: each key works, or is refused without leaving anything.
func checkOddKeys(ctx context.Context, s *suite) error {
	st, err := s.store(ctx)
	if err != nil {
		return err
	}
	for n, name := range oddKeys {
		err := checkOne(ctx, st, s.cfg.Prefix+"odd/"+name, int64(100+n))
		if err != nil && !errors.Is(err, shield.Invalid) {
			return fmt.Errorf("the key %q: %w", name, err)
		}
	}
	return nil
}

func checkConcurrent(ctx context.Context, s *suite) error {
	st, err := s.store(ctx)
	if err != nil {
		return err
	}
	const puts = 8
	done := make(chan error, puts)
	for n := range puts {
		go func() {
			done <- guarded(func() error {
				return checkOne(ctx, st, fmt.Sprintf("%sconcurrent-%d", s.cfg.Prefix, n), int64(n)*40_000)
			})
		}()
	}
	var errs []error
	for range puts {
		errs = append(errs, <-done)
	}
	return errors.Join(errs...)
}

// soon fails if fn takes longer than patience.
func soon(what string, fn func() error) error {
	from := time.Now()
	err := fn()
	if took := time.Since(from); took > patience {
		return fmt.Errorf("%s took %s", what, took)
	}
	return err
}
