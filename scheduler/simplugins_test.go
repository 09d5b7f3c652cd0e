package scheduler_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"time"

	"github.com/zeebo/blake3"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugin/plugintest"
)

// An opener opens the plugin "memory" with the faults that are drawn for each
// opening.
type opener struct{ p *process }

// A trouble is a fault and its number.
type trouble struct {
	fault plugintest.Fault
	n     func(r *rand.Rand) int64
}

func some(most int64) func(*rand.Rand) int64 {
	return func(r *rand.Rand) int64 { return 1 + r.Int64N(most) }
}

// Only faults that shield can notice are here: nobody can tell a dump that
// ends early and says that it ended well from a small one.
var targetTroubles = []trouble{
	{plugintest.TargetFailsAfter, some(20_000)}, {plugintest.TargetFailsAtEnd, some(1)}, {plugintest.TargetHangsAfter, some(20_000)},
	{plugintest.TargetPanics, some(20_000)}, {plugintest.ProbeFails, some(1)}, {plugintest.ProbeHangs, some(1)},
	{plugintest.RestoreFailsAfter, some(20_000)}, {plugintest.RestoreHangsAfter, some(20_000)}, {plugintest.RestoreStopsAfter, some(2000)},
	{plugintest.RestoreIgnoresErrors, some(1)}, {plugintest.RestorePanics, some(20_000)},
}

var storeTroubles = []trouble{
	{plugintest.PutFailsAfter, some(20_000)}, {plugintest.PutLeavesPartial, some(20_000)}, {plugintest.PutFull, some(30_000)},
	{plugintest.PutHangsAfter, some(20_000)}, {plugintest.PutAcksFewer, some(100)}, {plugintest.PutAcksDigest, some(1)},
	{plugintest.PutAcksKey, some(1)}, {plugintest.PutDropsFrom, some(500)}, {plugintest.PutVanishes, some(1)},
	{plugintest.PutIgnoresErrors, some(1)}, {plugintest.PutUnavailable, some(2)}, {plugintest.PutPanics, some(20_000)},
	{plugintest.GetFlips, some(500)}, {plugintest.GetTruncates, some(2000)}, {plugintest.GetFailsAfter, some(2000)},
	{plugintest.GetHangsAfter, some(2000)}, {plugintest.GetUnavailable, some(5)},
	{plugintest.DeleteFails, some(1)}, {plugintest.DeleteLies, some(1)}, {plugintest.DeleteHangs, some(1)},
	{plugintest.DeleteLocked, some(7200)}, {plugintest.DeleteUnavailable, some(5)},
	{plugintest.ListUnavailable, some(5)}, {plugintest.ListHangs, some(1)},
}

// faulty returns the plugin with the faults of one opening, how slow it is,
// and an error if it cannot be opened at all.
func (o *opener) faulty(what string, e shield.Endpoint, of []trouble) (*plugintest.Faulty, time.Duration, error) {
	r := o.p.draw(what + " " + nameOf(e))
	f := plugintest.NewFaulty(o.p.memory)
	slow := between(r, 0, pick(r, time.Second, 10*time.Second, time.Minute, 3*time.Minute))
	weather, _ := o.p.now()
	if r.Float64() >= weather.plugins {
		return f, slow, nil
	}
	switch r.IntN(10) {
	case 0:
		return nil, 0, shield.Errorf(shield.Unavailable, what, "connection refused")
	case 1:
		return f, between(r, 10*time.Minute, 40*time.Minute), nil
	}
	for range 1 + r.IntN(2) {
		t := of[r.IntN(len(of))]
		n := t.n(r)
		f.Set(t.fault, n)
		o.p.note("process %d: %s %s: %s (%d)", o.p.number, what, nameOf(e), t.fault, n)
	}
	return f, slow, nil
}

func (o *opener) Info(ctx context.Context) (plugin.Info, error) { return o.p.memory.Info(ctx) }

func (o *opener) OpenTarget(ctx context.Context, e shield.Endpoint, log plugin.Log) (plugin.Target, error) {
	f, slow, err := o.faulty("target", e, targetTroubles)
	if err != nil {
		return nil, err
	}
	t, err := f.OpenTarget(ctx, e, log)
	if err != nil {
		return nil, err
	}
	return &simTarget{o.p, t, nameOf(e), slow}, nil
}

