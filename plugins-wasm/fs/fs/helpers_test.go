package fs_test

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/treecmp"
	"github.com/shieldhq/shield/plugin"
)

// lines is a log.
type lines struct {
	mu   sync.Mutex
	list []string
}

func (l *lines) add(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = append(l.list, line)
}

func (l *lines) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.list, "\n")
}

func endpoint(t testing.TB, fields map[string]any) shield.Endpoint {
	t.Helper()
	b, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	return shield.Endpoint(b)
}

// folder is the endpoint of a folder; more are pairs of field and value.
func folder(t testing.TB, dir string, more ...any) shield.Endpoint {
	t.Helper()
	fields := map[string]any{"base_dir": dir}
	for i := 0; i < len(more); i += 2 {
		fields[more[i].(string)] = more[i+1]
	}
	return endpoint(t, fields)
}

// openTarget opens a target; more are pairs of field and value.
func openTarget(t testing.TB, dir string, more ...any) (plugin.Target, *lines) {
	t.Helper()
	log := &lines{}
	target, err := subject(t).OpenTarget(t.Context(), folder(t, dir, more...), log.add)
	if err != nil {
		t.Fatal(err)
	}
	return target, log
}

// backup returns the stream and the log of a backup that ends well.
func backup(t testing.TB, dir string, more ...any) ([]byte, *lines) {
	t.Helper()
	var b bytes.Buffer
	target, log := openTarget(t, dir, more...)
	if err := target.Backup(t.Context(), &b); err != nil {
		t.Fatalf("backup: %v\n%s", err, log.text())
	}
	return b.Bytes(), log
}

// restore restores a stream into dir.
func restore(t testing.TB, dir string, stream []byte, more ...any) (*lines, error) {
	t.Helper()
	target, log := openTarget(t, dir, more...)
	return log, target.Restore(t.Context(), bytes.NewReader(stream))
}

func mustRestore(t testing.TB, dir string, stream []byte) *lines {
	t.Helper()
	log, err := restore(t, dir, stream)
	if err != nil {
		t.Fatalf("restore: %v\n%s", err, log.text())
	}
	return log
}

func mustEqual(t testing.TB, a, b string) {
	t.Helper()
	differences, err := treecmp.Compare(a, b)
	if err != nil {
		t.Fatal(err)
	}
	if len(differences) > 0 {
		t.Errorf("the trees differ:\n%s", strings.Join(differences, "\n"))
	}
}

func must(t testing.TB, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func wantCode(t testing.TB, err error, code shield.Code, parts ...string) {
	t.Helper()
	if !errors.Is(err, code) {
		t.Fatalf("error %v, want the code %s", err, code)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q does not name %q", err, part)
		}
	}
}

// writeFiles makes files below dir; a name that ends in / is a folder.
func writeFiles(t testing.TB, dir string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		full := filepath.Join(dir, name)
		must(t, os.MkdirAll(filepath.Dir(full), 0o755))
		if strings.HasSuffix(name, "/") {
			must(t, os.MkdirAll(full, 0o755))
			continue
		}
		must(t, os.WriteFile(full, []byte(content), 0o644))
	}
}

func wantFile(t testing.TB, name, want string) {
	t.Helper()
	got, err := os.ReadFile(name)
	must(t, err)
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

func wantAbsent(t testing.TB, name string) {
	t.Helper()
	if _, err := os.Lstat(name); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is there (%v)", name, err)
	}
}

// tree returns the names below dir, folders with a slash at their end.
func tree(t testing.TB, dir string) []string {
	t.Helper()
	list := []string{}
	must(t, filepath.WalkDir(dir, func(name string, e os.DirEntry, err error) error {
		if err != nil || name == dir {
			return err
		}
		rel, err := filepath.Rel(dir, name)
		if e.IsDir() {
			rel += "/"
		}
		list = append(list, rel)
		return err
	}))
	return list
}

// makeTar returns a stream of some headers; a file's content is as many x.
func makeTar(t testing.TB, headers ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		if h.Mode == 0 {
			h.Mode = 0o755
		}
		h.Uid, h.Gid = os.Getuid(), os.Getgid()
		must(t, w.WriteHeader(&h))
		if h.Typeflag == tar.TypeReg {
			_, err := io.WriteString(w, strings.Repeat("x", int(h.Size)))
			must(t, err)
		}
	}
	must(t, w.Close())
	return b.Bytes()
}

// optional skips a test of something that this machine lacks, but not in CI.
func optional(t testing.TB, reason string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(reason)
	}
	t.Skip(reason)
}

func needTool(t testing.TB, name string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		optional(t, name+" is not installed")
	}
}

func run(t testing.TB, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}

// writerFunc is a writer that is a function.
type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// readerFunc is a reader that is a function.
type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func canceled(t testing.TB) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}
