//go:build linux && !portable

package fs_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugins-wasm/fs/fstest"
)

// portable is whether this is the source for systems other than Linux.
const portable = false

func same(t testing.TB, a, b string) { mustEqual(t, a, b) }

func TestEverythingIsRestored(t *testing.T) {
	t.Parallel()
	for seed := range int64(3) {
		dir, to := fstest.Dir(t), fstest.Dir(t)
		fstest.Make(t, dir, seed)
		stream, log := backup(t, dir, "strict", true)
		if len(stream) > 100<<20 {
			t.Fatalf("holes were stored: %d bytes", len(stream))
		}
		mustRestore(t, to, stream)
		mustEqual(t, dir, to)
		if !strings.Contains(log.text(), "./system/socket: is a socket: left out") {
			t.Errorf("the log does not mention the socket:\n%s", log.text())
		}
		// Again, over what is there now.
		mustRestore(t, to, stream)
		mustEqual(t, dir, to)
	}
}

func TestOneProcessor(t *testing.T) {
	cmd := exec.Command(os.Args[0], "-test.run", "^TestEverythingIsRestored$")
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestHolesAreRestored(t *testing.T) {
	t.Parallel()
	dir, to := fstest.Dir(t), fstest.Dir(t)
	name := filepath.Join(dir, "image")
	f, err := os.Create(name)
	must(t, err)
	must(t, f.Truncate(1<<40))
	for _, off := range []int64{5, 1 << 30, 1<<40 - 10} {
		_, err := f.WriteAt([]byte("data"), off)
		must(t, err)
	}
	must(t, f.Close())
	stream, _ := backup(t, dir)
	mustRestore(t, to, stream)
	var st unix.Stat_t
	must(t, unix.Stat(filepath.Join(to, "image"), &st))
	if st.Size != 1<<40 || st.Blocks*512 > 1<<20 {
		t.Errorf("the file has %d bytes in %d blocks", st.Size, st.Blocks)
	}
	got, err := os.Open(filepath.Join(to, "image"))
	must(t, err)
	defer got.Close()
	for _, off := range []int64{5, 1 << 30, 1<<40 - 10} {
		b := make([]byte, 4)
		if _, err := got.ReadAt(b, off); err != nil || string(b) != "data" {
			t.Errorf("at %d: %q, %v", off, b, err)
		}
	}
}

// TestManyHoles has more extents than a map may have.
func TestManyHoles(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("writes 70,000 extents")
	}
	dir, to := fstest.Dir(t), fstest.Dir(t)
	f, err := os.Create(filepath.Join(dir, "file"))
	must(t, err)
	for i := range int64(70_000) {
		_, err := f.WriteAt([]byte{byte(i)}, i*8192)
		must(t, err)
	}
	must(t, f.Close())
	stream, _ := backup(t, dir)
	mustRestore(t, to, stream)
	mustEqual(t, dir, to)
}

// TestSpecialFilesDoNotStop is about what stopped the predecessor.
func TestSpecialFilesDoNotStop(t *testing.T) {
	t.Parallel()
	dir, to := fstest.Dir(t), fstest.Dir(t)
	writeFiles(t, dir, map[string]string{"a": "a", "z": "z"})
	must(t, unix.Mkfifo(filepath.Join(dir, "fifo"), 0o622))
	must(t, os.Chmod(filepath.Join(dir, "fifo"), 0o622))
	l, err := net.Listen("unix", filepath.Join(dir, "socket"))
	must(t, err)
	defer l.Close()
	if os.Geteuid() == 0 {
		must(t, unix.Mknod(filepath.Join(dir, "null"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))))
	}
	stream, _ := backup(t, dir, "strict", true)
	mustRestore(t, to, stream)
	mustEqual(t, dir, to)
}

