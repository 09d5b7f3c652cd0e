//go:build unix

package wasmhost

import "golang.org/x/sys/unix"

// A mapping is address space that the kernel gives pages to when they are
// touched, so that growing costs nothing and moves nothing.
type mapping struct{ b []byte }

func reserve(size uint64) room {
	if size == 0 {
		return &heapRoom{}
	}
	b, err := unix.Mmap(-1, 0, int(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON|mapNoReserve)
	if err != nil {
		return &heapRoom{}
	}
	return &mapping{b}
}

func (m *mapping) resize(size uint64) []byte { return m.b[:size:size] }

func (m *mapping) free() {
	if m.b != nil {
		_ = unix.Munmap(m.b) // fails for no mapping of ours
		m.b = nil
	}
}
