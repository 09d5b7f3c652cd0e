package fs_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/shieldhq/shield"
)

func TestRestoreSymlinkAndTree(t *testing.T) {
	t.Parallel()
	dir, to := t.TempDir(), filepath.Join(t.TempDir(), "made")
	writeFiles(t, dir, map[string]string{"a/b/c/file": "content", "z": "after the symlink"})
	must(t, os.Symlink("b/c/file", filepath.Join(dir, "a", "link")), os.Symlink("/nowhere", filepath.Join(dir, "dangling")))
	stream, _ := backup(t, dir)
	log := mustRestore(t, to, stream)
	if diff := cmp.Diff(tree(t, dir), tree(t, to)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	target, err := os.Readlink(filepath.Join(to, "dangling"))
	if err != nil || target != "/nowhere" {
		t.Errorf("symlink to %q, %v", target, err)
	}
	if want := "restored 2 files, 4 folders, 2 others, 24 bytes"; !strings.Contains(log.text(), want) {
		t.Errorf("the log does not say %q:\n%s", want, log.text())
	}
}

func TestRestoreOverLongerFile(t *testing.T) {
	t.Parallel()
	for _, size := range []int{5, 1 << 20} { // small files and large ones take different ways
		dir, to := t.TempDir(), t.TempDir()
		content := strings.Repeat("s", size)
		writeFiles(t, dir, map[string]string{"file": content})
		writeFiles(t, to, map[string]string{"file": strings.Repeat("MUCH LONGER CONTENT", size)})
		stream, _ := backup(t, dir)
		mustRestore(t, to, stream)
		wantFile(t, filepath.Join(to, "file"), content)
	}
}

// TestRestoreReplaces restores each kind over what has its name already.
func TestRestoreReplaces(t *testing.T) {
	t.Parallel()
	entries := map[string]tar.Header{
		"file":    {Typeflag: tar.TypeReg, Name: "x", Size: 3},
		"large":   {Typeflag: tar.TypeReg, Name: "x", Size: 1 << 20},
		"symlink": {Typeflag: tar.TypeSymlink, Name: "x", Linkname: "new"},
		"folder":  {Typeflag: tar.TypeDir, Name: "x/"},
	}
	before := map[string]func(name, outside string) error{
		"a file":                  func(name, _ string) error { return os.WriteFile(name, []byte("old"), 0o600) },
		"a symlink to a file":     func(name, outside string) error { return os.Symlink(filepath.Join(outside, "file"), name) },
		"a symlink to a folder":   func(name, outside string) error { return os.Symlink(outside, name) },
		"an empty folder":         func(name, _ string) error { return os.Mkdir(name, 0o700) },
		"a second name":           func(name, outside string) error { return os.Link(filepath.Join(outside, "file"), name) },
		"a folder without access": func(name, _ string) error { return os.Mkdir(name, 0) },
	}
	for what, h := range entries {
		for over, make := range before {
			t.Run(what+" over "+over, func(t *testing.T) {
				t.Parallel()
				to, outside := t.TempDir(), t.TempDir()
				writeFiles(t, outside, map[string]string{"file": "keep me"})
				must(t, make(filepath.Join(to, "x"), outside))
				mustRestore(t, to, makeTar(t, h))
				info, err := os.Lstat(filepath.Join(to, "x"))
				must(t, err)
				if got := info.Mode().Type(); got != h.FileInfo().Mode().Type() {
					t.Errorf("it is %v", got)
				}
				wantFile(t, filepath.Join(outside, "file"), "keep me")
				if diff := cmp.Diff([]string{"file"}, tree(t, outside)); diff != "" {
					t.Errorf("outside (-want +got):\n%s", diff)
				}
				if list := tree(t, to); len(list) != 1 {
					t.Errorf("something was left behind: %q", list)
				}
			})
		}
	}
}

func TestRestoreRefuses(t *testing.T) {
	t.Parallel()
	file := func(name string) tar.Header { return tar.Header{Typeflag: tar.TypeReg, Name: name, Size: 4} }
	tests := []struct {
		name    string
		headers []tar.Header
		want    string
	}{
		{"dots", []tar.Header{file("../evil")}, `".." `},
		{"dots inside", []tar.Header{file("a/../../evil")}, ".."},
		{"dots at the end", []tar.Header{{Typeflag: tar.TypeDir, Name: "a/.."}}, ".."},
		{"absolute", []tar.Header{file("/evil")}, "absolute"},
		{"base as a file", []tar.Header{file("./.")}, "base_dir"},
		{"through its own symlink", []tar.Header{{Typeflag: tar.TypeSymlink, Name: "link", Linkname: ".."}, file("link/evil")}, "no folder"},
		{"through a symlink that is there", []tar.Header{file("there/evil")}, "no folder"},
		{"folder through a symlink", []tar.Header{{Typeflag: tar.TypeDir, Name: "there/evil/"}}, "no folder"},
		{"through a file", []tar.Header{file("a"), file("a/evil")}, "no folder"},
		{"hard link out", []tar.Header{{Typeflag: tar.TypeLink, Name: "evil", Linkname: "../outside"}}, ".."},
		{"hard link to the absolute", []tar.Header{{Typeflag: tar.TypeLink, Name: "evil", Linkname: "/etc/passwd"}}, "absolute"},
		{"hard link through a symlink", []tar.Header{{Typeflag: tar.TypeLink, Name: "evil", Linkname: "there/outside"}}, "no folder"},
		{"hard link to nothing", []tar.Header{{Typeflag: tar.TypeLink, Name: "evil", Linkname: "nothing"}}, "no such file"},
		{"over a folder with content", []tar.Header{file("full")}, "not empty"},
		{"long name", []tar.Header{file(strings.Repeat("n", 256))}, "too long"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			up := t.TempDir()
			to := filepath.Join(up, "to")
			writeFiles(t, up, map[string]string{"outside": "keep me", "to/full/file": "keep me"})
			must(t, os.Symlink("..", filepath.Join(to, "there")))
			log, err := restore(t, to, makeTar(t, append(tt.headers, file("good"))...))
			wantCode(t, err, shield.TargetFailed, "1 file ")
			if !strings.Contains(log.text(), strings.Trim(tt.want, `" `)) {
				t.Errorf("the log does not say %q:\n%s", tt.want, log.text())
			}
			wantFile(t, filepath.Join(to, "good"), "xxxx") // the rest is restored
			wantFile(t, filepath.Join(up, "outside"), "keep me")
			wantFile(t, filepath.Join(to, "full", "file"), "keep me")
			wantAbsent(t, filepath.Join(up, "evil"))
			wantAbsent(t, filepath.Join(to, "evil"))
		})
	}
}

