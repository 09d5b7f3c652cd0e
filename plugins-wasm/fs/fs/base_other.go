//go:build !wasip1

package fs

import "os"

// makeBase makes the base directory with all above it, unless it is there.
func makeBase(path string, mode uint32) error { return os.MkdirAll(path, os.FileMode(mode)) }

// undo makes sure that a name goes if this process is stopped, until it is
// told that the name may stay. A process that is stopped sees to it itself.
func (d *dir) undo(string) (keep func()) { return func() {} }

// makeWhole makes a file that did not exist.
func (s *shared) makeWhole(d *dir, name string, h *header, data []byte) error {
	return s.makeSteps(d, name, h, data)
}

// worded returns an error in the words of this system.
func worded(err error) error { return err }
