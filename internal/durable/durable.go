// Package durable writes files so that a crash leaves the old content or the
// new one.
package durable

import (
	"errors"
	"os"
	"path/filepath"
)

// Prefix begins the names of files that are not whole yet.
const Prefix = ".new-"

// WriteFile writes a file of mode 0600 by way of a temporary one in the same
// folder, whose name begins with Prefix. Adjust, if not nil, is called with the
// name of that before it takes the place of the file.
func WriteFile(path string, data []byte, adjust func(name string) error) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, Prefix+"*") // 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(data)
	if adjust != nil {
		err = errors.Join(err, adjust(f.Name()))
	}
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
