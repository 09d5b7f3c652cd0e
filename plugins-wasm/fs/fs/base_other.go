//go:build !wasip1

package fs

import "os"

// makeBase makes the base directory with all above it, unless it is there.
func makeBase(path string, mode uint32) error { return os.MkdirAll(path, os.FileMode(mode)) }
