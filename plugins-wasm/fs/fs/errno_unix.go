//go:build unix || wasip1

package fs

import (
	"errors"
	"io/fs"
	"syscall"
)

var errNotDir error = syscall.ENOTDIR

// isNotDir is also true for a symlink that was not to be followed.
func isNotDir(err error) bool {
	return errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.ELOOP)
}

// isFolder is true if a folder is in the way of a rename; os.Root says then
// that something exists.
func isFolder(err error) bool {
	return errors.Is(err, syscall.EISDIR) || errors.Is(err, fs.ErrExist)
}

// isFatal is true for errors that the next file would meet as well.
func isFatal(err error) bool {
	for _, e := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EROFS, syscall.EIO, syscall.EMFILE, syscall.ENFILE} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// isLacking is true if the system, or the file system, cannot do it.
func isLacking(err error) bool {
	return errors.Is(err, errUnsupported) || errors.Is(err, syscall.ENOSYS) || errors.Is(err, syscall.ENOTSUP)
}
