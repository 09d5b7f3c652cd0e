//go:build unix

package exec

import (
	"errors"
	"os"
	"syscall"
)

func executable(fi os.FileInfo) bool { return fi.Mode()&0o111 != 0 }

func terminate(p *os.Process) { _ = syscall.Kill(-p.Pid, syscall.SIGTERM) }
func kill(p *os.Process)      { _ = syscall.Kill(-p.Pid, syscall.SIGKILL) }

func busy(err error) bool        { return errors.Is(err, syscall.ETXTBSY) }
func notRunnable(err error) bool { return errors.Is(err, syscall.ENOEXEC) }
func tooLong(err error) bool     { return errors.Is(err, syscall.E2BIG) }
