package fs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"path"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugins-wasm/internal/stream"
)

const (
	blobBuffer = 1 << 20
	// checkEvery is how much is written before the free space is looked at
	// again.
	checkEvery = 64 << 20
)

// Put stores a blob. It is written beside its final name, made durable, and
// only then given that name, which nothing else may have.
func (s *store) Put(ctx context.Context, key string, r io.Reader) (plugin.Stored, error) {
	const op = "fs.put"
	if err := checkKey(key); err != nil {
		return plugin.Stored{}, err
	}
	root, err := s.root(op)
	if err != nil {
		return plugin.Stored{}, err
	}
	defer root.Close()
	key = s.place(key)
	p := &put{store: s, root: root, key: key, temp: partial(key)}
	in := &stream.Reader{Ctx: ctx, R: r}
	size, err := p.run(in)
	switch {
	case err == nil:
		return plugin.Stored{Key: key, Size: size}, nil
	case in.Err != nil:
		return plugin.Stored{}, in.Err
	case errors.As(err, new(*shield.Error)):
		return plugin.Stored{}, err
	}
	return plugin.Stored{}, shield.Errorf(shield.StoreFailed, op, "%s: after %d bytes: %w", path.Join(s.BaseDir, key), p.written, cause(err))
}

// put is the state of one Put.
type put struct {
	*store
	root    disk
	key     string
	temp    string
	made    []string // folders, the outermost first
	written int64
	checked int64 // bytes written when the free space was last looked at
}

// run leaves nothing behind if it fails.
func (p *put) run(r *stream.Reader) (size int64, err error) {
	defer func() {
		if err != nil {
			p.prune(p.root, p.made)
		}
	}()
	if err := p.enough("fs.put", p.root); err != nil {
		return 0, err
	}
	if err := p.folders(); err != nil {
		return 0, err
	}
	f, err := p.create()
	if err != nil {
		return 0, err
	}
	// Closing comes last, since it ends the lock on the temporary name.
	defer f.Close()
	if size, err = p.fill(f, r); err == nil {
		// An end that comes after the cancellation may be no end at all.
		err = r.Done()
	}
	if err == nil {
		err = p.publish()
	}
	if err != nil {
		_ = p.root.Remove(p.temp)
		return 0, err
	}
	return size, p.settle()
}

