package task

import (
	"context"
	"io"
	"sync"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/able"
	"github.com/shieldhq/shield/plugin"
)

// CheckLimit reports what is wrong with a limit, its time zone included.
func CheckLimit(l *shield.Limit) error {
	_, err := newPace(l)
	return err
}

// A pace is a limit that can be asked.
type pace struct {
	limit shield.Limit
	zone  *time.Location
}

func newPace(l *shield.Limit) (*pace, error) {
	if err := l.Validate(); err != nil {
		return nil, err
	}
	zone, err := time.LoadLocation(l.Timezone)
	if err != nil {
		return nil, shield.FieldErrorf("limit.timezone", `%q is unknown: a name like "Europe/Rome" is wanted`, l.Timezone)
	}
	return &pace{*l, zone}, nil
}

func (p *pace) rates(now time.Time) (up, down int64) {
	up, down, _ = p.limit.Rates(now.In(p.zone)) // it was validated
	return up, down
}

// throttles holds what bounds the stores that tasks use at this moment, so
// that all tasks of one store share its limit.
type throttles struct {
	mu     sync.Mutex
	stores map[string]*throttle
	shares map[string]float64 // of limits that hold elsewhere, too
}

// share has a store's limit count by a share of it, above 0 and up to 1.
func (s *throttles) share(store string, share float64) {
	if !(share > 0 && share < 1) { // nor NaN
		share = 1
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shares == nil {
		s.shares = map[string]float64{}
	}
	s.shares[store] = share
	if share == 1 {
		delete(s.shares, store)
	}
	if t := s.stores[store]; t != nil {
		t.divide(share)
	}
}

// A throttle bounds one store.
type throttle struct {
	up, down bucket
	users    int

	mu    sync.Mutex
	pace  *pace
	share float64   // of the rates; 0: all
	asked time.Time // when the rates were looked up
}

// take returns the throttle of a store, with the limit as this task knows it:
// the task that began last counts. leave must be called when it has ended.
func (s *throttles) take(store string, l *shield.Limit) (t *throttle, leave func(), err error) {
	p, err := newPace(l)
	if err != nil {
		return nil, nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if t = s.stores[store]; t == nil {
		t = &throttle{}
		if s.stores == nil {
			s.stores = map[string]*throttle{}
		}
		s.stores[store] = t
	}
	t.users++
	t.follow(p)
	t.divide(s.shares[store])
	return t, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if t.users--; t.users == 0 {
			delete(s.stores, store)
		}
	}, nil
}

func (t *throttle) follow(p *pace) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.pace, t.asked = p, time.Time{}
}

func (t *throttle) divide(share float64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if share != t.share {
		t.share, t.asked = share, time.Time{}
	}
}

// part is the throttle's share of a rate.
func (t *throttle) part(rate int64) int64 {
	if rate == 0 || t.share == 0 {
		return rate
	}
	return max(int64(float64(rate)*t.share), 1)
}

// refresh looks up the rates once a second, so that windows begin and end in
// the middle of a stream.
func (t *throttle) refresh(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now.Sub(t.asked) < time.Second && !now.Before(t.asked) {
		return
	}
	t.asked = now
	up, down := t.pace.rates(now)
	t.up.set(t.part(up), now)
	t.down.set(t.part(down), now)
}

// A bucket lets a number of bytes a second pass, and a tenth of that at once.
type bucket struct {
	mu   sync.Mutex
	rate int64     // 0: no limit
	free time.Time // when all that has passed is paid for
}

func (b *bucket) set(rate int64, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if rate == b.rate {
		return
	}
	b.rate = rate
	if b.free.After(now) { // what is owed was owed at the old rate
		b.free = now
	}
}

// burst is how many bytes may pass at once; 0 for any number.
func (b *bucket) burst() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rate == 0 {
		return 0
	}
	return max(b.rate/10, 1)
}

// pay records n bytes that have passed and returns how long to wait for them.
func (b *bucket) pay(n int64, now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rate == 0 {
		return 0
	}
	if b.free.Before(now) {
		b.free = now
	}
	b.free = b.free.Add(time.Duration(float64(n) / float64(b.rate) * float64(time.Second)))
	return b.free.Sub(now)
}

// A slowReader gives no more than its bucket lets pass. The transfer is told
// when it waits for that, which is no idleness.
type slowReader struct {
	ctx  context.Context
	r    io.Reader
	t    *throttle
	b    *bucket
	told *transfer
}

func (s *slowReader) Read(p []byte) (int, error) {
	s.t.refresh(time.Now())
	if most := s.b.burst(); most > 0 && int64(len(p)) > most {
		p = p[:most]
	}
	n, err := s.r.Read(p)
	if wait := s.b.pay(int64(n), time.Now()); wait > 0 && n > 0 {
		s.told.throttled.Add(1)
		defer s.told.throttled.Add(-1)
		t := time.NewTimer(wait)
		defer t.Stop()
		select {
		case <-t.C:
		case <-s.ctx.Done():
			return n, context.Cause(s.ctx)
		}
	}
	return n, err
}

// limited returns the store with its streams bounded.
func (t *throttle) limited(s plugin.Store, told *transfer) plugin.Store {
	a := able.StoreAbilitiesOf(s)
	slow := &slowStore{s, t, told}
	if a.Keeper != nil {
		a.Keeper = slowKeeper{slow, a.Keeper}
	}
	return able.Store(slow, a)
}

type slowStore struct {
	plugin.Store
	t    *throttle
	told *transfer
}

func (s *slowStore) into(ctx context.Context, r io.Reader) io.Reader {
	return &slowReader{ctx, r, s.t, &s.t.up, s.told}
}

func (s *slowStore) Put(ctx context.Context, key string, r io.Reader) (plugin.Stored, error) {
	return s.Store.Put(ctx, key, s.into(ctx, r))
}

func (s *slowStore) Get(ctx context.Context, key string) (io.ReadCloser, error) {
	r, err := s.Store.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	return slowBlob{&slowReader{ctx, r, s.t, &s.t.down, s.told}, r}, nil
}

type slowBlob struct {
	io.Reader
	io.Closer
}

type slowKeeper struct {
	slow  *slowStore
	inner plugin.Keeper
}

func (k slowKeeper) PutUntil(ctx context.Context, key string, r io.Reader, until time.Time) (plugin.Stored, error) {
	return k.inner.PutUntil(ctx, key, k.slow.into(ctx, r), until)
}
