//go:build linux && !portable

package fs_test

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
)

func TestPutOntoFullDisk(t *testing.T) {
	t.Parallel()
	dir := smallDisk(t)
	s := openStore(t, dir)
	put(t, s, "small", "x")
	_, err := s.Put(t.Context(), key, strings.NewReader(strings.Repeat("x", 4<<20)))
	wantCode(t, err, shield.StoreFailed, filepath.Join(dir, key), "bytes", "no space left")
	if left := tree(t, dir); len(left) != 1 {
		t.Errorf("left behind: %q", left)
	}
}

func TestStoreTestOfFullDisk(t *testing.T) {
	t.Parallel()
	dir := smallDisk(t)
	_ = os.WriteFile(filepath.Join(dir, "filler"), make([]byte, 2<<20), 0o600)
	wantCode(t, openStore(t, dir).(plugin.Tester).Test(t.Context()), shield.StoreFailed, dir)
}

// TestKilledPut kills a process that is amid a Put.
func TestKilledPut(t *testing.T) {
	if dir := os.Getenv("FS_TEST_PUT"); dir != "" {
		endlessPut(t, dir)
	}
	t.Parallel()
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0], "-test.run", "^TestKilledPut$")
	cmd.Env = append(os.Environ(), "FS_TEST_PUT="+dir)
	out, err := cmd.StdoutPipe()
	must(t, err, cmd.Start())
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "amid\n" {
		t.Fatalf("%q, %v", line, err)
	}
	s := openStore(t, dir)
	_, err = s.Put(t.Context(), key, strings.NewReader("another"))
	wantCode(t, err, shield.Conflict, key) // it is still being written
	must(t, cmd.Process.Kill())
	_ = cmd.Wait()
	if n := len(tree(t, dir)); n != 4 {
		t.Errorf("three folders and a temporary file are wanted: %q", tree(t, dir))
	}
	if keys := list(t, s, ""); len(keys) > 0 {
		t.Errorf("half a blob is visible: %q", keys)
	}
	_, err = s.Get(t.Context(), key)
	wantCode(t, err, shield.NotFound)
	put(t, s, key, "again") // what the crash left is not in the way
	must(t, s.Delete(t.Context(), key))
	writeFiles(t, dir, map[string]string{"2026/01/31/.archive-1.partial": "left"})
	must(t, s.Delete(t.Context(), key))
	if left := tree(t, dir); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func endlessPut(t *testing.T, dir string) {
	n := 0
	_, err := openStore(t, dir).Put(t.Context(), key, readerFunc(func(p []byte) (int, error) {
		if n++; n == 3 {
			_, _ = os.Stdout.WriteString("amid\n")
		}
		if n >= 3 {
			select {} // until killed
		}
		return len(p), nil
	}))
	t.Fatal(err)
}

func TestGetOfFifo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	must(t, unix.Mkfifo(filepath.Join(dir, "fifo"), 0o600))
	_, err := openStore(t, dir).Get(t.Context(), "fifo")
	wantCode(t, err, shield.StoreFailed, "not a regular file")
}

func TestMinFree(t *testing.T) {
	t.Parallel()
	dir := smallDisk(t)
	s := openStore(t, dir, "min_free", "64KiB")
	put(t, s, "small", "x")
	must(t, s.(plugin.Tester).Test(t.Context()))
	s = openStore(t, dir, "min_free", "1GiB")
	wantCode(t, s.(plugin.Tester).Test(t.Context()), shield.StoreFailed, dir, "min_free is 1.0 GiB")
	_, err := s.Put(t.Context(), key, strings.NewReader("x"))
	wantCode(t, err, shield.StoreFailed, dir, "min_free is 1.0 GiB")
	if left := tree(t, dir); len(left) != 1 {
		t.Errorf("left behind: %q", left)
	}
}

// TestMinFreeMeanwhile has the space go while a blob is written.
func TestMinFreeMeanwhile(t *testing.T) {
	t.Parallel()
	dir := diskOf(t, "200m")
	s := openStore(t, dir, "min_free", "100MiB")
	_, err := s.Put(t.Context(), key, io.LimitReader(endless{}, 150<<20))
	wantCode(t, err, shield.StoreFailed, dir, "min_free is 100.0 MiB")
	if left := tree(t, dir); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }
