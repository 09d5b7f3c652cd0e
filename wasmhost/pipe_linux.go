package wasmhost

import (
	"errors"
	"os"
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

// pipeOf returns the pipe that an end belongs to, nil if it is none.
func pipeOf(end any) pipe {
	c, ok := end.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return nil
	}
	p := &rawPipe{raw: raw}
	err = raw.Control(func(fd uintptr) { p.room, _ = unix.FcntlInt(fd, unix.F_GETPIPE_SZ, 0) })
	if err != nil || p.room <= 0 {
		return nil
	}
	return p
}

type rawPipe struct {
	raw  syscall.RawConn
	room int
}

func (p *rawPipe) size() int { return p.room }

func (p *rawPipe) put(b []byte) (n int, err error) {
	closed := p.raw.Write(func(fd uintptr) bool {
		for {
			if n, err = unix.Write(int(fd), b); !errors.Is(err, unix.EINTR) {
				return true // never wait here
			}
		}
	})
	switch {
	case closed != nil:
		return 0, os.ErrClosed
	case errors.Is(err, unix.EAGAIN):
		return 0, nil
	case err != nil:
		return 0, os.NewSyscallError("write", err)
	}
	return n, nil
}
