//go:build !unix && !wasip1

package pdk

import "os"

// interruptible returns f: a waiting Read cannot be ended here.
func interruptible(f *os.File) *os.File { return f }
