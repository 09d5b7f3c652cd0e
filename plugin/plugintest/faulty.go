package plugintest

import (
	"context"
	"sync"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
)

// A Fault is one way in which a plugin can go wrong. Each has a number n of
// bytes, ignored where none is mentioned.
type Fault string

// The faults of targets.
const (
	// TargetFailsAfter: Backup writes the first n bytes, or all if there are
	// fewer, and returns TargetFailed.
	TargetFailsAfter Fault = "target fails after"
	// TargetFailsAtEnd: Backup writes everything and returns TargetFailed.
	TargetFailsAtEnd Fault = "target fails at end"
	// TargetHangsAfter: Backup writes n bytes and waits until ctx is done,
	// whose cause it returns.
	TargetHangsAfter Fault = "target hangs after"
	// TargetDropsFrom: Backup writes the first n bytes only and returns nil.
	TargetDropsFrom Fault = "target drops from"
	// TargetPanics: Backup writes n bytes and panics.
	TargetPanics Fault = "target panics"
	// ProbeFails: Probe returns TargetFailed.
	ProbeFails Fault = "probe fails"
	// ProbeHangs: Probe waits until ctx is done, whose cause it returns.
	ProbeHangs Fault = "probe hangs"
	// ProbeCounts: Probe answers that the target holds n bytes.
	ProbeCounts Fault = "probe counts"
	// InspectAccepts: Inspect takes every stream for a whole one.
	InspectAccepts Fault = "inspect accepts"
	// RestoreFailsAfter: Restore reads n bytes, restores nothing and returns
	// TargetFailed.
	RestoreFailsAfter Fault = "restore fails after"
	// RestoreHangsAfter: Restore reads n bytes and waits until ctx is done,
	// whose cause it returns.
	RestoreHangsAfter Fault = "restore hangs after"
	// RestoreStopsAfter: Restore restores the first n bytes, reads no more
	// and returns nil.
	RestoreStopsAfter Fault = "restore stops after"
	// RestoreIgnoresErrors: Restore takes an error of its reader for the end
	// of the stream and returns nil.
	RestoreIgnoresErrors Fault = "restore ignores errors"
	// RestorePanics: Restore reads n bytes and panics.
	RestorePanics Fault = "restore panics"
)

// The faults of stores.
const (
	// PutFailsAfter: Put reads n bytes, or all if there are fewer, stores
	// nothing and returns StoreFailed.
	PutFailsAfter Fault = "put fails after"
	// PutLeavesPartial: Put stores the first n bytes under the wanted key and
	// returns StoreFailed.
	PutLeavesPartial Fault = "put leaves partial"
	// PutFull: the store has room for n bytes in all the blobs that were put
	// while the fault was set. A Put beyond reads until the room is used up,
	// stores nothing and returns StoreFailed. Delete makes room again.
	PutFull Fault = "put full"
	// PutHangsAfter: Put reads n bytes and waits until ctx is done, whose
	// cause it returns. It stores nothing.
	PutHangsAfter Fault = "put hangs after"
	// PutAcksFewer: Put stores everything and acknowledges n bytes fewer.
	PutAcksFewer Fault = "put acks fewer"
	// PutAcksDigest: Put stores everything and acknowledges a digest that is
	// well formed and wrong.
	PutAcksDigest Fault = "put acks digest"
	// PutAcksKey: Put stores everything under the wanted key and acknowledges
	// that key with ".other" at its end, where nothing is.
	PutAcksKey Fault = "put acks key"
	// PutDropsFrom: Put reads everything, stores the first n bytes and
	// acknowledges the size and the digest of everything.
	PutDropsFrom Fault = "put drops from"
	// PutVanishes: Put reads and acknowledges everything and stores nothing.
	PutVanishes Fault = "put vanishes"
	// PutIgnoresErrors: Put takes an error of its reader for the end of the
	// stream, and stores and acknowledges what came before it.
	PutIgnoresErrors Fault = "put ignores errors"
	// PutUnavailable: the first n Puts read nothing and return Unavailable.
	PutUnavailable Fault = "put unavailable"
	// PutPanics: Put reads n bytes and panics.
	PutPanics Fault = "put panics"
	// GetFlips: the lowest bit of the byte at offset n is inverted in what
	// Get gives.
	GetFlips Fault = "get flips"
	// GetTruncates: what Get gives ends with io.EOF after n bytes.
	GetTruncates Fault = "get truncates"
	// GetFailsAfter: what Get gives ends with StoreFailed after n bytes.
	GetFailsAfter Fault = "get fails after"
	// GetHangsAfter: what Get gives stops after n bytes until ctx is done.
	GetHangsAfter Fault = "get hangs after"
	// GetPanics: Get panics.
	GetPanics Fault = "get panics"
	// GetEmpty: Get of a key that is not there gives an empty blob.
	GetEmpty Fault = "get empty"
	// DeleteFails: Delete removes nothing and returns StoreFailed.
	DeleteFails Fault = "delete fails"
	// DeleteLies: Delete removes nothing and returns nil.
	DeleteLies Fault = "delete lies"
	// DeleteHangs: Delete waits until ctx is done, whose cause it returns.
	DeleteHangs Fault = "delete hangs"
	// DeleteLocked: Delete removes nothing and returns Locked, until n seconds
	// from now, or without a time if n is 0.
	DeleteLocked Fault = "delete locked"
	// DeleteUnavailable: the first n Deletes return Unavailable.
	DeleteUnavailable Fault = "delete unavailable"
	// GetUnavailable: the first n Gets return Unavailable.
	GetUnavailable Fault = "get unavailable"
	// KeepForgets: PutUntil stores the blob and does not keep it.
	KeepForgets Fault = "keep forgets"
	// ListMisses: List leaves out every blob.
	ListMisses Fault = "list misses"
	// ListHangs: List waits until ctx is done, whose cause it returns.
	ListHangs Fault = "list hangs"
	// ListUnavailable: the first n Lists return Unavailable.
	ListUnavailable Fault = "list unavailable"
)

