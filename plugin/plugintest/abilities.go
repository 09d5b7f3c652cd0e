package plugintest

import (
	"context"
	"io"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/able"
	"github.com/shieldhq/shield/plugin"
)

// withTargetAbilities returns t with the optional interfaces that inner has
// and no others.
func withTargetAbilities(t *faultyTarget, inner plugin.Target) plugin.Target {
	a := able.TargetAbilitiesOf(inner)
	if a.Prober != nil {
		a.Prober = faultyProber{t.f, a.Prober}
	}
	if a.Inspector != nil {
		a.Inspector = faultyInspector{t.f, a.Inspector}
	}
	return able.Target(t, a)
}

// withStoreAbilities does the same for a store.
func withStoreAbilities(s *faultyStore, inner plugin.Store) plugin.Store {
	a := able.StoreAbilitiesOf(inner)
	if a.Lister != nil {
		a.Lister = faultyLister{s.f, a.Lister}
	}
	if a.Keeper != nil {
		a.Keeper = faultyKeeper{s, a.Keeper}
	}
	return able.Store(s, a)
}

type faultyProber struct {
	f     *Faulty
	inner plugin.Prober
}

func (p faultyProber) Probe(ctx context.Context) (plugin.Probe, error) {
	if _, ok := p.f.has(ProbeFails, ""); ok {
		return plugin.Probe{}, shield.Errorf(shield.TargetFailed, "", "fault: the probe has failed")
	}
	if _, ok := p.f.has(ProbeHangs, ""); ok {
		return plugin.Probe{}, hang(ctx, 0)
	}
	answer, err := p.inner.Probe(ctx)
	if n, ok := p.f.has(ProbeCounts, ""); ok && err == nil {
		answer.Counts = map[string]int64{"bytes": n}
	}
	return answer, err
}

type faultyInspector struct {
	f     *Faulty
	inner plugin.Inspector
}

func (i faultyInspector) Inspect(ctx context.Context, r io.Reader) (plugin.Probe, error) {
	if _, ok := i.f.has(InspectAccepts, ""); ok {
		_, err := copyContext(context.WithoutCancel(ctx), io.Discard, deafReader{r})
		return plugin.Probe{}, err
	}
	return i.inner.Inspect(ctx, r)
}

type faultyKeeper struct {
	s     *faultyStore
	inner plugin.Keeper
}

// PutUntil has the faults of Put.
func (k faultyKeeper) PutUntil(ctx context.Context, key string, r io.Reader, until time.Time) (plugin.Stored, error) {
	if _, ok := k.s.f.has(KeepForgets, key); ok {
		return k.s.Put(ctx, key, r)
	}
	s := &faultyStore{k.s.f, keeping{k.s.Store, k.inner, until}}
	return s.Put(ctx, key, r)
}

// keeping is a store whose Put keeps blobs until a time.
type keeping struct {
	plugin.Store
	keeper plugin.Keeper
	until  time.Time
}

func (k keeping) Put(ctx context.Context, key string, r io.Reader) (plugin.Stored, error) {
	return k.keeper.PutUntil(ctx, key, r, k.until)
}
