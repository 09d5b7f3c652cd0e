package wasmhost

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"strings"
	"sync"
	"syscall"

	"github.com/tetratelabs/wazero/experimental/sys"
	wasi "github.com/tetratelabs/wazero/sys"
)

// A mount is a folder that the guest sees under the path that it has on the
// host, so that an endpoint means the same on both sides. Every access goes
// through os.Root, which no symlink leads out of: wazero's own mounts follow
// them. Only regular files and folders can be opened.
type mount struct {
	sys.UnimplementedFS
	i        *instance
	path     string // what the plugin asked for
	within   string // the folder of the grant that holds it
	writable bool
	owned    bool // owners, special modes and devices are allowed
	looked   bool // the folder itself was opened, or tried to be

	mu   sync.Mutex
	root *os.Root // nil until the folder exists
}

var _ sys.FS = (*mount)(nil)

// mount finds the folders that both sides allow. A folder that is not allowed
// is no error yet: the plugin may do without.
func (i *instance) mount() error {
	needs, bound := &i.rights.needs, &i.rights.bound
	add := func(paths []string, within func(string) (string, bool), writable, owned bool) {
		for _, p := range paths {
			if at, ok := within(p); ok && !i.mounted(p, writable, owned) {
				i.mounts = append(i.mounts, &mount{i: i, path: p, within: at, writable: writable, owned: owned})
			}
		}
	}
	add(needs.Own, bound.MayOwn, true, true)
	add(needs.Write, bound.MayWrite, true, false)
	add(needs.Read, bound.MayRead, false, false)
	return nil
}

// mounted reports whether a folder is there already, with more rights.
func (i *instance) mounted(p string, writable, owned bool) bool {
	for _, m := range i.mounts {
		if m.path == p && (m.writable || !writable) && (m.owned || !owned) {
			return true
		}
	}
	return false
}

// open returns the root of the mount. The folder of the grant is opened by
// its path, which the operator chose, and what lies between that and the
// folder of the endpoint without leaving it.
func (m *mount) open() (*os.Root, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.root != nil {
		return m.root, nil
	}
	root, err := openRoot(m.within)
	if err != nil {
		return nil, err
	}
	if m.within == m.path {
		m.root = root
		return root, nil
	}
	defer func() { _ = root.Close() }()
	m.root, err = root.OpenRoot(m.below())
	return m.root, err
}

// openRoot looks first: opening a FIFO would wait for ever.
func openRoot(name string) (*os.Root, error) {
	fi, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !fi.IsDir() {
		return nil, syscall.ENOTDIR
	}
	return os.OpenRoot(name)
}

// below returns the path from the folder of the grant to that of the mount.
func (m *mount) below() string {
	return strings.TrimPrefix(strings.TrimPrefix(m.path, m.within), "/")
}

// create makes the folder itself, with all above it within the grant.
func (m *mount) create(perm fs.FileMode) error {
	if m.within == m.path {
		return os.MkdirAll(m.path, perm)
	}
	if err := os.MkdirAll(m.within, perm); err != nil {
		return err
	}
	root, err := os.OpenRoot(m.within)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	return root.MkdirAll(m.below(), perm)
}

func (m *mount) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.root != nil {
		_ = m.root.Close()
	}
}

// local returns the form of a guest's path that os.Root takes.
func local(p string) string {
	if p = path.Clean("/" + p)[1:]; p == "" {
		return "."
	}
	return p
}

// do calls f with the root, for something that only reads.
func (m *mount) do(p string, f func(root *os.Root, p string) error) sys.Errno {
	root, err := m.open()
	if err == nil {
		err = f(root, local(p))
	}
	return m.errno(p, err)
}

// change is do for something that writes.
func (m *mount) change(p string, f func(root *os.Root, p string) error) sys.Errno {
	if !m.writable {
		return sys.EROFS
	}
	return m.do(p, f)
}

// errno turns an error into a number. A way out of the folder is reported,
// but fails the call only if the guest fails: to walk into a symlink that
// leads out is no offence.
func (m *mount) errno(p string, err error) sys.Errno {
	if err == nil {
		return 0
	}
	if escapes(err) {
		_ = m.i.refuse(true, m.capability(), "leave the folder %s by %s", m.path, path.Join(m.path, p))
		return sys.EPERM
	}
	return sys.UnwrapOSError(err)
}

func (m *mount) capability() string {
	switch {
	case m.owned:
		return "own"
	case m.writable:
		return "write"
	}
	return "read"
}

