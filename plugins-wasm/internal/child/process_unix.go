//go:build unix

package child

import (
	"errors"
	"os/exec"
	"syscall"
)

// interrupt tells the program alone: what it has started is its own to end.
func interrupt(c *exec.Cmd) { _ = c.Process.Signal(syscall.SIGINT) }

// kill ends the program and what it has started.
func kill(c *exec.Cmd) { _ = syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }

func busy(err error) bool { return errors.Is(err, syscall.ETXTBSY) }
