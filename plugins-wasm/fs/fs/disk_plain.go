//go:build !linux && !wasip1

package fs

import (
	"io/fs"
	"os"
)

func openDisk(base string) (disk, error) { return openRootDisk(base) }

func sameFile(a, b fs.FileInfo) bool { return os.SameFile(a, b) }
