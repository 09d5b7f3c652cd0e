package fs

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
)

// smallSize is the size up to which a file is read before it is made. It is
// then made under its own name at once, without a temporary one: nothing can
// interrupt it but the file system.
const smallSize = 128 << 10

// sentLimit bounds the memory for the names that the pool may be at.
const sentLimit = 16 << 10

// place restores a file that is no folder. Its error is about the stream.
func (r *restore) place(d *dir, last, name string, h *header) error {
	switch h.kind {
	case kindFile:
		if !h.sparse && h.size <= smallSize {
			return r.small(d, last, name, h)
		}
		return r.large(d, last, h)
	case kindLink:
		r.link(d, last, h)
	case kindSymlink:
		r.other(d, last, h, func(n string) error { return d.symlink(h.link, n) })
	case kindFifo, kindChar, kindBlock:
		r.other(d, last, h, func(n string) error { return d.mknod(n, h.kind, h.major, h.minor) })
	default:
		r.issues.add(h.name, "is of kind %q, which is unknown", h.kind)
	}
	return nil
}

// small reads a file and hands it to the pool.
func (r *restore) small(d *dir, last, name string, h *header) error {
	if len(r.sent) >= sentLimit {
		r.settle()
	}
	buf := r.pool.buffer(h.size)
	if err := r.in.data(buf); err != nil {
		return err
	}
	r.sent[name] = true
	r.pool.send(job{d: d.retain(), name: last, h: h, data: buf})
	return nil
}

// makeSmall makes a file of which all is known.
func (s *shared) makeSmall(d *dir, name string, h *header, data []byte) {
	err := replace(d, name, func(n string) error { return s.makeWhole(d, n, h, data) })
	if err != nil {
		s.problem(h.name, err)
		return
	}
	s.done(&counts{files: 1, bytes: h.size})
}

// makeSteps makes a file that did not exist, step by step.
func (s *shared) makeSteps(d *dir, name string, h *header, data []byte) error {
	f, err := d.create(name)
	if err != nil {
		return err
	}
	if err = f.writeAt(data, 0); err == nil {
		s.dress(f, h)
	}
	return finishFile(d, name, f, err)
}

// finishFile closes a new file, and removes it if something failed.
func finishFile(d *dir, name string, f file, err error) error {
	if err2 := f.close(); err == nil {
		err = err2
	}
	if err != nil {
		_ = d.remove(name)
	}
	return err
}

// large streams a file to a temporary name. Its error is about the stream.
func (r *restore) large(d *dir, last string, h *header) error {
	temp := tempName()
	defer d.undo(temp)()
	f, err := d.create(temp)
	if err != nil {
		r.problem(h.name, err)
		return nil
	}
	damage, err := r.copy(f, h)
	if err == nil && damage == nil {
		r.dress(f, h)
	}
	if err == nil && damage != nil {
		_ = finishFile(d, temp, f, damage)
		return damage
	}
	if err = finishFile(d, temp, f, err); err == nil {
		err = install(d, temp, last)
	}
	if err != nil {
		r.problem(h.name, err)
		return nil
	}
	r.done(&counts{files: 1, bytes: total(dataOf(h))})
	return nil
}

// dataOf returns where a file has data.
func dataOf(h *header) []extent {
	if h.sparse {
		return h.extents
	}
	return []extent{{0, h.size}}
}

// copy writes the data to their places; what lies between becomes holes.
// damage is an error of the stream, err one of the file.
func (r *restore) copy(f file, h *header) (damage, err error) {
	if h.sparse {
		if err := f.truncate(h.size); err != nil {
			return nil, err
		}
	}
	for _, x := range dataOf(h) {
		for x.size > 0 {
			p, damage := r.in.chunk(x.size)
			if damage != nil {
				return damage, nil
			}
			if err := f.writeAt(p, x.off); err != nil {
				return nil, err
			}
			x.off += int64(len(p))
			x.size -= int64(len(p))
		}
	}
	return nil, nil
}

// link gives a file that was restored before a second name.
func (r *restore) link(d *dir, last string, h *header) {
	path, problem := splitName(h.link)
	if problem == "" && len(path) == 0 {
		problem = "base_dir cannot have a second name"
	}
	if problem != "" {
		r.issues.add(h.name, "is refused: it is a hard link to %q: %s", h.link, problem)
		return
	}
	r.settle()
	from, err := r.there.reach(path[:len(path)-1], false)
	if err != nil {
		r.unreached(h.name, err)
		return
	}
	first := path[len(path)-1]
	err = replace(d, last, func(n string) error { return from.link(first, d, n) })
	if err != nil {
		r.problem(h.name, fmt.Errorf("hard link to %s: %w", printable(h.link), cause(err)))
		return
	}
	r.done(&counts{links: 1})
}

// other makes a symlink, a FIFO or a device.
func (r *restore) other(d *dir, last string, h *header, create func(name string) error) {
	err := replace(d, last, func(n string) error {
		err := create(n)
		if err == nil {
			r.dress(d.named(n), h)
		}
		return err
	})
	if err != nil {
		r.problem(h.name, err)
		return
	}
	r.done(&counts{others: 1})
}

// replace makes a file under a name. If something has that name already, the
// file is made under another and takes its place, so that it is never written
// through a symlink or into a file with other names.
func replace(d *dir, name string, create func(name string) error) error {
	err := create(name)
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	temp := tempName()
	defer d.undo(temp)()
	if err := create(temp); err != nil {
		return err
	}
	return install(d, temp, name)
}

// install renames a file to its real name. An empty folder gives way.
func install(d *dir, temp, name string) error {
	err := d.rename(temp, name)
	if err != nil && isFolder(err) {
		if err = d.remove(name); err == nil {
			err = d.rename(temp, name)
		}
	}
	// Renaming does nothing if both are names of one file already.
	if err2 := d.remove(temp); err == nil && err2 != nil && !errors.Is(err2, fs.ErrNotExist) {
		err = err2
	}
	return err
}

func tempName() string { return fmt.Sprintf(".shield-restore-%016x", rand.Uint64()) }
