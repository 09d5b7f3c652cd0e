//go:build !unix

package child

import (
	"io"
	"os/exec"
)

// There is no SIGINT here: programs are ended at once.

func attributes(*exec.Cmd)  {}
func busy(error) bool       { return false }
func interrupt(c *exec.Cmd) { kill(c) }
func kill(c *exec.Cmd)      { _ = c.Process.Kill() }

// unread is not known here.
func unread(io.WriteCloser) bool { return false }
