package redis

import (
	"errors"
	"io/fs"
	"os"
	"path"
)

// aside is what names of files that were put aside end in.
const aside = ".before-restore"

// An undoing can put back what was there before.
type undoing struct {
	moved   []string // paths that were put aside
	removed []string // paths that were made
}

// place puts the file where the server will look for it when it starts: as its
// dump, and, if it starts from append-only files, as the first and only one of
// them too (from Redis 4 on these may begin with an RDB file).
func place(l *layout, dir, fresh string) (*undoing, error) {
	u := &undoing{}
	if l.aof {
		if err := u.placeAOF(l, dir, fresh); err != nil {
			return u, err
		}
	}
	if err := u.setAside(l.dump); err != nil {
		return u, err
	}
	u.removed = append(u.removed, l.dump)
	return u, os.Rename(fresh, l.dump)
}

func (u *undoing) placeAOF(l *layout, dir, fresh string) error {
	if l.aofDir == "" {
		name := path.Join(dir, l.aofBase)
		if err := u.setAside(name); err != nil {
			return err
		}
		u.removed = append(u.removed, name)
		return copyFile(fresh, name, dir)
	}
	folder := path.Join(dir, l.aofDir)
	if err := u.setAside(folder); err != nil {
		return err
	}
	u.removed = append(u.removed, folder)
	if err := os.Mkdir(folder, 0o755); err != nil {
		return err
	}
	if err := sameOwner(folder+aside, dir, folder); err != nil {
		return err
	}
	file, list, entry := l.base()
	if err := copyFile(fresh, path.Join(folder, file), dir); err != nil {
		return err
	}
	if err := os.WriteFile(path.Join(folder, list), []byte(entry), 0o600); err != nil {
		return err
	}
	return sameOwner(fresh, dir, path.Join(folder, list))
}

// copyFile copies a file, with its owner.
func copyFile(from, to, dir string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	if _, err := out.ReadFrom(in); err != nil {
		return err
	}
	if err := errors.Join(out.Sync(), out.Close()); err != nil {
		return err
	}
	return sameOwner(from, dir, to)
}

// setAside renames something, if it is there.
func (u *undoing) setAside(name string) error {
	if err := os.RemoveAll(name + aside); err != nil { // of a restore that was killed
		return err
	}
	err := os.Rename(name, name+aside)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		u.moved = append(u.moved, name)
	}
	return err
}

// undo removes what was made and puts back what was there.
func (u *undoing) undo() error {
	var errs []error
	for _, name := range u.removed {
		errs = append(errs, os.RemoveAll(name))
	}
	for _, name := range u.moved {
		errs = append(errs, os.Rename(name+aside, name))
	}
	return errors.Join(errs...)
}

// commit removes what was put aside.
func (u *undoing) commit() error {
	var errs []error
	for _, name := range u.moved {
		errs = append(errs, os.RemoveAll(name+aside))
	}
	return errors.Join(errs...)
}
