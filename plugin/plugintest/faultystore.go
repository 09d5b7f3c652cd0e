package plugintest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
)

type faultyStore struct {
	f *Faulty
	plugin.Store
}

var _ plugin.Store = (*faultyStore)(nil)

func (s *faultyStore) Put(ctx context.Context, key string, r io.Reader) (plugin.Stored, error) {
	if err := s.putEnds(ctx, key, r); err != nil {
		return plugin.Stored{}, err
	}
	if n, ok := s.f.has(PutLeavesPartial, key); ok {
		stored, err := s.Store.Put(ctx, key, io.LimitReader(r, n))
		return plugin.Stored{}, shield.FirstError(err, failed("%d bytes of %q were left behind", n, stored.Key))
	}
	if n, ok := s.f.has(PutDropsFrom, key); ok {
		return s.keepHead(ctx, key, r, n)
	}
	if _, ok := s.f.has(PutVanishes, key); ok {
		stored, err := s.Store.Put(ctx, key, r)
		return stored, shield.FirstError(err, s.Store.Delete(ctx, stored.Key))
	}
	if _, ok := s.f.has(PutIgnoresErrors, key); ok {
		return s.Store.Put(context.WithoutCancel(ctx), key, deafReader{r})
	}
	if n, ok := s.f.has(PutFull, key); ok {
		return s.putWithin(ctx, key, r, n)
	}
	stored, err := s.Store.Put(ctx, key, r)
	if err == nil {
		s.falsify(key, &stored)
	}
	return stored, err
}

// putEnds serves the faults that end a Put without storing anything.
func (s *faultyStore) putEnds(ctx context.Context, key string, r io.Reader) error {
	if err := s.f.unavailable(PutUnavailable, key); err != nil {
		return err
	}
	if n, ok := s.f.has(PutFailsAfter, key); ok {
		return readHead(ctx, r, n, failed("failed after %d bytes", n))
	}
	if n, ok := s.f.has(PutHangsAfter, key); ok {
		return shield.FirstError(readHead(ctx, r, n, nil), hang(ctx, n))
	}
	if n, ok := s.f.has(PutPanics, key); ok {
		return shield.FirstError(readHead(ctx, r, n, nil), doPanic(ctx, n))
	}
	return nil
}

func failed(format string, args ...any) error {
	return shield.Errorf(shield.StoreFailed, "", "fault: "+format, args...)
}

func (s *faultyStore) keepHead(ctx context.Context, key string, r io.Reader, n int64) (plugin.Stored, error) {
	var all bytes.Buffer
	if _, err := copyContext(ctx, &all, r); err != nil {
		return plugin.Stored{}, err
	}
	head := all.Bytes()[:min(n, int64(all.Len()))]
	stored, err := s.Store.Put(ctx, key, bytes.NewReader(head))
	stored.Size, stored.Digest = int64(all.Len()), digest(all.Bytes())
	return stored, err
}

// putWithin puts into a store with room for n bytes.
func (s *faultyStore) putWithin(ctx context.Context, key string, r io.Reader, n int64) (plugin.Stored, error) {
	room := n - s.f.usedExcept(key)
	full := failed("no space left: the store has room for %d bytes", n)
	stored, err := s.Store.Put(ctx, key, &quotaReader{r, room, full})
	if err != nil {
		return stored, err
	}
	s.f.use(stored.Key, max(0, stored.Size))
	return stored, nil
}

func (f *Faulty) usedExcept(key string) int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	var sum int64
	for k, n := range f.used {
		if k != key {
			sum += n
		}
	}
	return sum
}

func (f *Faulty) use(key string, n int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.used[key] = n
}

// A quotaReader fails when more than left bytes were read.
type quotaReader struct {
	r    io.Reader
	left int64
	full error
}

func (q *quotaReader) Read(p []byte) (int, error) {
	n, err := q.r.Read(p)
	if q.left -= int64(n); q.left < 0 {
		return 0, q.full
	}
	return n, err
}

