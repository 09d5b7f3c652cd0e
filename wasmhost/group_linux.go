package wasmhost

import (
	"os"

	"golang.org/x/sys/unix"
)

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
