package fs

import (
	"errors"
	"io/fs"
)

// What a restore does with a file that exists.
const (
	conflictReplace = "replace"
	conflictKeep    = "keep"
	conflictNewer   = "newer"
	conflictFail    = "fail"
)

// yields reports whether what has a name makes way for a file of the archive.
// Nothing having it is as good.
func (r *restore) yields(d *dir, name string, h *header) bool {
	if r.conflict == conflictReplace {
		return true
	}
	st, err := d.lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return true
	}
	if err != nil {
		r.problem(h.name, err)
		return false
	}
	switch r.conflict {
	case conflictNewer:
		if st.mtime.before(h.mtime) {
			return true
		}
	case conflictFail:
		r.issues.add(h.name, "exists already, and conflict is %q: it stays as it is", conflictFail)
		return false
	}
	r.kept++
	return false
}
