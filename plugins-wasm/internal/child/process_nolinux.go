//go:build unix && !linux

package child

import (
	"io"
	"os/exec"
	"syscall"
)

// attributes puts the program into a group of its own, so that a signal to the
// plugin's leaves it time to clean up.
func attributes(c *exec.Cmd) { c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// unread is not known here.
func unread(io.WriteCloser) bool { return false }
