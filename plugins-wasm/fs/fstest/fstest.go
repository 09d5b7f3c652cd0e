// Package fstest makes trees that are hard to back up.
package fstest

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Dir returns a new folder that is removed when the test ends, whatever modes
// the folders in it have then and however deep they are.
func Dir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "fstest-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
			if e != nil && e.IsDir() {
				_ = os.Chmod(name, 0o700)
			}
			return nil
		})
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// Make fills dir, which it creates, with a tree that has something of every
// kind that the system and the user allow: files around the sizes of blocks
// and buffers, with holes, with several names and without any permission;
// folders empty, deep and read-only; symlinks, FIFOs, sockets, devices; names
// that are no text; attributes. The same seed gives the same tree.
func Make(t testing.TB, dir string, seed int64) {
	t.Helper()
	m := &maker{t: t, dir: dir, random: rand.New(rand.NewPCG(uint64(seed), 1))}
	m.must(os.MkdirAll(dir, 0o755))
	m.files()
	m.names()
	m.folders()
	m.links()
	m.chance()
	m.system()
	m.times()
}

type maker struct {
	t      testing.TB
	dir    string
	random *rand.Rand
}

func (m *maker) must(err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatal(err)
	}
}

func (m *maker) path(name string) string { return filepath.Join(m.dir, name) }

func (m *maker) write(name string, size int, mode fs.FileMode) {
	m.t.Helper()
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(m.random.Uint32())
	}
	m.must(os.MkdirAll(filepath.Dir(m.path(name)), 0o755))
	m.must(os.WriteFile(m.path(name), b, 0o600))
	m.must(os.Chmod(m.path(name), mode))
}

func (m *maker) files() {
	for _, size := range []int{0, 1, 511, 512, 513, 4096, 8191, 8192, 100_000, 128 << 10, 128<<10 + 1, 512 << 10, 1 << 20, 3<<20 + 7} {
		m.write(fmt.Sprintf("sizes/%d", size), size, 0o644)
	}
	for _, mode := range []fs.FileMode{0o400, 0o777, 0o640, fs.ModeSetuid | 0o755, fs.ModeSetgid | 0o755, fs.ModeSticky | 0o644} {
		m.write(fmt.Sprintf("modes/%v", mode), 10, mode)
	}
	if os.Geteuid() == 0 {
		m.write("modes/none", 10, 0)
	}
	m.holes("holes/middle", 1<<20, 64<<10, 700<<10)
	m.holes("holes/all", 5<<20)
	m.holes("holes/end", 1<<20, 0)
	m.holes("holes/large", 1<<26+5, 0, 1<<25, 1<<26)
}

// holes makes a file of a size with a few bytes at some places.
func (m *maker) holes(name string, size int64, at ...int64) {
	m.write(name, 0, 0o600)
	f, err := os.OpenFile(m.path(name), os.O_WRONLY, 0)
	m.must(err)
	defer f.Close()
	m.must(f.Truncate(size))
	for _, off := range at {
		_, err := f.WriteAt([]byte("data"), off)
		m.must(err)
	}
}

func (m *maker) names() {
	for _, name := range []string{
		"with space", "new\nline", "tab\t", "quote\"'", `back\slash`, "-dash", "star*", "naïve-日本", "invalid-\xff\xfe",
		strings.Repeat("n", 255), strings.Repeat("p", 100), strings.Repeat("q", 101), ".hidden", "...", "a=b", "%41",
	} {
		m.write("names/"+name, 20, 0o644)
	}
	long := strings.Repeat("l", 200)
	m.write(filepath.Join("names", long, long, long, "file"), 20, 0o644)
}

func (m *maker) folders() {
	for _, name := range []string{"folders/empty", "folders/one/two/three", "folders/sticky", "folders/read-only/sub"} {
		m.must(os.MkdirAll(m.path(name), 0o755))
	}
	m.write("folders/read-only/file", 5, 0o444)
	m.must(os.Chmod(m.path("folders/sticky"), fs.ModeSticky|0o777))
	m.must(os.Chmod(m.path("folders/read-only"), 0o555))
	m.must(os.MkdirAll(m.path("folders/"+strings.Repeat("d/", 150)), 0o700))
}

func (m *maker) links() {
	m.must(os.MkdirAll(m.path("links/sub"), 0o755))
	m.write("links/a-first", 1000, 0o644)
	m.must(os.Link(m.path("links/a-first"), m.path("links/b-second")))
	m.must(os.Link(m.path("links/a-first"), m.path("links/sub/third")))
	for name, target := range map[string]string{
		"relative": "a-first", "dangling": "no/such/file", "absolute": "/etc/hosts", "folder": "sub", "up": "../..",
		"long": strings.Repeat("t/", 400), "odd": "\xff\n",
	} {
		m.must(os.Symlink(target, m.path("links/"+name)))
	}
}

// chance adds what nobody thought of.
func (m *maker) chance() {
	folders := []string{"random"}
	for i := range 500 {
		in := folders[m.random.IntN(len(folders))]
		name := fmt.Sprintf("%s/%d-%x", in, i, m.random.Uint32())
		if m.random.IntN(6) == 0 {
			m.must(os.MkdirAll(m.path(name), 0o755))
			folders = append(folders, name)
			continue
		}
		m.write(name, m.random.IntN(3000), fs.FileMode(0o600|m.random.IntN(0o200)))
	}
}

// times gives files and folders a time each, the deepest first.
func (m *maker) times() {
	var all []string
	m.must(filepath.WalkDir(m.dir, func(name string, e fs.DirEntry, err error) error {
		if err == nil && e.Type()&(fs.ModeSymlink|fs.ModeSocket) == 0 {
			all = append(all, name)
		}
		return err
	}))
	for i := len(all) - 1; i >= 0; i-- {
		when := time.Unix(m.random.Int64N(2e9), m.random.Int64N(1e9))
		if i%50 == 0 {
			when = time.Unix(-m.random.Int64N(1e9), m.random.Int64N(1e9)) // before 1970
		}
		m.must(os.Chtimes(all[i], time.Time{}, when))
	}
}
