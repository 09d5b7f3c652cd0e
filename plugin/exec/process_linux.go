package exec

import (
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/shieldhq/shield"
)

// attributes puts the plugin into a group of its own and lets the kernel kill
// it if this process is killed.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// await returns when the leader has ended, without reaping it: as long as it
// is a zombie, its number and that of its group cannot be given to others, so
// the group can be killed safely.
func (p *process) await() {
	for {
		var info unix.Siginfo
		err := unix.Waitid(unix.P_PID, p.proc.Pid, &info, unix.WEXITED|unix.WNOWAIT, nil)
		if err != unix.EINTR {
			return
		}
	}
}

// secretFile returns an open file with the endpoint that no other process can
// name and nobody can change.
func secretFile(e shield.Endpoint) (*os.File, error) {
	fd, err := unix.MemfdCreate("shield-endpoint", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return secretPipe(e)
	}
	f := os.NewFile(uintptr(fd), "endpoint")
	if err := fill(f, e); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("the endpoint cannot be passed on: %w", err)
	}
	return f, nil
}

func fill(f *os.File, e shield.Endpoint) error {
	if _, err := f.Write(e); err != nil {
		return err
	}
	if _, err := f.Seek(0, 0); err != nil {
		return err
	}
	_, err := unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_WRITE|unix.F_SEAL_SEAL)
	return err
}

// pipeSize is the largest that an unprivileged process gets by default.
const pipeSize = 1 << 20

// enlarge makes fewer switches between the plugin and the host. It may be
// refused, since a user has a quota of pipe memory; then all goes on slower.
func enlarge(f *os.File) {
	control(f, func(fd int) { _, _ = unix.FcntlInt(uintptr(fd), unix.F_SETPIPE_SZ, pipeSize) })
}

// openProbe opens a reading end of the pipe that w writes to. It must be done
// when all is written: before, it would hide that the plugin has closed its
// own end.
func openProbe(w *os.File) (probe *os.File) {
	control(w, func(fd int) {
		probe, _ = os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", fd), os.O_RDONLY|unix.O_NONBLOCK, 0)
	})
	return probe
}

// buffered returns how many bytes wait in a pipe, 0 if that is unknown.
func buffered(f *os.File) int64 {
	n := 0
	control(f, func(fd int) { n, _ = unix.IoctlGetInt(fd, unix.TIOCINQ) })
	return int64(n)
}

// control calls fn with the descriptor of f. Fd would do the same but make
// the file blocking, and no deadline could end a Read.
func control(f *os.File, fn func(fd int)) {
	if c, err := f.SyscallConn(); err == nil {
		_ = c.Control(func(fd uintptr) { fn(int(fd)) })
	}
}