func TestRestoreKeepsWhatTheArchiveLacks(t *testing.T) {
	t.Parallel()
	to := t.TempDir()
	writeFiles(t, to, map[string]string{"mine": "mine", "sub/mine": "mine"})
	mustRestore(t, to, makeTar(t, tar.Header{Typeflag: tar.TypeReg, Name: "sub/theirs", Size: 1}))
	wantFile(t, filepath.Join(to, "mine"), "mine")
	wantFile(t, filepath.Join(to, "sub", "mine"), "mine")
}

func TestRestoreOfRepeatedNames(t *testing.T) {
	t.Parallel()
	to := t.TempDir()
	var headers []tar.Header
	for size := range int64(200) {
		headers = append(headers, tar.Header{Typeflag: tar.TypeReg, Name: "same", Size: size + 1})
	}
	headers = append(headers, tar.Header{Typeflag: tar.TypeDir, Name: "d/", Mode: 0o700}, tar.Header{Typeflag: tar.TypeDir, Name: "d", Mode: 0o750})
	mustRestore(t, to, makeTar(t, headers...))
	wantFile(t, filepath.Join(to, "same"), strings.Repeat("x", 200))
	if info, err := os.Stat(filepath.Join(to, "d")); err != nil || !onWASI() && info.Mode().Perm() != 0o750 {
		t.Errorf("the last entry does not count: %v, %v", info.Mode(), err)
	}
}

// TestRestoreOfTruncated cuts a stream at each block and inside each.
func TestRestoreOfTruncated(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{"a": "one", "sub/b": strings.Repeat("two", 400), "sub/empty": "", "z": "z"})
	must(t, os.Symlink("a", filepath.Join(dir, "link")))
	stream, _ := backup(t, dir)
	for cut := 0; cut < len(stream); cut += 256 {
		to := t.TempDir()
		_, err := restore(t, to, stream[:cut])
		wantCode(t, err, shield.Corrupt, "cut off")
		for name, want := range map[string]string{"a": "one", "sub/b": strings.Repeat("two", 400), "z": "z"} {
			if got, err := os.ReadFile(filepath.Join(to, name)); err == nil && string(got) != want {
				t.Errorf("cut at %d: half a file under its real name: %s", cut, name)
			}
		}
	}
}

func TestRestoreLeavesNoHalfFile(t *testing.T) {
	t.Parallel()
	to := t.TempDir()
	writeFiles(t, to, map[string]string{"big": "old"})
	stream := makeTar(t, tar.Header{Typeflag: tar.TypeReg, Name: "big", Size: 4 << 20})
	_, err := restore(t, to, stream[:2<<20])
	wantCode(t, err, shield.Corrupt)
	wantFile(t, filepath.Join(to, "big"), "old")
	if diff := cmp.Diff([]string{"big"}, tree(t, to)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestRestoreOfDamaged(t *testing.T) {
	t.Parallel()
	good := makeTar(t, tar.Header{Typeflag: tar.TypeReg, Name: "file", Size: 4})
	tests := map[string][]byte{
		"no tar":             bytes.Repeat([]byte("junk"), 1000),
		"empty":              {},
		"half an end mark":   append(append(bytes.Clone(good[:1024]), make([]byte, 512)...), good...),
		"bit in the header":  append(append([]byte{good[0] ^ 1}, good[1:]...), 0),
		"only half a header": good[:100],
	}
	for name, stream := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := restore(t, t.TempDir(), stream)
			wantCode(t, err, shield.Corrupt, "byte ")
		})
	}
}