// TestFifoTakesPlaceOfFile swaps a file for a FIFO after the folder was read.
func TestFifoTakesPlaceOfFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "a-big"), make([]byte, 2<<20), 0o600))
	writeFiles(t, dir, map[string]string{"b": "b", "c": "c", "d/x": ""})
	target, log := openTarget(t, dir)
	var out bytes.Buffer
	must(t, target.Backup(t.Context(), writerFunc(func(p []byte) (int, error) {
		_ = os.Remove(filepath.Join(dir, "b"))
		_ = unix.Mkfifo(filepath.Join(dir, "b"), 0o600)
		_ = os.Remove(filepath.Join(dir, "c"))
		_ = os.Symlink("/etc/passwd", filepath.Join(dir, "c"))
		_ = os.RemoveAll(filepath.Join(dir, "d"))
		_ = os.Symlink("/etc", filepath.Join(dir, "d"))
		return out.Write(p)
	})))
	if diff := cmp.Diff([]string{"./", "./a-big"}, listTar(t, out.Bytes())); diff != "" {
		t.Errorf("(-want +got):\n%s\n%s", diff, log.text())
	}
	n := strings.Count(log.text(), "became something else")
	if os.Getenv(inSandbox) != "" {
		// The module is read from in pieces, so that a swap may be half done.
		n += strings.Count(log.text(), "vanished")
	}
	if n != 3 {
		t.Errorf("%d of 3 swaps were noted:\n%s", n, log.text())
	}
}

func TestDeepTree(t *testing.T) {
	t.Parallel()
	dir, to := fstest.Dir(t), fstest.Dir(t)
	fd, err := unix.Open(dir, unix.O_DIRECTORY, 0)
	must(t, err)
	for i := range 400 {
		name := strings.Repeat("d", 1+i%250)
		must(t, unix.Mkdirat(fd, name, 0o755))
		for _, file := range []string{"a-file", "z-file"} {
			f, err := unix.Openat(fd, file, unix.O_CREAT|unix.O_WRONLY, 0o644)
			must(t, err)
			unix.Close(f)
		}
		must(t, unix.Linkat(fd, "a-file", fd, "link", 0))
		next, err := unix.Openat(fd, name, unix.O_DIRECTORY, 0)
		must(t, err)
		unix.Close(fd)
		fd = next
	}
	unix.Close(fd)
	stream, log := backup(t, dir, "strict", true)
	mustRestore(t, to, stream)
	mustEqual(t, dir, to)
	if want := "backed up 800 files, 401 folders, 400 hard links"; !strings.Contains(log.text(), want) {
		t.Errorf("the log does not say %q:\n%s", want, log.text())
	}
}

func TestSpecialFileSystems(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		optional(t, "mounting needs root")
	}
	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, "proc"), 0o755))
	if err := unix.Mount("proc", filepath.Join(dir, "proc"), "proc", 0, ""); err != nil {
		optional(t, fmt.Sprintf("mounting: %v", err))
	}
	t.Cleanup(func() { must(t, unix.Unmount(filepath.Join(dir, "proc"), unix.MNT_DETACH)) })
	stream, log := backup(t, dir, "strict", true)
	if diff := cmp.Diff([]string{"./", "./proc/"}, listTar(t, stream)); diff != "" {
		t.Errorf("(-want +got):\n%s\n%s", diff, log.text())
	}
}

func TestOneFileSystem(t *testing.T) {
	t.Parallel()
	disk := smallDisk(t)
	writeFiles(t, disk, map[string]string{"file": "x"})
	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, "mount"), 0o755), unix.Mount(disk, filepath.Join(dir, "mount"), "", unix.MS_BIND, ""))
	t.Cleanup(func() { must(t, unix.Unmount(filepath.Join(dir, "mount"), unix.MNT_DETACH)) })
	for only, want := range map[bool][]string{false: {"./", "./mount/", "./mount/file"}, true: {"./", "./mount/"}} {
		stream, log := backup(t, dir, "strict", true, "one_file_system", only)
		if diff := cmp.Diff(want, listTar(t, stream)); diff != "" {
			t.Errorf("(-want +got):\n%s\n%s", diff, log.text())
		}
	}
}

func TestOwnersNeedRoot(t *testing.T) {
	t.Parallel()
	if os.Geteuid() == 0 {
		t.Skip("root may do it; the run as an ordinary user tests this")
	}
	needTool(t, "tar")
	dir, to := t.TempDir(), t.TempDir()
	writeFiles(t, dir, map[string]string{"a": "", "b": ""})
	must(t, os.Chmod(filepath.Join(dir, "a"), os.ModeSetuid|0o755))
	tarFile := filepath.Join(t.TempDir(), "t.tar")
	run(t, "tar", "-C", dir, "--owner=1", "--group=1", "-cf", tarFile, ".")
	stream, err := os.ReadFile(tarFile)
	must(t, err)
	log := mustRestore(t, to, stream)
	if n := strings.Count(log.text(), "owners are not restored"); n != 1 {
		t.Errorf("noted %d times, want once:\n%s", n, log.text())
	}
	info, err := os.Stat(filepath.Join(to, "a"))
	must(t, err)
	if info.Mode() != 0o755 {
		t.Errorf("mode %v: setuid would speak for another owner", info.Mode())
	}
}

