package main

import (
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
)

func read(t *testing.T, r io.Reader, n int64) []byte {
	t.Helper()
	b, err := io.ReadAll(io.LimitReader(r, n))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func compressed(t *testing.T, b []byte) float64 {
	t.Helper()
	w, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	return float64(len(b)) / float64(len(w.EncodeAll(b, nil)))
}

func TestDumpCompressesThreefold(t *testing.T) {
	t.Parallel()
	b := read(t, newDump(1), 16<<20)
	if got := compressed(t, b); got < 2.7 || got > 3.6 {
		t.Errorf("a dump compresses %.2f times, want about 3", got)
	}
	for _, table := range tables {
		if !strings.Contains(string(b), "COPY "+table.head+" FROM stdin;\n") {
			t.Errorf("there is no block of %s", table.head)
		}
	}
}

func TestNoiseDoesNotCompress(t *testing.T) {
	t.Parallel()
	if got := compressed(t, read(t, newNoise(1), 4<<20)); got > 1.001 {
		t.Errorf("noise compresses %.3f times", got)
	}
}

func TestDataIsTheSameEachTime(t *testing.T) {
	t.Parallel()
	sum := func() string {
		dir := filepath.Join(t.TempDir(), "tree")
		if err := makeTree(dir, 200, 4<<20, 7); err != nil {
			t.Fatal(err)
		}
		size, files, err := treeSize(dir)
		if err != nil {
			t.Fatal(err)
		}
		if size != 4<<20 || files != 200 {
			t.Errorf("the tree has %d bytes in %d files", size, files)
		}
		h := sha256.New()
		if err := os.CopyFS(filepath.Join(t.TempDir(), "copy"), os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		err = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			b, err := os.ReadFile(path)
			fmt.Fprintln(h, strings.TrimPrefix(path, dir), len(b))
			h.Write(b)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("%x", h.Sum(nil))
	}
	if a, b := sum(), sum(); a != b {
		t.Errorf("two trees from one seed differ: %s and %s", a, b)
	}
}

func TestSameContent(t *testing.T) {
	t.Parallel()
	source := t.TempDir()
	put := func(dir, name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	long := strings.Repeat("x", 64<<10)
	put(source, "a", long)
	put(source, "b", "bee")
	for _, c := range []struct{ name, a, b, extra, want string }{
		{"equal", long, "bee", "", ""},
		{"a byte differs", long, "bed", "", "b was not restored as it was"},
		{"longer by a byte after a whole buffer", long + "x", "bee", "", "a was not restored as it was"},
		{"cut at the end of a buffer", long[:32<<10], "bee", "", "a was not restored as it was"},
		{"one too many", long, "bee", "more", "3 files were restored, not 2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			restored := t.TempDir()
			put(restored, "a", c.a)
			put(restored, "b", c.b)
			if c.extra != "" {
				put(restored, "c", c.extra)
			}
			err := sameContent(source, restored)
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
	if err := sameContent(source, filepath.Join(source, "nowhere")); !os.IsNotExist(err) {
		t.Errorf("nothing restored: %v", err)
	}
}

func TestByteSize(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]byteSize{"5": 5, "3KiB": 3 << 10, "64MiB": 64 << 20, "2GiB": 2 << 30} {
		var got byteSize
		if err := got.Set(text); err != nil || got != want {
			t.Errorf("%s: got %d, %v", text, got, err)
		}
	}
	var got byteSize
	for _, bad := range []string{"", "MiB", "1TB", "9999999999GiB"} {
		if err := got.Set(bad); err == nil {
			t.Errorf("%q was taken as %d", bad, got)
		}
	}
}

// seconds is the cost of an operation with a CPU time twice its wall time.
func seconds(s float64) cost {
	wall := time.Duration(s * float64(time.Second))
	return cost{wall: wall, cpu: 2 * wall, rss: 20 << 20}
}

func TestReport(t *testing.T) {
	t.Parallel()
	r := report{
		machine: []string{"machine: one"},
		sets:    []setInfo{{"text", "a dump", 1e8, 1}},
		results: []result{
			{"text", "shield", 1e8, seconds(1), seconds(1), 3e7},
			{"text", "restic", 1e8, seconds(4), seconds(2), 3.5e7},
			{"text", "shield", 1e8, seconds(3), seconds(1), 3e7},
			{"text", "restic", 1e8, seconds(6), seconds(4), 3.5e7},
		},
		firstStart: []time.Duration{350 * time.Millisecond},
		firstByte:  []time.Duration{40 * time.Millisecond, 60 * time.Millisecond},
		memory:     []memory{{1e8, 90 << 20}},
		failures:   []string{"text/borg, round 1: broke\nbadly"},
	}
	text := r.markdown()
	for _, want := range []string{
		"- machine: one\n",
		"| backup throughput against restic | text | at least 3.00x | 3.00x | yes |\n",
		"| backup CPU against restic | text | at most 0.33x | 0.38x | **no** |\n",
		"| restore throughput against restic | text | at least 3.00x | 3.00x | yes |\n",
		"| peak memory of the daemon | all | at most 160 MiB | 90 MiB | yes |\n",
		"| first start of the daemon |  | under 300 ms | 350 ms | **no** |\n",
		"| run request to first byte |  | under 100 ms | 50 ms | yes |\n",
		"### text: a dump, 100.0 MB, 1 files\n",
		"| shield | 2.00 (1.00 to 3.00) | 67 | 4.00 | 20 | 30.0 | 1.00 (1.00 to 1.00) | 100 | 2.00 | 20 |\n",
		"| 100.0 | 90 |\n",
		"- text/borg, round 1: broke badly\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the report has no line %q:\n%s", want, text)
		}
	}
	if strings.Contains(text, "against shell") {
		t.Errorf("the report compares with what was not measured:\n%s", text)
	}
}

func TestSplice(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "page.md")
	put := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const page = "top\n<!-- bench:begin -->\n%s<!-- bench:end -->\nmiddle\n<!-- bench-plugins:begin -->\n%s<!-- bench-plugins:end -->\nend\n"
	put(fmt.Sprintf(page, "old\n", "old\n"))
	got, err := spliced(file, map[part]string{partPlugins: "new\n"})
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf(page, "old\n", "new\n"); string(got) != want {
		t.Errorf("got %q, want %q", got, want)
	}
	put("top\n<!-- bench:begin -->\nold\n")
	if _, err := spliced(file, map[part]string{partPeers: "new\n"}); err == nil {
		t.Error("a page without its end marker was taken")
	}
}

// Only what was measured replaces what was there.
func TestParts(t *testing.T) {
	t.Parallel()
	l := &load{what: "all of it", size: 1e9, leastPut: 1, mostCPU: 1.1}
	r := &report{plugins: []pluginResult{{l, cost{wall: 2 * time.Second, cpu: time.Second}, cost{wall: time.Second, cpu: 3 * time.Second}}}}
	parts := r.parts()
	want := "| all of it | 1000.0 | 500 | 1.00 | 1000 | 3.00 | 2.00x | at least 1.0x | yes | 3.00x | at most 1.1x | **no** |"
	if text := parts[partPlugins]; len(parts) != 1 || !strings.Contains(text, want) {
		t.Errorf("the parts are %q, want %s", parts, want)
	}
	r = &report{firstByte: []time.Duration{time.Second}}
	if parts := r.parts(); len(parts) != 1 || parts[partPeers] == "" {
		t.Errorf("the parts are %q", parts)
	}
}

func TestCPUTimeAndPeakOfThisProcess(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("this system has no /proc")
	}
	began, err := cpuTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); ; {
		now, err := cpuTime(os.Getpid())
		if err != nil {
			t.Fatal(err)
		}
		if now > began {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the time used does not grow")
		}
	}
	if peak, err := peakRSS(os.Getpid()); err != nil || peak < 1<<20 {
		t.Errorf("peak memory is %d, %v", peak, err)
	}
}

