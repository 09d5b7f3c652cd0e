package redis

import (
	"path"

	"github.com/shieldhq/shield/plugin/pdk"
)

// sameOwner gives a file to the owner of another one, or of the folder if
// that is not there.
func sameOwner(like, dir, name string) error {
	info, err := lookAt(path.Dir(like), path.Base(like))
	if err != nil {
		if info, err = lookAt(dir, "."); err != nil {
			return err
		}
	}
	d, err := pdk.OpenFolder(path.Dir(name))
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Chown(path.Base(name), int(info.UID), int(info.GID))
}

func lookAt(dir, name string) (pdk.FileInfo, error) {
	d, err := pdk.OpenFolder(dir)
	if err != nil {
		return pdk.FileInfo{}, err
	}
	defer d.Close()
	return d.Stat(name, 0)
}
