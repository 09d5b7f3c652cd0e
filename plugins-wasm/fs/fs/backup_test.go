package fs_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shieldhq/shield"
)

// listTar returns the names in a stream, as archive/tar reads them.
func listTar(t testing.TB, stream []byte) []string {
	t.Helper()
	var names []string
	r := tar.NewReader(bytes.NewReader(stream))
	for {
		h, err := r.Next()
		if err == io.EOF {
			return names
		}
		must(t, err)
		_, err = io.Copy(io.Discard, r)
		must(t, err)
		names = append(names, h.Name)
	}
}

func TestPatterns(t *testing.T) {
	t.Parallel()
	files := map[string]string{
		"a.txt": "", "b.md": "", "x,y": "", "docs/c.txt": "", "docs/deep/d.txt": "", "docs/deep/e.md": "", "tmp/f.txt": "", "docs/tmp": "", "empty/": "",
	}
	tests := []struct {
		name, include, exclude string
		want                   []string
	}{
		{"include keeps folders", "*.txt", "", []string{"./", "./a.txt", "./docs/", "./docs/c.txt", "./docs/deep/", "./docs/deep/d.txt", "./empty/", "./tmp/", "./tmp/f.txt"}},
		{"include a path", "docs/*.txt", "", []string{"./", "./docs/", "./docs/c.txt", "./docs/deep/", "./empty/", "./tmp/"}},
		{"include across folders", "docs/**/*.txt", "", []string{"./", "./docs/", "./docs/c.txt", "./docs/deep/", "./docs/deep/d.txt", "./empty/", "./tmp/"}},
		{"leading stars", "**/deep/*", "", []string{"./", "./docs/", "./docs/deep/", "./docs/deep/d.txt", "./docs/deep/e.md", "./empty/", "./tmp/"}},
		{"anchored", "/a.txt\n./b.md", "", []string{"./", "./a.txt", "./b.md", "./docs/", "./docs/deep/", "./empty/", "./tmp/"}},
		{"escaped comma", `x\,y`, "", []string{"./", "./docs/", "./docs/deep/", "./empty/", "./tmp/", "./x,y"}},
		{"excluded folder is not entered", "", "docs, tmp , *.md", []string{"./", "./a.txt", "./empty/", "./x,y"}},
		{"exclude folders only", "", "tmp/", []string{"./", "./a.txt", "./b.md", "./docs/", "./docs/c.txt", "./docs/deep/", "./docs/deep/d.txt", "./docs/deep/e.md", "./docs/tmp", "./empty/", "./x,y"}},
		{"exclude what is in a folder", "", "docs/**", []string{"./", "./a.txt", "./b.md", "./docs/", "./empty/", "./tmp/", "./tmp/f.txt", "./x,y"}},
		{"both", "*.txt", "[a-c].txt", []string{"./", "./docs/", "./docs/deep/", "./docs/deep/d.txt", "./empty/", "./tmp/", "./tmp/f.txt"}},
		{"everything", "**", "?*/d*/*", []string{"./", "./a.txt", "./b.md", "./docs/", "./docs/c.txt", "./docs/deep/", "./docs/tmp", "./empty/", "./tmp/", "./tmp/f.txt", "./x,y"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			writeFiles(t, dir, files)
			stream, _ := backup(t, dir, "include", tt.include, "exclude", tt.exclude)
			if diff := cmp.Diff(tt.want, listTar(t, stream)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestBackupIsDeterministic(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{"b/2": "two", "a": "one", "b/1": "", "c/": ""})
	first, _ := backup(t, dir)
	second, _ := backup(t, dir)
	if !bytes.Equal(first, second) {
		t.Error("two backups of one tree differ")
	}
}

func TestBackupOfBadBase(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{"file": ""})
	tests := []struct{ name, base, want string }{
		{"missing", filepath.Join(dir, "nothing"), "does not exist"},
		{"file", filepath.Join(dir, "file"), "is not a folder"},
		{"below a file", filepath.Join(dir, "file", "x"), "is not a folder"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			target, _ := openTarget(t, tt.base)
			wantCode(t, target.Backup(t.Context(), io.Discard), shield.TargetFailed, tt.base, tt.want)
		})
	}
}

func TestBackupOfUnreadable(t *testing.T) {
	t.Parallel()
	if os.Geteuid() == 0 {
		t.Skip("root reads everything; the run as an ordinary user tests this")
	}
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{"a": "a", "secret": "s", "z": "z", "closed/file": ""})
	must(t, os.Chmod(filepath.Join(dir, "secret"), 0), os.Chmod(filepath.Join(dir, "closed"), 0))
	t.Cleanup(func() { _ = os.Chmod(filepath.Join(dir, "closed"), 0o700) })
	stream, log := backup(t, dir)
	if diff := cmp.Diff([]string{"./", "./a", "./closed/", "./z"}, listTar(t, stream)); diff != "" {
		t.Errorf("(-want +got):\n%s\n%s", diff, log.text())
	}
	target, _ := openTarget(t, dir, "strict", true)
	wantCode(t, target.Backup(t.Context(), io.Discard), shield.TargetFailed, "2 files", "./closed", "./secret")
	must(t, os.Chmod(dir, 0o300))
	target, _ = openTarget(t, dir)
	err := target.Backup(t.Context(), io.Discard)
	must(t, os.Chmod(dir, 0o700))
	wantCode(t, err, shield.TargetFailed, dir, "not accessible")
}

// TestBackupOfChangingFile changes a file once its header is out.
func TestBackupOfChangingFile(t *testing.T) {
	t.Parallel()
	const size = 3 << 20
	tests := []struct {
		name   string
		change func(name string) error
		want   string
	}{
		{"shrinks", func(name string) error { return os.Truncate(name, 2<<20) }, "shrank"},
		{"is emptied", func(name string) error { return os.Truncate(name, 0) }, "shrank"},
		{"grows", func(name string) error { return os.Truncate(name, 4<<20) }, "grew"},
		{"is rewritten", func(name string) error {
			f, err := os.OpenFile(name, os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			defer f.Close()
			_, err = f.WriteAt([]byte("new"), 0)
			return errors.Join(err, os.Chtimes(name, time.Time{}, time.Unix(1e9, 0)))
		}, "changed"},
	}
	for _, tt := range tests {
		for _, strict := range []bool{false, true} {
			t.Run(tt.name, func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				name := filepath.Join(dir, "b-big")
				writeFiles(t, dir, map[string]string{"a": "1", "z": "2"})
				must(t, os.WriteFile(name, bytes.Repeat([]byte("x"), size), 0o600))
				var out bytes.Buffer
				changed := false
				target, log := openTarget(t, dir, "strict", strict)
				err := target.Backup(t.Context(), writerFunc(func(p []byte) (int, error) {
					if !changed {
						changed = true
						must(t, tt.change(name))
					}
					return out.Write(p)
				}))
				if diff := cmp.Diff([]string{"./", "./a", "./b-big", "./z"}, listTar(t, out.Bytes())); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
				wantCodeIf(t, strict, err, "./b-big", log, tt.want)
			})
		}
	}
}

func wantCodeIf(t *testing.T, strict bool, err error, name string, log *lines, want string) {
	t.Helper()
	if !bytes.Contains([]byte(log.text()), []byte(name+": "+want)) {
		t.Errorf("the log does not say %q of %s:\n%s", want, name, log.text())
	}
	if strict {
		wantCode(t, err, shield.TargetFailed, name)
	} else if err != nil {
		t.Errorf("not strict, and yet: %v", err)
	}
}

func TestBackupOfVanishingFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{"b-gone": "1", "c-folder/file": "", "d": ""})
	must(t, os.WriteFile(filepath.Join(dir, "a-big"), make([]byte, 2<<20), 0o600))
	var out bytes.Buffer
	target, log := openTarget(t, dir, "strict", true)
	err := target.Backup(t.Context(), writerFunc(func(p []byte) (int, error) {
		_ = os.Remove(filepath.Join(dir, "b-gone"))
		_ = os.RemoveAll(filepath.Join(dir, "c-folder"))
		return out.Write(p)
	}))
	wantCode(t, err, shield.TargetFailed, "2 files", "./b-gone", "./c-folder")
	if diff := cmp.Diff([]string{"./", "./a-big", "./d"}, listTar(t, out.Bytes())); diff != "" {
		t.Errorf("(-want +got):\n%s\n%s", diff, log.text())
	}
}

