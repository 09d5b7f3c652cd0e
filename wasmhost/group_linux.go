package wasmhost

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// dependent lets the kernel kill a child if this process is killed: several
// that were orphaned by restarts would compile the same.
func dependent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }

// awaitExit waits for the end of a child but leaves it to be reaped, so that
// its number still is its group's.
func awaitExit(p *os.Process) bool {
	for {
		err := unix.Waitid(unix.P_PID, p.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if err != unix.EINTR {
			return err == nil
		}
	}
}
