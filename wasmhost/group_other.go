//go:build !unix

package wasmhost

import (
	"os"
	"syscall"
)

func ownGroup() *syscall.SysProcAttr { return nil }

func killGroup(p *os.Process) error { return p.Kill() }

func closeOnExec(fd uintptr) { syscall.CloseOnExec(syscall.Handle(fd)) }