func TestBackupEndsWithWriter(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "big"), make([]byte, 5<<20), 0o600))
	broken := errors.New("the pipe broke")
	target, _ := openTarget(t, dir)
	err := target.Backup(t.Context(), writerFunc(func(p []byte) (int, error) { return 0, broken }))
	if !errors.Is(err, broken) {
		t.Errorf("error %v, want the writer's", err)
	}
}

func TestBackupEndsWithContext(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "big"), make([]byte, 16<<20), 0o600))
	target, _ := openTarget(t, dir)
	if err := target.Backup(canceled(t), io.Discard); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want %v", err, context.Canceled)
	}
	ctx, cancel := context.WithCancel(t.Context())
	written := 0
	target, _ = openTarget(t, dir)
	err := target.Backup(ctx, writerFunc(func(p []byte) (int, error) {
		cancel()
		written += len(p)
		return len(p), nil
	}))
	if !errors.Is(err, context.Canceled) || written > 4<<20 {
		t.Errorf("error %v after %d bytes, want %v soon", err, written, context.Canceled)
	}
}

// TestReaderFrom backs up into a writer that has its own buffer.
func TestReaderFrom(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{"small": "s", "sub/": ""})
	must(t, os.WriteFile(filepath.Join(dir, "big"), bytes.Repeat([]byte("big"), 1<<20), 0o600))
	want, _ := backup(t, dir)
	target, _ := openTarget(t, dir)
	var got bytes.Buffer
	must(t, target.Backup(t.Context(), &got)) // a bytes.Buffer has ReadFrom
	target, _ = openTarget(t, dir)
	var plain bytes.Buffer
	must(t, target.Backup(t.Context(), writerFunc(plain.Write)))
	if !bytes.Equal(want, got.Bytes()) || !bytes.Equal(want, plain.Bytes()) {
		t.Error("the stream depends on the writer")
	}
}
