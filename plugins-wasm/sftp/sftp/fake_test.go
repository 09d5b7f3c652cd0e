//go:build linux

package sftp_test

import (
	"crypto/ed25519"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	pkgsftp "github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"github.com/shieldhq/shield"
)

// A fake is an SFTP server whose answers the test can change. It has no fsync.
type fake struct {
	t      testing.TB
	dir    string
	config *ssh.ServerConfig
	key    string // public, of the server
	addr   string
	// noSFTP refuses the subsystem.
	noSFTP bool
	// before is asked before a request is carried out. An error is the answer
	// in its place; errSkip answers that it was done.
	before func(method, name string) error
	// after is asked when it was carried out.
	after func(method, name string) error
	// writing is asked about each write.
	writing func(at int64, b []byte) error
	// full says that no room is left.
	full bool

	mu    sync.Mutex
	conns []net.Conn
}

var errSkip = errors.New("skip")

// startFake starts a server that takes the password "right". What is to be
// otherwise from its start is changed before that.
func startFake(t testing.TB, change ...func(*fake)) *fake {
	t.Helper()
	_, private, err := ed25519.GenerateKey(nil)
	must(t, err)
	signer, err := ssh.NewSignerFromKey(private)
	must(t, err)
	f := &fake{t: t, dir: t.TempDir(), key: string(ssh.MarshalAuthorizedKey(signer.PublicKey()))}
	f.config = &ssh.ServerConfig{PasswordCallback: func(_ ssh.ConnMetadata, password []byte) (*ssh.Permissions, error) {
		if string(password) != "right" {
			return nil, errors.New("wrong")
		}
		return nil, nil
	}}
	f.config.AddHostKey(signer)
	for _, change := range change {
		change(f)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	f.addr = l.Addr().String()
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			f.mu.Lock()
			f.conns = append(f.conns, c)
			f.mu.Unlock()
			wg.Go(func() { f.serve(c) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		f.drop()
		wg.Wait()
	})
	return f
}

func (f *fake) endpoint(more fields) shield.Endpoint {
	return encode(f.t, fields{"user": "u", "password": "right", "host_key": f.key, "retries": 2, "stall_timeout": "2s"}, f.addr, more)
}

// drop ends all connections.
func (f *fake) drop() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.conns {
		_ = c.Close()
	}
	f.conns = nil
}

func (f *fake) serve(c net.Conn) {
	defer c.Close()
	_, channels, requests, err := ssh.NewServerConn(c, f.config)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(requests)
	for n := range channels {
		ch, requests, err := n.Accept()
		if err != nil {
			return
		}
		go func() {
			for r := range requests {
				_ = r.Reply(r.Type == "subsystem" && !f.noSFTP, nil)
			}
		}()
		if f.noSFTP {
			continue
		}
		s := pkgsftp.NewRequestServer(ch, pkgsftp.Handlers{FileGet: f, FilePut: f, FileCmd: f, FileList: f})
		_ = s.Serve() // ends with the connection
		_ = s.Close()
	}
}

func (f *fake) path(name string) string { return filepath.Join(f.dir, name) }

// ask runs a request with what the test has to say about it.
func (f *fake) ask(method, name string, do func() error) error {
	before, after, _ := f.hooks()
	if before != nil {
		if err := before(method, name); errors.Is(err, errSkip) {
			return nil
		} else if err != nil {
			return err
		}
	}
	err := do()
	if err == nil && after != nil {
		err = after(method, name)
	}
	return err
}

func (f *fake) hooks() (before, after func(method, name string) error, writing func(int64, []byte) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.before, f.after, f.writing
}

// change changes what the test has to say while the server runs.
func (f *fake) change(to func(f *fake)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.before, f.after, f.writing = nil, nil, nil
	to(f)
}

func (f *fake) Fileread(r *pkgsftp.Request) (io.ReaderAt, error) {
	var file *os.File
	err := f.ask("Read", r.Filepath, func() (err error) {
		file, err = os.Open(f.path(r.Filepath))
		return err
	})
	return file, err
}

