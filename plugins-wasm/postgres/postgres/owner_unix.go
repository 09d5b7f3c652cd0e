//go:build unix

package postgres

import (
	"os"
	"path/filepath"
	"syscall"
)

// ownFolder gives a folder to the owner of a file in it, and only to it.
func ownFolder(dir, file string) error {
	if err := os.Chmod(dir, 0o700); err != nil {
		return err
	}
	fi, err := os.Stat(filepath.Join(dir, file))
	if err != nil {
		return err
	}
	st := fi.Sys().(*syscall.Stat_t)
	return os.Chown(dir, int(st.Uid), int(st.Gid))
}
