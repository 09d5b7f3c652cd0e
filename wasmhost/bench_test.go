//go:build unix

package wasmhost_test

import (
	"io"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugin/exec"
)

const gib = 1 << 30

// carriers are the same source as a module and as a program.
func carriers(b *testing.B) map[string]plugin.Opener {
	b.Helper()
	native := filepath.Join(b.TempDir(), "native")
	if out, err := osexec.Command("go", "build", "-o", native, "./testdata/files").CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	p, err := exec.Open(native, nil)
	if err != nil {
		b.Fatal(err)
	}
	h := newHost(b, nil)
	isolated := grantAll(b, h, guest(b, "files"))
	isolated.Isolation = plugin.IsolationProcess
	return map[string]plugin.Opener{"wasm": open(b, h, "files", nil), "isolated": open(b, h, "files", &isolated), "native": p}
}

func BenchmarkBackup(b *testing.B) {
	dir := b.TempDir()
	f, err := os.Create(filepath.Join(dir, "file"))
	if err != nil {
		b.Fatal(err)
	}
	// Written, and so in the system's cache: what is measured is not the disk.
	if _, err := io.Copy(f, io.LimitReader(zeros{}, gib)); err != nil {
		b.Fatal(err)
	}
	_ = f.Close()
	for carrier, o := range carriers(b) {
		for _, do := range []string{"copy", "read"} {
			b.Run(do+"/"+carrier, func(b *testing.B) {
				measure(b, gib, func() error {
					t, err := o.OpenTarget(b.Context(), endpoint(b, map[string]any{"do": do, "dir": dir, "use": "file"}), nil)
					if err != nil {
						return err
					}
					return t.Backup(b.Context(), io.Discard)
				})
			})
		}
	}
}

func BenchmarkRestore(b *testing.B) {
	for carrier, o := range carriers(b) {
		for _, do := range []string{"drop", "touch"} {
			b.Run(do+"/"+carrier, func(b *testing.B) {
				measure(b, gib, func() error {
					t, err := o.OpenTarget(b.Context(), endpoint(b, map[string]any{"do": do, "dir": b.TempDir()}), nil)
					if err != nil {
						return err
					}
					return t.Restore(b.Context(), io.LimitReader(zeros{}, gib))
				})
			})
		}
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// measure reports the CPU time of this process and of its children.
func measure(b *testing.B, size int64, f func() error) {
	b.Helper()
	b.SetBytes(size)
	from := cpu()
	for b.Loop() {
		if err := f(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric((cpu()-from).Seconds()/float64(b.N), "cpu-s/op")
}

func cpu() (total time.Duration) {
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var u syscall.Rusage
		_ = syscall.Getrusage(who, &u)
		total += time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	return total
}

// BenchmarkCall is a whole call that does next to nothing.
func BenchmarkCall(b *testing.B) {
	h := newHost(b, nil)
	for _, name := range []string{"files", "probe", "hostile.c"} {
		o := open(b, h, name, nil)
		e := map[string]any{"do": "nothing"}
		b.Run(name, func(b *testing.B) {
			if name != "hostile.c" {
				e["dir"], e["use"] = b.TempDir(), "x"
				delete(e, map[string]string{"files": "addr", "probe": "dir"}[name])
			}
			measure(b, 0, func() error {
				t, err := o.OpenTarget(b.Context(), endpoint(b, e), nil)
				if err == nil {
					_ = t.Backup(b.Context(), io.Discard) // it fails, as it should
				}
				return err
			})
		})
	}
}

// BenchmarkMemory reports the resident memory of an idle instance.
func BenchmarkMemory(b *testing.B) {
	o := open(b, newHost(b, nil), "files", nil)
	if _, err := o.Info(b.Context()); err != nil {
		b.Fatal(err)
	}
	const instances = 50
	for b.Loop() {
		before := resident(b)
		writers := make([]*io.PipeWriter, instances)
		done := make(chan error, instances)
		for n := range writers {
			r, w := io.Pipe()
			writers[n] = w
			go func() {
				t, err := o.OpenTarget(b.Context(), endpoint(b, map[string]any{"do": "drop", "dir": "/"}), nil)
				if err == nil {
					err = t.Restore(b.Context(), r)
				}
				done <- err
			}()
		}
		for _, w := range writers {
			_, _ = w.Write([]byte("x")) // the guest is up, or will be
		}
		time.Sleep(time.Second)
		b.ReportMetric(float64(resident(b)-before)/instances/(1<<20), "MiB/instance")
		for _, w := range writers {
			_ = w.Close()
		}
		for range writers {
			if err := <-done; err != nil {
				b.Fatal(err)
			}
		}
	}
}

func resident(b *testing.B) int64 {
	b.Helper()
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		b.Skip(err)
	}
	pages, _ := strconv.ParseInt(strings.Fields(string(text))[1], 10, 64)
	return pages * int64(os.Getpagesize())
}
