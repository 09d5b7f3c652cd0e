package postgres

import (
	"errors"
	"syscall"

	"github.com/shieldhq/shield/plugin/pdk"
)

// ownFolder gives a folder to the owner of a file in it, and only to it. A
// host without the file service gives all to its own user.
func ownFolder(dir, file string) error {
	d, err := pdk.OpenFolder(dir)
	if errors.Is(err, syscall.ENOSYS) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	fi, err := d.Stat(file, 0)
	if err != nil {
		return err
	}
	if err := d.Chmod("", 0o700); err != nil {
		return err
	}
	return d.Chown("", int(fi.UID), int(fi.GID))
}
