//go:build linux && !portable

package fs_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugins-wasm/fs/fs"
	"github.com/shieldhq/shield/plugins-wasm/fs/fstest"
)

// TestSandboxKeepsEverything has each of the two builds restore what either
// has backed up. Their streams are the same to the byte.
func TestSandboxKeepsEverything(t *testing.T) {
	t.Parallel()
	skipSandboxed(t)
	native, sandboxed := plugin.Opener(fs.Plugin()), sandboxed(t)
	for seed := range int64(3) {
		dir := fstest.Dir(t)
		fstest.Make(t, dir, 100+seed)
		streams := map[string][]byte{}
		for name, o := range map[string]plugin.Opener{"native": native, "sandboxed": sandboxed} {
			var b bytes.Buffer
			must(t, target(t, o, dir).Backup(t.Context(), &b))
			streams[name] = b.Bytes()
		}
		if !bytes.Equal(streams["native"], streams["sandboxed"]) {
			t.Errorf("the streams differ, %d and %d bytes", len(streams["native"]), len(streams["sandboxed"]))
		}
		for name, stream := range streams {
			for other, o := range map[string]plugin.Opener{"native": native, "sandboxed": sandboxed} {
				t.Run(fmt.Sprintf("%s to %s", name, other), func(t *testing.T) {
					to := fstest.Dir(t)
					must(t, target(t, o, to).Restore(t.Context(), bytes.NewReader(stream)))
					mustEqual(t, dir, to)
				})
			}
		}
	}
}

// target opens a strict target.
func target(t testing.TB, o plugin.Opener, dir string) plugin.Target {
	t.Helper()
	target, err := o.OpenTarget(t.Context(), endpoint(t, map[string]any{"base_dir": dir, "strict": true}), nil)
	must(t, err)
	return target
}

// TestStoppedPutLeavesNothing stops a guest, which cannot clean up itself.
func TestStoppedPutLeavesNothing(t *testing.T) {
	t.Parallel()
	skipSandboxed(t)
	dir := t.TempDir()
	s, err := sandboxed(t).OpenStore(t.Context(), endpoint(t, map[string]any{"base_dir": dir}), nil)
	must(t, err)
	for name, end := range map[string]func(context.CancelFunc) error{
		"canceled":    func(cancel context.CancelFunc) error { cancel(); return nil },
		"input fails": func(context.CancelFunc) error { return io.ErrClosedPipe },
	} {
		ctx, cancel := context.WithCancel(t.Context())
		written := 0
		_, err = s.Put(ctx, key, readerFunc(func(p []byte) (int, error) {
			if written += len(p); written < 8<<20 {
				return len(p), nil
			}
			waitFor(t, func() bool { return len(tree(t, dir)) == 4 })
			return len(p), end(cancel)
		}))
		cancel()
		if err == nil {
			t.Errorf("%s: no error", name)
		}
		if left := tree(t, dir); len(left) > 0 {
			t.Errorf("%s: left behind: %q", name, left)
		}
	}
}

func waitFor(t testing.TB, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if done() {
			return
		}
	}
	t.Error("it did not come to that")
}

// TestSandboxFollowsLinksWithin is about a store in which an operator moved
// folders elsewhere.
func TestSandboxFollowsLinksWithin(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(dir, "disk/2026"), 0o700), os.Symlink("disk/2026", filepath.Join(dir, "2026")))
	s := openStore(t, dir)
	put(t, s, "2026/blob", "content")
	wantFile(t, filepath.Join(dir, "disk/2026/blob"), "content")
	must(t, os.Symlink("disk/2026/blob", filepath.Join(dir, "link")))
	if got := get(t, s, "link") + get(t, s, "2026/blob"); got != "contentcontent" {
		t.Errorf("got %q", got)
	}
	must(t, s.Delete(t.Context(), "2026/blob"))
	wantAbsent(t, filepath.Join(dir, "disk/2026/blob"))
}

// TestBaseIsFifo must not hang.
func TestBaseIsFifo(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "fifo")
	must(t, unix.Mkfifo(name, 0o600))
	target, _ := openTarget(t, name)
	err := target.Backup(t.Context(), io.Discard)
	if err == nil || !strings.Contains(err.Error(), "not a folder") {
		t.Errorf("error %v", err)
	}
}

// BenchmarkTree backs up and restores 20,000 files. CPU is that of all
// processes.
func BenchmarkTree(b *testing.B) {
	dir := b.TempDir()
	for i := range 200 {
		files := map[string]string{}
		for j := range 100 {
			files[fmt.Sprintf("%03d/%03d", i, j)] = strings.Repeat("x", i*j%5000)
		}
		writeFiles(b, dir, files)
	}
	apart, err := isolated()
	must(b, err)
	builds := map[string]plugin.Opener{"native": fs.Plugin(), "sandboxed": sandboxed(b), "isolated": apart}
	var stream bytes.Buffer
	must(b, target(b, builds["native"], dir).Backup(b.Context(), &stream))
	for _, name := range []string{"native", "sandboxed", "isolated"} {
		must(b, target(b, builds[name], dir).Backup(b.Context(), io.Discard)) // compiles the module
		b.Run("backup/"+name, func(b *testing.B) {
			measure(b, func() { must(b, target(b, builds[name], dir).Backup(b.Context(), io.Discard)) })
		})
		b.Run("restore/"+name, func(b *testing.B) {
			to := b.TempDir()
			n := 0
			measure(b, func() {
				n++
				to := filepath.Join(to, fmt.Sprint(n))
				must(b, target(b, builds[name], to).Restore(b.Context(), bytes.NewReader(stream.Bytes())))
			})
		})
	}
}

func measure(b *testing.B, f func()) {
	b.Helper()
	var used time.Duration
	for b.Loop() {
		from := cpu(b)
		f()
		used += cpu(b) - from
	}
	b.ReportMetric(float64(used.Milliseconds())/float64(b.N), "cpu-ms/op")
}

func cpu(b *testing.B) time.Duration {
	b.Helper()
	var used int64
	for _, who := range []int{unix.RUSAGE_SELF, unix.RUSAGE_CHILDREN} {
		var u unix.Rusage
		must(b, unix.Getrusage(who, &u))
		used += u.Utime.Nano() + u.Stime.Nano()
	}
	return time.Duration(used)
}
