//go:build !wasip1

package pdk

import (
	"io"
	"os"
)

// Open opens a file for reading. In the sandbox its folder has to be granted,
// and Copy moves it on the host.
func Open(name string) (io.ReadCloser, error) { return os.Open(name) }