func TestRestoreReturnsReadersError(t *testing.T) {
	t.Parallel()
	stream := makeTar(t, tar.Header{Typeflag: tar.TypeReg, Name: "file", Size: 4})
	broken := errors.New("the digest is wrong")
	for _, cut := range []int{0, 100, 700, len(stream) - 512, len(stream)} {
		target, _ := openTarget(t, t.TempDir())
		r := io.MultiReader(bytes.NewReader(stream[:cut]), readerFunc(func([]byte) (int, error) { return 0, broken }))
		if err := target.Restore(t.Context(), r); !errors.Is(err, broken) {
			t.Errorf("cut at %d: error %v, want the reader's", cut, err)
		}
	}
}

func TestRestoreReadsToTheEnd(t *testing.T) {
	t.Parallel()
	r := bytes.NewReader(append(makeTar(t), make([]byte, 3<<20)...))
	target, _ := openTarget(t, t.TempDir())
	must(t, target.Restore(t.Context(), r))
	if r.Len() != 0 {
		t.Errorf("%d bytes were not read", r.Len())
	}
}

func TestRestoreEndsWithContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	stream := bytes.NewReader(makeTar(t, tar.Header{Typeflag: tar.TypeReg, Name: "big", Size: 16 << 20}))
	to := t.TempDir()
	target, _ := openTarget(t, to)
	err := target.Restore(ctx, readerFunc(func(p []byte) (int, error) {
		cancel()
		return stream.Read(p)
	}))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want %v", err, context.Canceled)
	}
	if list := tree(t, to); len(list) != 0 && !onWASI() {
		t.Errorf("something was left behind: %q", list)
	}
}

func TestRestoreIntoFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{"file": ""})
	_, err := restore(t, filepath.Join(dir, "file"), makeTar(t))
	wantCode(t, err, shield.TargetFailed, "is not a folder")
}

func TestRestoreFolderTimes(t *testing.T) {
	t.Parallel()
	dir, to := t.TempDir(), t.TempDir()
	writeFiles(t, dir, map[string]string{"a/b/file": "x"})
	want := time.Unix(1_000_000_000, 123_456_789)
	for _, name := range []string{"a/b/file", "a/b", "a", "."} {
		must(t, os.Chtimes(filepath.Join(dir, name), time.Time{}, want))
	}
	stream, _ := backup(t, dir)
	mustRestore(t, to, stream)
	for _, name := range []string{"a/b/file", "a/b", "a", "."} {
		info, err := os.Stat(filepath.Join(to, name))
		must(t, err)
		if !info.ModTime().Equal(want) {
			t.Errorf("time of %s is %v", name, info.ModTime())
		}
	}
}

// TestRandomTrees is the property restore(backup(tree)) = tree.
func TestRandomTrees(t *testing.T) {
	t.Parallel()
	name := rapid.StringMatching(`[^/\x00]{1,40}`).Filter(func(s string) bool { return s != "." && s != ".." && len(s) <= 255 })
	rapid.Check(t, func(r *rapid.T) {
		dir, to := t.TempDir(), t.TempDir()
		folders := []string{dir}
		for range rapid.IntRange(0, 30).Draw(r, "files") {
			in := folders[rapid.IntRange(0, len(folders)-1).Draw(r, "folder")]
			full := filepath.Join(in, name.Draw(r, "name"))
			if _, err := os.Lstat(full); err == nil {
				continue
			}
			mode := os.FileMode(rapid.IntRange(0o600, 0o777).Draw(r, "mode")) | 0o600
			when := time.Unix(rapid.Int64Range(-1<<33, 1<<33).Draw(r, "sec"), rapid.Int64Range(0, 1e9-1).Draw(r, "nsec"))
			var err error
			switch rapid.IntRange(0, 3).Draw(r, "kind") {
			case 0:
				err = os.Mkdir(full, 0o700)
				folders = append(folders, full)
			case 1:
				err = os.Symlink(name.Draw(r, "target"), full)
				must(t, err)
				continue
			default:
				size := rapid.SampledFrom([]int{0, 1, 511, 512, 513, 8192, 200_000}).Draw(r, "size")
				err = os.WriteFile(full, bytes.Repeat([]byte{byte(size)}, size), 0o600)
				must(t, os.Chmod(full, mode))
			}
			must(t, err, os.Chtimes(full, time.Time{}, when))
		}
		stream, _ := backup(t, dir)
		mustRestore(t, to, stream)
		same(t, dir, to)
	})
}
