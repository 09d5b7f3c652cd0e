package sftp

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"

	"github.com/pkg/sftp"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
)

// checkBase looks for the base directory. It is not made if it is missing: that
// would fill the disk below a mount that failed.
func (c *client) checkBase() error {
	info, err := c.stat(c.base)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return shield.FieldErrorf("endpoint.base_dir", "%s does not exist on %s, or %s may not see it", c.base, c.addr, c.user)
	case err == nil && !info.IsDir():
		return shield.FieldErrorf("endpoint.base_dir", "%s on %s is not a folder", c.base, c.addr)
	}
	return err
}

func (c *client) stat(name string) (info os.FileInfo, err error) {
	err = c.do(func() (err error) {
		info, err = c.Stat(name)
		return err
	})
	return info, err
}

func (c *client) lstat(name string) (info os.FileInfo, err error) {
	err = c.do(func() (err error) {
		info, err = c.Lstat(name)
		return err
	})
	return info, err
}

func (c *client) list(folder string) (entries []os.FileInfo, err error) {
	err = c.do(func() (err error) {
		entries, err = c.ReadDir(folder)
		return err
	})
	return entries, err
}

// make makes the folders that are missing, and returns those that it has made.
func (c *client) make(folders []string) (made []string, err error) {
	missing := 0 // how many of the last
	for ; missing < len(folders); missing++ {
		info, err := c.stat(folders[len(folders)-1-missing])
		if err == nil && info.IsDir() {
			break
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%s: %w", folders[len(folders)-1-missing], err)
		}
	}
	for _, name := range folders[len(folders)-missing:] {
		err := c.do(func() error { return c.Mkdir(name) })
		if err == nil || isLost(err) { // perhaps it was made
			made = append(made, name)
		}
		if err == nil {
			continue
		}
		// Somebody else may have made it meanwhile, which has no code.
		if info, statErr := c.stat(name); statErr != nil || !info.IsDir() {
			return made, fmt.Errorf("%s: %w", name, err)
		}
	}
	return made, nil
}

// prune removes folders that are empty, the innermost first. Servers refuse to
// remove others.
func (c *client) prune(folders []string) {
	for _, name := range slices.Backward(folders) {
		if c.do(func() error { return c.RemoveDirectory(name) }) != nil {
			return
		}
	}
}

// remove removes a file, or does nothing if there is none. Folders stay.
func (c *client) remove(name string) error {
	info, err := c.lstat(name)
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.IsDir() {
		return nil
	}
	if err == nil {
		err = c.do(func() error { return c.Remove(name) })
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if _, err := c.lstat(name); err == nil {
		return shield.Errorf(shield.StoreFailed, "", "the server has acknowledged the removal, and %s is still there", name)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// removePartials removes what unfinished Puts of a file have left.
func (c *client) removePartials(name string) error {
	folder, base := path.Split(name)
	entries, err := c.list(path.Clean(folder))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if isPartialOf(e.Name(), base) {
			if err := c.remove(path.Join(folder, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

const statVFS = "statvfs@openssh.com"

// room asks how much room there is; ok is false if the server does not tell.
func (c *client) room(folder string) (v *sftp.StatVFS, ok bool, err error) {
	if _, offered := c.HasExtension(statVFS); !offered {
		return nil, false, nil
	}
	err = c.do(func() (err error) {
		v, err = c.StatVFS(folder)
		return err
	})
	if err != nil {
		if isLost(err) {
			return nil, false, err
		}
		return nil, false, nil // says that it can, and cannot
	}
	return v, v.Blocks > 0, nil
}

// checkRoom returns an error if a folder is on a full disk, and else logs how
// much room there is, if a log is given.
func (c *client) checkRoom(folder string, log plugin.Log) error {
	v, ok, err := c.room(folder)
	if err != nil || !ok {
		return err
	}
	free, all := v.Bavail*v.Frsize, v.Blocks*v.Frsize
	switch {
	case free == 0:
		return shield.Errorf(shield.StoreFailed, "", "no space is left on the server: none of %s is free", size(all))
	case v.Files > 0 && v.Favail == 0:
		return shield.Errorf(shield.StoreFailed, "", "no space is left on the server: all of its %d inodes are in use", v.Files)
	case log != nil:
		log(fmt.Sprintf("%s of %s free in %s", size(free), size(all), folder))
	}
	return nil
}

// size shows a number of bytes.
func size(n uint64) string {
	const units = "KMGTPE"
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	f, unit := float64(n)/1024, 0
	for f >= 1024 && unit < len(units)-1 {
		f /= 1024
		unit++
	}
	return fmt.Sprintf("%.1f %ciB", f, units[unit])
}