func TestRestoreOntoFullDisk(t *testing.T) {
	t.Parallel()
	dir := smallDisk(t)
	src := t.TempDir()
	must(t, os.WriteFile(filepath.Join(src, "big"), make([]byte, 4<<20), 0o600))
	writeFiles(t, src, map[string]string{"a": "a"})
	stream, _ := backup(t, src)
	_, err := restore(t, dir, stream)
	wantCode(t, err, shield.TargetFailed, dir, "no space left")
	wantAbsent(t, filepath.Join(dir, "big"))
	wantFile(t, filepath.Join(dir, "a"), "a")
}

// smallDisk mounts a file system of one MiB.
func smallDisk(t testing.TB) string {
	t.Helper()
	return diskOf(t, "1m")
}

// diskOf mounts a file system in memory.
func diskOf(t testing.TB, size string) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("mounting needs root; the run as root tests this")
	}
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		optional(t, fmt.Sprintf("mounting: %v", err))
	}
	t.Cleanup(func() { must(t, unix.Unmount(dir, unix.MNT_DETACH)) })
	return dir
}

func TestGNUTarReadsOurs(t *testing.T) {
	t.Parallel()
	needTool(t, "tar")
	dir, to := fstest.Dir(t), fstest.Dir(t)
	fstest.Make(t, dir, 4)
	tarFile := filepath.Join(t.TempDir(), "t.tar")
	f, err := os.Create(tarFile)
	must(t, err)
	target, _ := openTarget(t, dir)
	must(t, target.Backup(t.Context(), f), f.Close())
	run(t, "tar", "-C", to, "-x", "-p", "--numeric-owner", "--xattrs", "--xattrs-include=*", "-f", tarFile)
	mustEqual(t, dir, to)
}

func TestRestoreReadsGNUTars(t *testing.T) {
	t.Parallel()
	needTool(t, "tar")
	tests := []struct {
		name string
		args []string
	}{
		{"pax", []string{"--format=pax"}},
		{"pax with attributes", []string{"--format=pax", "--xattrs", "--xattrs-include=*"}},
		{"gnu", []string{"--format=gnu"}},
		{"gnu sparse", []string{"--format=gnu", "--sparse"}},
		{"pax sparse 0.0", []string{"--format=pax", "--sparse", "--sparse-version=0.0"}},
		{"pax sparse 0.1", []string{"--format=pax", "--sparse", "--sparse-version=0.1"}},
		{"pax sparse 1.0", []string{"--format=pax", "--sparse", "--sparse-version=1.0"}},
		{"oldgnu sparse", []string{"--format=oldgnu", "--sparse"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir, ours, theirs := fstest.Dir(t), fstest.Dir(t), fstest.Dir(t)
			fstest.Make(t, dir, 5)
			if !strings.Contains(tt.name, "pax") {
				// The format has no times before 1970 or of nanoseconds.
				resetTimes(t, dir)
			}
			tarFile := filepath.Join(t.TempDir(), "t.tar")
			run(t, "tar", append([]string{"-C", dir, "-cf", tarFile}, append(tt.args, ".")...)...)
			run(t, "tar", "-C", theirs, "-x", "-p", "--numeric-owner", "--xattrs", "--xattrs-include=*", "-f", tarFile)
			f, err := os.Open(tarFile)
			must(t, err)
			defer f.Close()
			target, log := openTarget(t, ours)
			if err := target.Restore(t.Context(), f); err != nil {
				t.Fatalf("%v\n%s", err, log.text())
			}
			mustEqual(t, theirs, ours)
			rest, err := io.ReadAll(f)
			if err != nil || len(rest) > 0 {
				t.Errorf("%d bytes were not read, %v", len(rest), err)
			}
		})
	}
}

func resetTimes(t testing.TB, dir string) {
	t.Helper()
	run(t, "find", dir, "-depth", "-exec", "touch", "-h", "-d", "2001-02-03 04:05:06", "{}", "+")
}
