package wasmhost

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// pipeSize is the largest that an unprivileged process gets by default.
const pipeSize = 1 << 20

// enlarge makes room for more in a pipe, which makes fewer switches between a
// program and the host. It may be refused, since a user has a quota of that
// memory; then all goes on slower.
func enlarge(pipe any) {
	c, ok := pipe.(syscall.Conn)
	if !ok {
		return
	}
	if raw, err := c.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { _, _ = unix.FcntlInt(fd, unix.F_SETPIPE_SZ, pipeSize) })
	}
}
