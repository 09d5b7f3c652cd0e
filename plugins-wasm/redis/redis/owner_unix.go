//go:build unix

package redis

import (
	"os"
	"syscall"
)

// sameOwner gives a file to the owner of another one, or of the folder if
// that is not there.
func sameOwner(like, dir, name string) error {
	st, err := os.Lstat(like)
	if err != nil {
		if st, err = os.Lstat(dir); err != nil {
			return err
		}
	}
	sys, ok := st.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	return os.Lchown(name, int(sys.Uid), int(sys.Gid))
}
