//go:build !unix

package exec

import (
	"os"
	"syscall"
)

// There are neither groups nor SIGTERM here: only the leader is ended, and at
// once.

func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{} }

func executable(os.FileInfo) bool { return true }

func terminate(p *os.Process) { kill(p) }
func kill(p *os.Process)      { _ = p.Kill() }

func busy(error) bool        { return false }
func notRunnable(error) bool { return false }
func tooLong(error) bool     { return false }
