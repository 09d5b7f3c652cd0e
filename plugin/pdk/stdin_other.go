//go:build !unix

package pdk

import "os"

// interruptible returns f: a WebAssembly guest is closed by its host.
func interruptible(f *os.File) *os.File { return f }