// Faulty is a plugin with faults that can be switched on and off. Without
// any it behaves as the plugin inside. A call has the faults that were set
// when it began; several can be set at once. It is safe for concurrent use.
type Faulty struct {
	inner  plugin.Opener
	mu     sync.Mutex
	faults map[Fault]setting
	used   map[string]int64 // bytes put while PutFull was set, by key
	calls  map[Fault]int
}

type setting struct {
	n     int64
	match func(key string) bool
}

var _ plugin.Opener = (*Faulty)(nil)

// NewFaulty returns inner without faults.
func NewFaulty(inner plugin.Opener) *Faulty {
	return &Faulty{inner: inner, faults: map[Fault]setting{}, used: map[string]int64{}, calls: map[Fault]int{}}
}

// Set switches a fault on.
func (f *Faulty) Set(fault Fault, n int64) { f.SetWhere(fault, n, func(string) bool { return true }) }

// SetWhere switches a fault of stores on for calls whose key, for Put the
// wanted one, satisfies match.
func (f *Faulty) SetWhere(fault Fault, n int64, match func(key string) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults[fault] = setting{n, match}
}

// Clear switches all faults off.
func (f *Faulty) Clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.faults)
	clear(f.used)
}

// Hits returns how many calls had the fault.
func (f *Faulty) Hits(fault Fault) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[fault]
}

// has reports whether a call with key has a fault, and its number of bytes.
func (f *Faulty) has(fault Fault, key string) (int64, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s, ok := f.faults[fault]
	if !ok || !s.match(key) {
		return 0, false
	}
	f.calls[fault]++
	return s.n, true
}

// unavailable serves the faults that strike only so many times.
func (f *Faulty) unavailable(fault Fault, key string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	s, ok := f.faults[fault]
	if !ok || !s.match(key) || int64(f.calls[fault]) >= s.n {
		return nil
	}
	f.calls[fault]++
	return shield.Errorf(shield.Unavailable, "", "fault: not available, for the time being (%d of %d)", f.calls[fault], s.n)
}

// Info implements plugin.Opener.
func (f *Faulty) Info(ctx context.Context) (plugin.Info, error) { return f.inner.Info(ctx) }

// OpenTarget implements plugin.Opener.
func (f *Faulty) OpenTarget(ctx context.Context, e shield.Endpoint, log plugin.Log) (plugin.Target, error) {
	t, err := f.inner.OpenTarget(ctx, e, log)
	if err != nil {
		return nil, err
	}
	return withTargetAbilities(&faultyTarget{f, t}, t), nil
}

// OpenStore implements plugin.Opener.
func (f *Faulty) OpenStore(ctx context.Context, e shield.Endpoint, log plugin.Log) (plugin.Store, error) {
	s, err := f.inner.OpenStore(ctx, e, log)
	if err != nil {
		return nil, err
	}
	return withStoreAbilities(&faultyStore{f, s}, s), nil
}
