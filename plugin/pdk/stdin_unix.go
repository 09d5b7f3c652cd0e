//go:build unix

package pdk

import (
	"os"
	"syscall"
)

// interruptible returns f in the mode in which a waiting Read can be ended.
// Only a pipe is changed: its reading end is this process's own, while a
// terminal's mode is shared with the shell.
func interruptible(f *os.File) *os.File {
	fi, err := f.Stat()
	if err != nil || fi.Mode()&os.ModeNamedPipe == 0 {
		return f
	}
	fd := int(f.Fd())
	if err := syscall.SetNonblock(fd, true); err != nil {
		return f
	}
	return os.NewFile(uintptr(fd), f.Name())
}