func (o *opener) OpenStore(ctx context.Context, e shield.Endpoint, log plugin.Log) (plugin.Store, error) {
	f, slow, err := o.faulty("store", e, storeTroubles)
	if err != nil {
		return nil, err
	}
	s, err := f.OpenStore(ctx, e, log)
	if err != nil {
		return nil, err
	}
	return &simStore{o.p, s, nameOf(e), slow}, nil
}

func nameOf(e shield.Endpoint) string {
	var place struct{ Name string }
	_ = e.Decode(&place) // it was opened
	return place.Name
}

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}

// A simTarget is slow, and ends with its process.
type simTarget struct {
	p *process
	plugin.Target
	name string
	slow time.Duration
}

func (t *simTarget) Probe(ctx context.Context) (plugin.Probe, error) {
	if t.p.burnt() {
		return plugin.Probe{}, errDead
	}
	return t.Target.(plugin.Prober).Probe(ctx)
}

func (t *simTarget) Backup(ctx context.Context, w io.Writer) error {
	if err := wait(ctx, t.slow); err != nil {
		return err
	}
	return t.Target.Backup(ctx, simWriter{t.p, w})
}

func (t *simTarget) Restore(ctx context.Context, r io.Reader) error {
	if err := wait(ctx, t.slow); err != nil {
		return err
	}
	defer t.held() // also what a bad end has left there
	return t.Target.Restore(ctx, simReader{t.p, r})
}

// held notes what the target holds.
func (t *simTarget) held() {
	b, _ := t.p.memory.Target(t.name)
	t.p.mu.Lock()
	defer t.p.mu.Unlock()
	t.p.contents[digestOf(b)] = true
}

type simWriter struct {
	p *process
	w io.Writer
}

func (w simWriter) Write(b []byte) (int, error) {
	if w.p.burnt() {
		return 0, errDead
	}
	return w.w.Write(b)
}

// A simReader never shows a dead process the end of a stream.
type simReader struct {
	p *process
	r io.Reader
}

func (r simReader) Read(b []byte) (int, error) {
	n, err := r.r.Read(b)
	if r.p.burnt() {
		return 0, errDead
	}
	return n, err
}

// A simStore is slow, and ends with its process.
type simStore struct {
	p *process
	plugin.Store
	name string
	slow time.Duration
}

// A put is one that is under way. What it leaves behind when its process
// dies is half of it, or nothing.
type put struct {
	p         *process
	name, key string
	r         io.Reader
	b         bytes.Buffer
}

// Read ends the goroutine of a dead process, so that what it did not store by
// now it never will.
func (u *put) Read(b []byte) (int, error) {
	n, err := u.r.Read(b)
	u.p.running.Lock()
	u.b.Write(b[:n])
	u.p.running.Unlock()
	u.p.burnt()
	u.p.vanish()
	return n, err
}

func (u *put) leave() {
	if r := u.p.draw("leave"); r.IntN(2) == 0 {
		u.p.memory.SetBlob(u.name, u.key, u.b.Bytes()[:r.IntN(u.b.Len()+1)])
	}
}

func (s *simStore) Put(ctx context.Context, key string, r io.Reader) (plugin.Stored, error) {
	if err := wait(ctx, s.slow); err != nil {
		return plugin.Stored{}, err
	}
	s.p.burnt()
	s.p.vanish()
	u := &put{p: s.p, name: s.name, key: key, r: r}
	s.p.running.Lock()
	s.p.putting[u] = true
	s.p.running.Unlock()
	defer func() {
		s.p.running.Lock()
		delete(s.p.putting, u)
		s.p.running.Unlock()
	}()
	stored, err := s.Store.Put(ctx, key, u)
	s.p.burnt()
	s.p.vanish()
	return stored, err
}

func (s *simStore) Get(ctx context.Context, key string) (io.ReadCloser, error) {
	if s.p.burnt() {
		return nil, errDead
	}
	b, err := s.Store.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{simReader{s.p, b}, b}, nil
}

func (s *simStore) Delete(ctx context.Context, key string) error {
	if err := wait(ctx, s.slow/10); err != nil {
		return err
	}
	if s.p.burnt() {
		runtime.Goexit()
	}
	err := s.Store.Delete(ctx, key)
	if s.p.burnt() {
		runtime.Goexit()
	}
	return err
}

func (s *simStore) List(ctx context.Context, prefix string, yield func(plugin.Object) error) error {
	if s.p.burnt() {
		return errDead
	}
	return s.Store.(plugin.Lister).List(ctx, prefix, yield)
}

func digestOf(b []byte) string {
	sum := blake3.Sum256(b)
	return fmt.Sprintf("blake3:%x", sum)
}
