//go:build !linux

package wasmhost

import (
	"os"
	"syscall"
)

// awaitExit reports that it cannot wait for a child without reaping it.
func awaitExit(*os.Process) bool { return false }

func dependent() *syscall.SysProcAttr { return nil }
