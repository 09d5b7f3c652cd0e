package pdk

import (
	"encoding/json"
	"syscall"
	"unsafe"

	"github.com/shieldhq/shield"
)

// The host functions of shield_v1, specified in docs/plugin-abi.md. A result
// below zero is a WASI error number, negated.

//go:wasmimport shield_v1 open
//go:noescape
func hostOpen(p unsafe.Pointer, n uint32) int32

//go:wasmimport shield_v1 read
//go:noescape
func hostRead(h int32, p unsafe.Pointer, n, flags uint32) int32

//go:wasmimport shield_v1 write
//go:noescape
func hostWrite(h int32, p unsafe.Pointer, n, flags uint32) int32

//go:wasmimport shield_v1 copy
func hostCopy(dst, src int32, limit int64) int64

//go:wasmimport shield_v1 poll
//go:noescape
func hostPoll(subs unsafe.Pointer, n uint32, ms int32) int32

//go:wasmimport shield_v1 stat
//go:noescape
func hostStat(h int32, p unsafe.Pointer, n uint32) int32

//go:wasmimport shield_v1 close
func hostClose(h int32) int32

// The flags of read and write. Without nonblock a call would hold up all
// goroutines: they share the one thread of a guest.
const (
	nonblock = 1
	shutting = 2 // a write of nothing ends the writing side
)

func isAgain(n int64) bool { return syscall.Errno(-n) == syscall.EAGAIN }

// hostError returns the error that a result stands for. One about something
// that is not granted is Forbidden.
func hostError(n int64) error {
	errno := syscall.Errno(-n)
	text, err := statText(-1)
	if err != nil || text == "" {
		return errno
	}
	e := &shield.Error{Message: text, Err: errno}
	switch errno {
	case syscall.EPERM:
		e.Code = shield.Forbidden
	case syscall.EINVAL:
		e.Code = shield.Invalid
	case syscall.ETIMEDOUT:
		e.Code = shield.TimedOut
	case syscall.ENOENT:
		e.Code = shield.NotFound
	default:
		e.Code = shield.Unavailable
	}
	return e
}

// statText returns what the host tells of a handle. It waits, so it is to be
// called for what poll has called ready.
func statText(h int32) (string, error) {
	buf := make([]byte, 512)
	for {
		n := hostStat(h, unsafe.Pointer(unsafe.SliceData(buf)), uint32(len(buf)))
		if n < 0 && h == -1 {
			return "", syscall.Errno(-n)
		}
		if n < 0 {
			return "", hostError(int64(n))
		}
		if int(n) <= len(buf) {
			return string(buf[:n]), nil
		}
		buf = make([]byte, n)
	}
}

// openHandle opens a descriptor: a value whose JSON has one key.
func openHandle(descriptor any) (int32, error) {
	b, err := json.Marshal(descriptor)
	if err != nil {
		return 0, err
	}
	h := hostOpen(unsafe.Pointer(unsafe.SliceData(b)), uint32(len(b)))
	if h < 0 {
		return 0, hostError(int64(h))
	}
	return h, nil
}