func (s *faultyStore) falsify(key string, stored *plugin.Stored) {
	if n, ok := s.f.has(PutAcksFewer, key); ok {
		stored.Size -= n
	}
	if _, ok := s.f.has(PutAcksDigest, key); ok {
		stored.Digest = "blake3:" + strings.Repeat("0", 64)
	}
	if _, ok := s.f.has(PutAcksKey, key); ok {
		stored.Key += ".other"
	}
}

func (s *faultyStore) Get(ctx context.Context, key string) (io.ReadCloser, error) {
	if _, ok := s.f.has(GetPanics, key); ok {
		_ = doPanic(ctx, 0)
	}
	if err := s.f.unavailable(GetUnavailable, key); err != nil {
		return nil, err
	}
	r, err := s.Store.Get(ctx, key)
	if errors.Is(err, shield.NotFound) {
		if _, ok := s.f.has(GetEmpty, key); ok {
			return io.NopCloser(strings.NewReader("")), nil
		}
	}
	if err != nil {
		return nil, err
	}
	return &faultyBlob{ReadCloser: r, Reader: s.spoil(ctx, key, r)}, nil
}

// spoil wraps r into the faults that Get has for key.
func (s *faultyStore) spoil(ctx context.Context, key string, r io.Reader) io.Reader {
	if n, ok := s.f.has(GetFlips, key); ok {
		r = &flipReader{r, n}
	}
	if n, ok := s.f.has(GetTruncates, key); ok {
		r = io.LimitReader(r, n)
	}
	if n, ok := s.f.has(GetFailsAfter, key); ok {
		r = io.MultiReader(io.LimitReader(r, n), endReader(func() error { return failed("failed after %d bytes", n) }))
	}
	if n, ok := s.f.has(GetHangsAfter, key); ok {
		r = io.MultiReader(io.LimitReader(r, n), endReader(func() error { return hang(ctx, n) }))
	}
	return r
}

type faultyBlob struct {
	io.ReadCloser
	io.Reader
}

func (b *faultyBlob) Read(p []byte) (int, error) { return b.Reader.Read(p) }

// An endReader has no bytes and ends with an error.
type endReader func() error

func (e endReader) Read([]byte) (int, error) { return 0, e() }

// A flipReader inverts a bit of the byte that is at bytes further on.
type flipReader struct {
	r  io.Reader
	at int64
}

func (f *flipReader) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	if f.at >= 0 && f.at < int64(n) {
		p[f.at] ^= 1
	}
	f.at -= int64(n)
	return n, err
}

func (s *faultyStore) Delete(ctx context.Context, key string) error {
	if err := s.f.unavailable(DeleteUnavailable, key); err != nil {
		return err
	}
	if n, ok := s.f.has(DeleteHangs, key); ok {
		return hang(ctx, n)
	}
	if n, ok := s.f.has(DeleteLocked, key); ok {
		return lockedFor(key, time.Duration(n)*time.Second)
	}
	if _, ok := s.f.has(DeleteFails, key); ok {
		return failed("%q is not deleted", key)
	}
	if _, ok := s.f.has(DeleteLies, key); ok {
		return nil
	}
	err := s.Store.Delete(ctx, key)
	if err == nil {
		s.f.use(key, 0)
	}
	return err
}

func lockedFor(key string, d time.Duration) error {
	e := &shield.Error{Code: shield.Locked, Message: fmt.Sprintf("fault: %q is kept", key)}
	if d > 0 {
		e.Until = time.Now().Add(d).UTC()
	}
	return e
}

type faultyLister struct {
	f *Faulty
	plugin.Lister
}

func (l faultyLister) List(ctx context.Context, prefix string, yield func(plugin.Object) error) error {
	if err := l.f.unavailable(ListUnavailable, prefix); err != nil {
		return err
	}
	if n, ok := l.f.has(ListHangs, prefix); ok {
		return hang(ctx, n)
	}
	return l.Lister.List(ctx, prefix, func(o plugin.Object) error {
		if _, ok := l.f.has(ListMisses, o.Key); ok {
			return nil
		}
		return yield(o)
	})
}
