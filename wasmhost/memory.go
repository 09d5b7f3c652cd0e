package wasmhost

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/tetratelabs/wazero/experimental"

	"github.com/shieldhq/shield/plugin"
)

// The memory of a guest for which neither the plugin nor the grant says
// anything, and the most that WebAssembly can address.
const (
	memoryDefault plugin.Size = 256 << 20
	memoryMax     plugin.Size = 4 << 30
)

// memoryFor returns what a call may have: what the plugin wants, within the
// grant.
func memoryFor(needs, granted plugin.Size) int64 {
	if granted == 0 {
		granted = memoryDefault
	}
	if needs == 0 {
		needs = memoryDefault
	}
	return int64(min(needs, granted, memoryMax))
}

// A budget is the memory of one instance. An Extism module has two memories,
// its own and that of the kernel, which share it.
type budget struct {
	limit   int64
	used    atomic.Int64
	refused atomic.Bool // something was not given

	lending sync.RWMutex // held for reading by who reads what is lent
	freed   bool         // there is nothing to be read any more
}

// with returns a context in which modules take their memory from the budget.
func (b *budget) with(ctx context.Context) context.Context {
	return experimental.WithMemoryAllocator(ctx, experimental.MemoryAllocatorFunc(b.allocate))
}

func (b *budget) allocate(_, most uint64) experimental.LinearMemory {
	return &linear{budget: b, room: reserve(min(most, uint64(b.limit)))}
}

// linear is one memory.
type linear struct {
	budget *budget
	room   room
	size   int64
}

// Reallocate returns nil beyond the budget, which the guest sees as memory
// that cannot be had.
func (l *linear) Reallocate(size uint64) []byte {
	more := int64(size) - l.size
	if l.budget.used.Add(more) > l.budget.limit {
		l.budget.used.Add(-more)
		l.budget.refused.Store(true)
		return nil
	}
	l.size = int64(size)
	return l.room.resize(size)
}

// Free gives everything back, when nobody reads it any more.
func (l *linear) Free() {
	l.budget.lending.Lock()
	l.budget.freed = true
	l.budget.lending.Unlock()
	l.budget.used.Add(-l.size)
	l.size = 0
	l.room.free()
}

// A room is address space for a memory to grow in.
type room interface {
	resize(size uint64) []byte
	free()
}

// A heapRoom lies in the heap and is copied to grow.
type heapRoom struct{ b []byte }

func (h *heapRoom) resize(size uint64) []byte {
	if uint64(cap(h.b)) < size {
		b := make([]byte, size)
		copy(b, h.b)
		h.b = b
	}
	h.b = h.b[:size]
	return h.b
}

func (h *heapRoom) free() { h.b = nil }
