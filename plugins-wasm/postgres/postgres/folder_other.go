//go:build !wasip1

package postgres

import (
	"os"
	"path/filepath"
)

// listed returns the name of one file in a folder, empty if there is none. A
// folder that does not exist is fs.ErrNotExist.
func listed(dir string) (string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) == 0 {
		return "", err
	}
	return entries[0].Name(), nil
}

// has reports whether a folder has a file.
func has(dir, name string) bool {
	_, err := os.Lstat(filepath.Join(dir, name))
	return err == nil
}
