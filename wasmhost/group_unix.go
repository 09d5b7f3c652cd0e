//go:build unix

package wasmhost

import (
	"os"
	"syscall"
)

func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

func killGroup(p *os.Process) error { return syscall.Kill(-p.Pid, syscall.SIGKILL) }

func closeOnExec(fd uintptr) { syscall.CloseOnExec(int(fd)) }