func (f *fake) Filewrite(r *pkgsftp.Request) (io.WriterAt, error) {
	flags := os.O_WRONLY
	if r.Pflags().Creat {
		flags |= os.O_CREATE
	}
	if r.Pflags().Excl {
		flags |= os.O_EXCL
	}
	var file *os.File
	err := f.ask("Write", r.Filepath, func() (err error) {
		file, err = os.OpenFile(f.path(r.Filepath), flags, 0o644)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &fakeFile{file, f, r.Filepath}, nil
}

// fakeFile is a file that is being written.
type fakeFile struct {
	*os.File
	f    *fake
	name string
}

func (w *fakeFile) WriteAt(b []byte, at int64) (int, error) {
	if _, _, writing := w.f.hooks(); writing != nil {
		if err := writing(at, b); errors.Is(err, errSkip) {
			return len(b), nil
		} else if err != nil {
			return 0, err
		}
	}
	return w.File.WriteAt(b, at)
}

func (w *fakeFile) Close() error { return w.f.ask("Close", w.name, w.File.Close) }

func (f *fake) Filecmd(r *pkgsftp.Request) error {
	return f.ask(r.Method, r.Filepath, func() error {
		name := f.path(r.Filepath)
		switch r.Method {
		case "Rename": // which never replaces
			if _, err := os.Lstat(f.path(r.Target)); err == nil {
				return fs.ErrExist
			}
			return os.Rename(name, f.path(r.Target))
		case "Mkdir":
			return os.Mkdir(name, 0o755)
		case "Rmdir":
			return syscall.Rmdir(name)
		case "Remove":
			return syscall.Unlink(name)
		case "Setstat":
			return nil
		}
		return pkgsftp.ErrSSHFxOpUnsupported
	})
}

func (f *fake) PosixRename(r *pkgsftp.Request) error {
	return f.ask("PosixRename", r.Filepath, func() error { return os.Rename(f.path(r.Filepath), f.path(r.Target)) })
}

func (f *fake) StatVFS(*pkgsftp.Request) (*pkgsftp.StatVFS, error) {
	v := &pkgsftp.StatVFS{Bsize: 4096, Frsize: 4096, Blocks: 1 << 20, Bfree: 1 << 19, Bavail: 1 << 19, Files: 100, Ffree: 50, Favail: 50}
	if f.full {
		v.Bavail = 0
	}
	return v, f.ask("StatVFS", "", func() error { return nil })
}

func (f *fake) Filelist(r *pkgsftp.Request) (pkgsftp.ListerAt, error) {
	var infos fakeList
	err := f.ask(r.Method, r.Filepath, func() error {
		if r.Method != "List" {
			info, err := os.Stat(f.path(r.Filepath))
			infos = fakeList{info}
			return err
		}
		entries, err := os.ReadDir(f.path(r.Filepath))
		for _, e := range entries {
			if info, err := e.Info(); err == nil {
				infos = append(infos, info)
			}
		}
		return err
	})
	return infos, err
}

func (f *fake) Lstat(r *pkgsftp.Request) (pkgsftp.ListerAt, error) {
	var infos fakeList
	err := f.ask("Lstat", r.Filepath, func() error {
		info, err := os.Lstat(f.path(r.Filepath))
		infos = fakeList{info}
		return err
	})
	return infos, err
}

type fakeList []os.FileInfo

func (l fakeList) ListAt(into []os.FileInfo, at int64) (int, error) {
	if at >= int64(len(l)) {
		return 0, io.EOF
	}
	n := copy(into, l[at:])
	if n < len(into) {
		return n, io.EOF
	}
	return n, nil
}

// left lists all that the server has.
func (f *fake) left() []string {
	var names []string
	_ = filepath.WalkDir(f.dir, func(name string, _ fs.DirEntry, _ error) error {
		if name != f.dir {
			names = append(names, strings.TrimPrefix(name, f.dir+"/"))
		}
		return nil
	})
	return names
}
