package fs_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
)

func background(t testing.TB) context.Context { return t.Context() }

const key = "2026/01/31/archive-1"

// openStore opens a store; more are pairs of field and value.
func openStore(t testing.TB, dir string, more ...any) plugin.Store {
	t.Helper()
	s, err := subject(t).OpenStore(t.Context(), folder(t, dir, more...), nil)
	must(t, err)
	return s
}

func put(t testing.TB, s plugin.Store, key, content string) {
	t.Helper()
	got, err := s.Put(t.Context(), key, strings.NewReader(content))
	must(t, err)
	if diff := cmp.Diff(plugin.Stored{Key: key, Size: int64(len(content))}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func get(t testing.TB, s plugin.Store, key string) string {
	t.Helper()
	r, err := s.Get(t.Context(), key)
	must(t, err)
	defer r.Close()
	b, err := io.ReadAll(r)
	must(t, err)
	return string(b)
}

func list(t testing.TB, s plugin.Store, prefix string) []string {
	t.Helper()
	keys := []string{}
	must(t, s.(plugin.Lister).List(t.Context(), prefix, func(o plugin.Object) error {
		keys = append(keys, fmt.Sprintf("%s %d", o.Key, o.Size))
		if o.ModifiedAt.IsZero() {
			t.Errorf("%s has no time", o.Key)
		}
		return nil
	}))
	return keys
}

func TestStoreRoundTrip(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, dir)
	content := strings.Repeat("0123456789", 500_000)
	put(t, s, key, content)
	put(t, s, "plain", "")
	if get(t, s, key) != content || get(t, s, "plain") != "" {
		t.Error("it gives something else than was put")
	}
	r, err := s.Get(t.Context(), key)
	must(t, err)
	defer r.Close()
	var b bytes.Buffer
	if n, err := io.Copy(&b, r); n != int64(len(content)) || err != nil || b.String() != content {
		t.Errorf("a copy has %d bytes, %v", n, err)
	}
	for name, want := range map[string]os.FileMode{"2026": 0o700, "2026/01/31": 0o700, key: 0o600} {
		info, err := os.Stat(filepath.Join(dir, name))
		must(t, err)
		if info.Mode().Perm() != want {
			t.Errorf("mode of %s is %v, want %v", name, info.Mode(), want)
		}
	}
	must(t, s.Delete(t.Context(), key), s.Delete(t.Context(), "plain"), s.Delete(t.Context(), key))
	if left := tree(t, dir); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
	_, err = s.Get(t.Context(), key)
	wantCode(t, err, shield.NotFound, key, dir)
}

func TestPutNeverOverwrites(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, dir)
	put(t, s, key, "first")
	_, err := s.Put(t.Context(), key, strings.NewReader("second"))
	wantCode(t, err, shield.Conflict, key)
	// The name is taken while the blob is on its way.
	other := "2026/01/31/late"
	_, err = s.Put(t.Context(), other, readerFunc(func([]byte) (int, error) {
		writeFiles(t, dir, map[string]string{other: "theirs"})
		return 0, io.EOF
	}))
	wantCode(t, err, shield.Conflict, other)
	if got := get(t, s, key) + get(t, s, other); got != "firsttheirs" {
		t.Errorf("the blobs hold %q", got)
	}
	if diff := cmp.Diff([]string{key + " 5", other + " 6"}, list(t, s, "")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestFailedPutLeavesNothing(t *testing.T) {
	t.Parallel()
	broken := errors.New("the target failed")
	tests := []struct {
		name string
		ctx  func(t testing.TB) context.Context
		r    io.Reader
		want error
	}{
		{"at once", background, readerFunc(func([]byte) (int, error) { return 0, broken }), broken},
		{"after some", background, io.MultiReader(strings.NewReader(strings.Repeat("x", 3<<20)), readerFunc(func([]byte) (int, error) { return 0, broken })), broken},
		{"with bytes", background, readerFunc(func(p []byte) (int, error) { return len(p), broken }), broken},
		{"early end", background, readerFunc(func([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }), io.ErrUnexpectedEOF},
		{"canceled", canceled, strings.NewReader("x"), context.Canceled},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			must(t, os.Mkdir(filepath.Join(dir, "2026"), 0o700))
			s := openStore(t, dir)
			_, err := s.Put(tt.ctx(t), key, tt.r)
			if !errors.Is(err, tt.want) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
			if onWASI() {
				must(t, s.Delete(t.Context(), key), os.MkdirAll(filepath.Join(dir, "2026"), 0o700)) // it removes empty folders, too
			}
			if diff := cmp.Diff([]string{"2026/"}, tree(t, dir)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestBlobIsInvisibleUntilWhole(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	content := strings.NewReader(strings.Repeat("x", 5<<20))
	_, err := s.Put(t.Context(), key, readerFunc(func(p []byte) (int, error) {
		if keys := list(t, s, ""); len(keys) > 0 {
			t.Errorf("listed: %q", keys)
		}
		if _, err := s.Get(t.Context(), key); !errors.Is(err, shield.NotFound) {
			t.Errorf("Get: %v", err)
		}
		return content.Read(p)
	}))
	must(t, err)
	if diff := cmp.Diff([]string{key + " 5242880"}, list(t, s, "")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestStoreWithoutBase(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "unmounted")
	s := openStore(t, dir)
	_, errPut := s.Put(t.Context(), key, strings.NewReader("x"))
	_, errGet := s.Get(t.Context(), key)
	for name, err := range map[string]error{
		"Put": errPut, "Get": errGet, "Delete": s.Delete(t.Context(), key),
		"Test": s.(plugin.Tester).Test(t.Context()),
		"List": s.(plugin.Lister).List(t.Context(), "", func(plugin.Object) error { return nil }),
	} {
		t.Run(name, func(t *testing.T) { wantCode(t, err, shield.StoreFailed, "base_dir", dir, "does not exist") })
	}
	wantAbsent(t, dir)
}

func TestStoreTest(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{"file": ""})
	must(t, openStore(t, dir).(plugin.Tester).Test(t.Context()))
	if diff := cmp.Diff([]string{"file"}, tree(t, dir)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	wantCode(t, openStore(t, filepath.Join(dir, "file")).(plugin.Tester).Test(t.Context()), shield.StoreFailed, "not a folder")
	if os.Geteuid() != 0 {
		must(t, os.Chmod(dir, 0o500))
		err := openStore(t, dir).(plugin.Tester).Test(t.Context())
		must(t, os.Chmod(dir, 0o700))
		wantCode(t, err, shield.StoreFailed, dir, "not writable")
	}
}

var badKeys = []string{
	"", "/", "/abs", "a/", "a//b", ".", "..", "a/../b", "./a", "a/.", "a\x00b", "a\nb", "a\x7f", `a\b`, "\xff",
	strings.Repeat("n", 201), strings.Repeat("a/", 600) + "a", ".x.partial", "a/.x.partial",
}

func TestKeysAreChecked(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, dir)
	for _, key := range badKeys {
		_, err := s.Put(t.Context(), key, strings.NewReader("x"))
		wantCode(t, err, shield.Invalid)
		_, err = s.Get(t.Context(), key)
		wantCode(t, err, shield.Invalid)
		wantCode(t, s.Delete(t.Context(), key), shield.Invalid)
	}
	if left := tree(t, dir); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestKeysDoNotLeaveTheBase(t *testing.T) {
	t.Parallel()
	dir, outside := t.TempDir(), t.TempDir()
	writeFiles(t, outside, map[string]string{"blob": "keep me"})
	must(t, os.Symlink(outside, filepath.Join(dir, "out")), os.Symlink(filepath.Join(outside, "blob"), filepath.Join(dir, "blob")))
	s := openStore(t, dir)
	for _, key := range []string{"out/blob", "blob"} {
		if _, err := s.Get(t.Context(), key); err == nil {
			t.Errorf("Get(%q) leads out", key)
		}
	}
	if _, err := s.Put(t.Context(), "out/new", strings.NewReader("x")); err == nil {
		t.Error("Put leads out")
	}
	if err := s.Delete(t.Context(), "out/blob"); err == nil {
		t.Error("Delete leads out")
	}
	wantFile(t, filepath.Join(outside, "blob"), "keep me")
	if diff := cmp.Diff([]string{"blob"}, tree(t, outside)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if keys := list(t, s, ""); len(keys) > 0 {
		t.Errorf("listed: %q", keys)
	}
}

func TestList(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{
		"2026/01/31/a": "1", "2026/01/31/.b.partial": "no", "2026/02/01/c": "22", "2026-x": "333", "2027/d": "", "empty/": "",
	})
	s := openStore(t, dir)
	tests := map[string][]string{
		"":              {"2026/01/31/a 1", "2026/02/01/c 2", "2026-x 3", "2027/d 0"},
		"2026":          {"2026/01/31/a 1", "2026/02/01/c 2", "2026-x 3"},
		"2026/":         {"2026/01/31/a 1", "2026/02/01/c 2"},
		"2026/0":        {"2026/01/31/a 1", "2026/02/01/c 2"},
		"2026/01/31/a":  {"2026/01/31/a 1"},
		"2026/01/31/ab": {},
		"../":           {},
	}
	for prefix, want := range tests {
		if diff := cmp.Diff(want, list(t, s, prefix)); diff != "" {
			t.Errorf("prefix %q (-want +got):\n%s", prefix, diff)
		}
	}
	stop := errors.New("enough")
	if err := s.(plugin.Lister).List(t.Context(), "", func(plugin.Object) error { return stop }); err != stop {
		t.Errorf("error %v, want %v", err, stop)
	}
}

func TestDeleteRemovesPartial(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{"2026/01/31/.archive-1.partial": "crashed", "2026/02/b": "b"})
	s := openStore(t, dir)
	must(t, s.Delete(t.Context(), key), s.Delete(t.Context(), "2026/02"))
	if diff := cmp.Diff([]string{"2026/", "2026/02/", "2026/02/b"}, tree(t, dir)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestConcurrentPuts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, dir)
	var wg sync.WaitGroup
	var mu sync.Mutex
	stored := 0
	for i := range 40 {
		wg.Go(func() {
			name, content := fmt.Sprintf("2026/01/%02d/x", i/2%10), strings.Repeat("x", 100_000)
			_, err := s.Put(t.Context(), name, strings.NewReader(content))
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				stored++
			} else if !errors.Is(err, shield.Conflict) {
				t.Errorf("Put: %v", err)
			}
		})
	}
	wg.Wait()
	keys := list(t, s, "")
	if len(keys) != stored {
		t.Errorf("%d Puts ended well, but there are %d blobs", stored, len(keys))
	}
	for _, k := range keys {
		if !strings.HasSuffix(k, " 100000") {
			t.Errorf("half a blob: %s", k)
		}
	}
	if n := len(tree(t, dir)); n != 2+2*stored {
		t.Errorf("something was left behind: %q", tree(t, dir))
	}
}

func TestGetOfShrunkBlob(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, dir)
	put(t, s, key, strings.Repeat("x", 100))
	r, err := s.Get(t.Context(), key)
	must(t, err)
	defer r.Close()
	must(t, os.Truncate(filepath.Join(dir, key), 50))
	b, err := io.ReadAll(r)
	if len(b) == 100 {
		return // it was on its way
	}
	if err == nil || !strings.Contains(err.Error(), io.ErrUnexpectedEOF.Error()) {
		t.Errorf("error %v, want %v", err, io.ErrUnexpectedEOF)
	}
}