// folders makes the folders of the key.
func (p *put) folders() error {
	for _, name := range parents(p.key) {
		err := p.root.Mkdir(name, p.folderMode())
		if err == nil {
			p.made = append(p.made, name)
			err = p.allow(func() error { return p.root.Chmod(name, p.folderMode()) }, 0o700)
		}
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}

// allow sets a mode, unless it is what new files and folders have for sure:
// others are less than wanted by the umask.
func (p *put) allow(chmod func() error, sure fs.FileMode) error {
	if p.mode == 0o600 && sure&0o077 == 0 {
		return nil
	}
	err := chmod()
	if isLacking(err) {
		p.log("this system cannot set modes: new files are for their owner alone")
		err = nil
	}
	return err
}

func (p *put) conflict(format string, args ...any) error {
	return shield.Errorf(shield.Conflict, "fs.put", "key %q: %s", p.key, fmt.Sprintf(format, args...))
}

func (p *put) free() error {
	_, err := p.root.Lstat(p.key)
	if err == nil {
		return p.conflict("exists already in %s", p.BaseDir)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// create makes the temporary file and locks it. One that a crash left is not
// locked, and is replaced.
func (p *put) create() (blobFile, error) {
	if err := p.free(); err != nil {
		return nil, err
	}
	for range 3 {
		f, err := p.root.create(p.temp)
		if err == nil {
			held, err := p.hold(f)
			if err != nil {
				return nil, err
			}
			if held {
				return f, nil
			}
			continue
		}
		if errors.Is(err, fs.ErrNotExist) {
			// Somebody else's Delete pruned the folders meanwhile.
			err = p.folders()
		} else if errors.Is(err, fs.ErrExist) {
			err = p.clear()
		}
		if err != nil {
			return nil, err
		}
	}
	return nil, p.conflict("is being written by another")
}

// hold locks a new temporary file. Before it is locked, another who takes it
// for abandoned may remove it.
func (p *put) hold(f blobFile) (held bool, err error) {
	if err := f.lock(); err != nil && !isLacking(err) {
		f.Close()
		return false, p.conflict("is being written by another")
	}
	if p.names(f) {
		return true, nil
	}
	f.Close()
	return false, nil
}

// names reports whether the temporary name is that of an open file.
func (p *put) names(f blobFile) bool {
	held, err := f.Stat()
	if err != nil {
		return false
	}
	now, err := p.root.Lstat(p.temp)
	return err == nil && sameFile(now, held)
}

// clear removes a temporary file that nobody holds. Its lock is held
// meanwhile, so that of two who try, one gets the name.
func (p *put) clear() error {
	info, err := p.root.Lstat(p.temp)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return p.conflict("%s is in the way", path.Join(p.BaseDir, p.temp))
	}
	f, err := p.root.open(p.temp)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.lock(); err != nil {
		if isLacking(err) {
			return p.conflict("has an unfinished blob: deleting the key removes it")
		}
		return p.conflict("is being written by another")
	}
	if !p.names(f) {
		return p.free() // whoever held it has ended
	}
	return p.root.Remove(p.temp)
}

// fill writes the blob and waits for the disk, once. It returns how much the
// file system says that it holds.
func (p *put) fill(f blobFile, r *stream.Reader) (int64, error) {
	if err := p.write(f, r); err != nil {
		return 0, err
	}
	if err := p.allow(func() error { return f.Chmod(p.mode) }, 0o600); err != nil {
		return 0, err
	}
	if err := f.Sync(); err != nil {
		return 0, err
	}
	info, err := f.Stat()
	if err == nil && info.Size() != p.written {
		err = fmt.Errorf("the file has %d bytes", info.Size())
	}
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

func (p *put) write(f blobFile, r *stream.Reader) (err error) {
	if to, ok := f.(absorber); ok {
		return p.absorb(to, r)
	}
	buf := make([]byte, blobBuffer)
	ahead := int64(0)
	for {
		n, err := r.Read(buf)
		if n > 0 {
			m, err := f.Write(buf[:n])
			p.written += int64(m)
			if err != nil {
				return err
			}
		}
		if p.written-ahead >= writebackSize {
			f.writeback(ahead, p.written-ahead)
			ahead = p.written
		}
		if p.written >= p.checked+checkEvery {
			p.checked = p.written
			if err := p.enough("fs.put", p.root); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// absorb has the host write the blob.
func (p *put) absorb(to absorber, r *stream.Reader) error {
	step := int64(math.MaxInt64)
	if p.MinFree > 0 {
		step = checkEvery
	}
	for {
		n, err := to.absorb(r, step)
		p.written += n
		if err == io.EOF {
			return nil
		}
		if err == nil {
			err = p.enough("fs.put", p.root)
		}
		if err != nil {
			return err
		}
	}
}

// publish gives the file its name, unless something has it. A link never
// replaces, which a rename would; where there are no links, looking first is
// the best that there is.
func (p *put) publish() error {
	err := p.root.Link(p.temp, p.key)
	switch {
	case err == nil:
		if err = p.root.Remove(p.temp); err != nil {
			_ = p.root.Remove(p.key)
		}
		return err
	case errors.Is(err, fs.ErrExist):
		return p.conflict("exists already in %s", p.BaseDir)
	case isLacking(err) || errors.Is(err, fs.ErrPermission):
		if err := p.free(); err != nil {
			return err
		}
		return p.root.Rename(p.temp, p.key)
	}
	return err
}

// settle makes the names durable: that of the file, and those of new folders.
func (p *put) settle() error {
	names := []string{path.Dir(p.key)}
	for _, name := range p.made {
		if up := path.Dir(name); up != names[0] {
			names = append(names, up)
		}
	}
	for _, name := range names {
		if err := p.root.sync(name); err != nil {
			_ = p.root.Remove(p.key)
			return err
		}
	}
	return nil
}