func TestRun(t *testing.T) {
	t.Parallel()
	used, err := run(t.Context(), []string{"GREETING=hello"}, "sh", "-c", `test "$GREETING" = hello`)
	if err != nil || used.wall <= 0 || used.rss <= 0 {
		t.Errorf("got %v, %v", used, err)
	}
	_, err = run(t.Context(), nil, "sh", "-c", "echo why >&2; exit 3")
	if err == nil || !strings.Contains(err.Error(), "exit status 3: why") {
		t.Errorf("got %v", err)
	}
}

func TestSystemMarkdown(t *testing.T) {
	out := "BenchmarkPipe-2 \t 3\t 0.81 backup-cpu-s\t 1.2 backup-cpu-x\t 0.63 backup-wall-s\t 1.04 backup-wall-x\n"
	x := systemResult{system: systems[0], size: 64e6, metrics: map[string]float64{}}
	if err := x.read(out); err != nil {
		t.Fatal(err)
	}
	r := report{systems: []systemResult{x}}
	want := "| postgres | pg_dump, zstd, age | 64.0 | backup | 0.63 | 1.04x | at most 1.05x | yes | 0.81 | 1.20x | at most 1.10x | **no** |\n"
	if text := r.parts()[partSystems]; !strings.Contains(text, want) || strings.Contains(text, "| restore |") {
		t.Errorf("the part is %s, want %s", text, want)
	}
	if err := x.read("ok\n"); err == nil {
		t.Error("no figures, and no error")
	}
}

func TestScale(t *testing.T) {
	out := "goos: linux\nBenchmarkScale/idle-tick-2 \t 1\t 5440686631 ns/op\t 1.993 idle-tick-ms\t 6.787 idle-tick-p99-ms\n" +
		"BenchmarkNext/daily/UTC/timespec-2 100\t 50 ns/op 0 B/op\nBenchmarkNext/daily/UTC/robfig-2 \t 100\t 2000 ns/op\nPASS\n"
	metrics := scaleMetrics(out)
	r := report{scale: []scaleResult{{scaleBenches[0], metrics}, {scaleBenches[2], metrics}}}
	text := r.parts()[partScale]
	for _, want := range []string{
		"judges: median | under 5 ms | 1.99 ms | yes |", "the same: 99 of 100 |  | 6.79 ms |  |",
		"robfig/cron | at most 1.00x | 0.03x | yes |",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in:\n%s", want, text)
		}
	}
}
