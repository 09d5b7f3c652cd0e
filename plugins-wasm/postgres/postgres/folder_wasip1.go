package postgres

import (
	"path"

	"github.com/shieldhq/shield/plugin/pdk"
)

// listed returns the name of one file in a folder, empty if there is none. A
// folder that does not exist is fs.ErrNotExist.
func listed(dir string) (name string, err error) {
	d, err := pdk.OpenFolder(dir)
	if err != nil {
		return "", err
	}
	defer func() { _ = d.Close() }()
	err = d.Names(func(n string, _ uint32) { name = n })
	return name, err
}

// has reports whether a folder has a file.
func has(dir, name string) bool {
	d, err := pdk.OpenFolder(path.Join(dir, path.Dir(name)))
	if err != nil {
		return false
	}
	defer func() { _ = d.Close() }()
	_, err = d.Stat(path.Base(name), 0)
	return err == nil
}