// escapes reports whether os.Root refused a path. Its error has no name.
func escapes(err error) bool {
	return strings.HasSuffix(err.Error(), "path escapes from parent")
}

// OpenFile implements sys.FS.
func (m *mount) OpenFile(p string, flag sys.Oflag, perm fs.FileMode) (sys.File, sys.Errno) {
	const writing = sys.O_RDWR | sys.O_WRONLY | sys.O_CREAT | sys.O_TRUNC
	if !m.writable && flag&writing != 0 {
		return nil, sys.EROFS
	}
	first := !m.looked && local(p) == "."
	m.looked = m.looked || first
	if _, err := m.open(); err != nil && first {
		return &absentFolder{m: m}, 0 // wazero asks first, before the guest can
	}
	var f sys.File
	e := m.do(p, func(root *os.Root, p string) (err error) {
		f, err = openFile(m, root, p, flag, perm)
		return err
	})
	return f, e
}

// Lstat implements sys.FS.
func (m *mount) Lstat(p string) (st wasi.Stat_t, e sys.Errno) {
	e = m.do(p, func(root *os.Root, p string) error {
		fi, err := root.Lstat(p)
		if err == nil {
			st = wasi.NewStat_t(fi)
		}
		return err
	})
	return st, e
}

// Stat implements sys.FS.
func (m *mount) Stat(p string) (st wasi.Stat_t, e sys.Errno) {
	e = m.do(p, func(root *os.Root, p string) error {
		fi, err := root.Stat(p)
		if err == nil {
			st = wasi.NewStat_t(fi)
		}
		return err
	})
	return st, e
}

// Mkdir implements sys.FS. The folder of the mount itself can be made, too.
func (m *mount) Mkdir(p string, perm fs.FileMode) sys.Errno {
	if local(p) == "." && m.writable {
		if _, err := m.open(); errors.Is(err, fs.ErrNotExist) {
			return m.errno(p, m.create(perm))
		}
	}
	return m.change(p, func(root *os.Root, p string) error { return root.Mkdir(p, perm) })
}

// Rename implements sys.FS.
func (m *mount) Rename(from, to string) sys.Errno {
	return m.change(from, func(root *os.Root, from string) error { return root.Rename(from, local(to)) })
}

// Rmdir implements sys.FS.
func (m *mount) Rmdir(p string) sys.Errno {
	return m.change(p, func(root *os.Root, p string) error {
		fi, err := root.Lstat(p)
		if err != nil {
			return err
		}
		if !fi.IsDir() {
			return sys.ENOTDIR
		}
		return root.Remove(p)
	})
}

// Unlink implements sys.FS.
func (m *mount) Unlink(p string) sys.Errno {
	return m.change(p, func(root *os.Root, p string) error {
		if fi, err := root.Lstat(p); err == nil && fi.IsDir() {
			return sys.EISDIR
		}
		return root.Remove(p)
	})
}

// Link implements sys.FS. Both names lie in this mount: wazero refuses links
// between mounts, by which a guest could write what it may only read.
func (m *mount) Link(from, to string) sys.Errno {
	return m.change(from, func(root *os.Root, from string) error { return root.Link(from, local(to)) })
}

// Symlink implements sys.FS. A target that leads out would do no harm here
// but set a trap for others who read the folder.
func (m *mount) Symlink(target, p string) sys.Errno {
	if !m.owned && !staysWithin(target, local(p)) {
		_ = m.i.refuse(true, m.capability(), "make a symlink to %s, which leads out of the folder %s", target, m.path)
		return sys.EPERM
	}
	return m.change(p, func(root *os.Root, p string) error { return root.Symlink(target, p) })
}

func staysWithin(target, p string) bool {
	if path.IsAbs(target) {
		return false
	}
	at := path.Join(path.Dir(p), target)
	return at != ".." && !strings.HasPrefix(at, "../")
}

// Readlink implements sys.FS.
func (m *mount) Readlink(p string) (target string, e sys.Errno) {
	e = m.do(p, func(root *os.Root, p string) (err error) {
		target, err = root.Readlink(p)
		return err
	})
	return target, e
}

// Chmod implements sys.FS. WASI has no call that needs it.
func (m *mount) Chmod(p string, perm fs.FileMode) sys.Errno {
	return m.change(p, func(root *os.Root, p string) error { return root.Chmod(p, perm&fs.ModePerm) })
}

// Utimens implements sys.FS.
func (m *mount) Utimens(p string, atim, mtim int64) sys.Errno {
	return m.change(p, func(root *os.Root, p string) error { return root.Chtimes(p, stamp(atim), stamp(mtim)) })
}
