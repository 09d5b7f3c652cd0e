package fs

import (
	"errors"
	"io/fs"
)

// A level is an open folder on the way from the base directory down. In a
// deep tree the upper ones are suspended: held by their identity alone.
type level struct {
	d    *dir // nil while suspended
	id   inode
	name string
}

func (l *level) suspend() {
	if l.d == nil {
		return
	}
	if l.id == (inode{}) {
		if st, err := l.d.stat(); err == nil {
			l.id = st.id
		}
	}
	l.d.release()
	l.d = nil
}

// resume opens a suspended level again, as the parent of sub. It stays
// suspended if sub was moved meanwhile.
func (l *level) resume(sub *level) {
	if l.d != nil || sub.d == nil {
		return
	}
	d, err := sub.d.parent()
	if err != nil {
		return
	}
	if st, err := d.stat(); err != nil || st.id != l.id {
		d.release()
		return
	}
	l.d = d
}

// A cursor is a way down from the base directory, kept open, since the next
// file is mostly near the last one.
type cursor struct {
	levels []*level // the first is the base directory, never suspended
}

func newCursor(base *dir) *cursor { return &cursor{[]*level{{d: base.retain()}}} }

// reach returns the folder at a path, without following symlinks. It makes
// what is missing if told to. The folder stays open until the next call.
func (c *cursor) reach(path []string, create bool) (*dir, error) {
	n := 0
	for n < len(path) && n+1 < len(c.levels) && c.levels[n+1].name == path[n] {
		n++
	}
	for n = c.back(n); n < len(path); n++ {
		d, err := c.top().open(path[n])
		if create && errors.Is(err, fs.ErrNotExist) {
			if err = c.top().mkdir(path[n], 0o777); err == nil {
				d, err = c.top().open(path[n])
			}
		}
		if err != nil {
			return nil, err
		}
		c.push(path[n], d)
	}
	return c.top(), nil
}

func (c *cursor) top() *dir { return c.levels[len(c.levels)-1].d }

func (c *cursor) push(name string, d *dir) {
	c.levels = append(c.levels, &level{d: d, name: name})
	if n := len(c.levels) - handleLimit; n > 1 {
		c.levels[n-1].suspend()
	}
}

// back closes the levels below the n-th. It ends higher up if the n-th was
// suspended and is not where it was.
func (c *cursor) back(n int) int {
	for last := len(c.levels) - 1; last > n || c.levels[last].d == nil; last-- {
		c.levels[last-1].resume(c.levels[last])
		c.levels[last].suspend()
		c.levels = c.levels[:last]
	}
	return len(c.levels) - 1
}

func (c *cursor) close() {
	for _, l := range c.levels {
		if l.d != nil {
			l.d.release()
		}
	}
}
