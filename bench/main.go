// Command bench measures shield against what an administrator would use in
// its place: a shell pipeline of tar, zstd and age, restic, and borg. All
// read the same folders and write to the same disk, one after the other in
// each round, and every restored byte is compared. It also has the benchmarks
// of plugins compare shield with the bare pipes of the tools that dump, and
// with what else copies to the same stores, and runs those of a catalog as large
// as shield is meant for.
//
// It prints tables in Markdown; -o puts them into docs/performance.md. It
// needs Linux, bash, tar, zstd, age, restic, borg and rclone.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
)

func main() {
	var b bench
	size := byteSize(1 << 30)
	flag.StringVar(&b.bin, "bin", "bin", "folder of shield's programs")
	flag.Var(&size, "size", "bytes in each set of data")
	flag.IntVar(&b.files, "files", 20000, "files in the tree")
	flag.IntVar(&b.rounds, "rounds", 3, "rounds; medians are reported")
	only := flag.String("only", "", "`regexp` of what to measure: SET/CONTENDER, startup, first-byte, memory, plugins, system/NAME, scale/NAME, agent/NAME")
	out := flag.String("o", "", "`file` whose parts between markers the tables replace, those that were measured")
	tmp := flag.String("dir", "", "`folder` to work in (default: a RAM disk when it has room)")
	flag.Parse()
	b.size = int64(size)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := b.main(ctx, *only, *out, *tmp); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1)
	}
}

// A bench is one run of the program.
type bench struct {
	bin, dir, disk string
	size           int64
	files, rounds  int
	only           *regexp.Regexp
	report         report
}

func (b *bench) main(ctx context.Context, only, out, tmp string) (err error) {
	if b.only, err = regexp.Compile(only); err != nil {
		return err
	}
	if b.rounds < 1 || b.size < 1 || b.files < 1 {
		return errors.New("-rounds, -size and -files must be positive")
	}
	if b.bin, err = filepath.Abs(b.bin); err != nil {
		return err
	}
	if out != "" { // find out now, not after an hour
		if _, err := spliced(out, map[part]string{partPeers: "", partPlugins: "", partSystems: "", partScale: "", partAgents: ""}); err != nil {
			return err
		}
	}
	if err := b.workIn(tmp); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()
	b.report.machine = describeMachine(ctx, b)
	if err := b.measure(ctx); err != nil {
		return err
	}
	if err := b.publish(out); err != nil {
		return err
	}
	if n := len(b.report.failures); n > 0 {
		return fmt.Errorf("%d failures:\n%s", n, strings.Join(b.report.failures, "\n"))
	}
	return nil
}

func (b *bench) publish(out string) error {
	parts := b.report.parts()
	fmt.Print(parts[partPeers], parts[partPlugins], parts[partSystems], parts[partScale], parts[partAgents])
	if out == "" {
		return nil
	}
	page, err := spliced(out, parts)
	if err != nil {
		return err
	}
	return os.WriteFile(out, page, 0o644)
}

// spliced returns the page with the parts replaced.
func spliced(file string, parts map[part]string) ([]byte, error) {
	page, err := os.ReadFile(file)
	for p, text := range parts {
		if err == nil {
			page, err = splice(page, p, text)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return page, nil
}

// measure does all that -only asks for. What a contender does wrong is
// noted, and the others go on.
func (b *bench) measure(ctx context.Context) error {
	for _, s := range b.sets() {
		if err := b.measureSet(ctx, s); err != nil {
			return err
		}
	}
	for _, extra := range []struct {
		name string
		run  func(context.Context) error
	}{
		{"startup", b.measureStart},
		{"first-byte", b.measureFirstByte},
		{"memory", b.measureMemory},
		{"plugins", b.measurePlugins},
	} {
		if !b.only.MatchString(extra.name) {
			continue
		}
		if err := extra.run(ctx); err != nil {
			b.fail("%s: %v", extra.name, err)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	if err := b.measureSystems(ctx); err != nil {
		return err
	}
	if err := b.measureScale(ctx); err != nil {
		return err
	}
	return b.measureAgents(ctx)
}

func (b *bench) fail(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	fmt.Fprintln(os.Stderr, "FAILED", text)
	b.report.failures = append(b.report.failures, text)
}

func (b *bench) path(names ...string) string {
	return filepath.Join(append([]string{b.dir}, names...)...)
}
