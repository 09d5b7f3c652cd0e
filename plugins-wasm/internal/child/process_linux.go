package child

import (
	"io"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// attributes puts the program into a group of its own, so that a signal to the
// plugin's leaves it time to clean up, and has the kernel kill it when the
// plugin is killed.
func attributes(c *exec.Cmd) {
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// unread reports whether the program has not read all that was written to its
// input.
func unread(stdin io.WriteCloser) bool {
	f, ok := stdin.(*os.File)
	if !ok {
		return false
	}
	c, err := f.SyscallConn()
	if err != nil {
		return false
	}
	n := 0
	err = c.Control(func(fd uintptr) { n, _ = unix.IoctlGetInt(int(fd), unix.TIOCINQ) })
	return err == nil && n > 0
}
