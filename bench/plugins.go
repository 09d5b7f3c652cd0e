package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
	pluginexec "github.com/shieldhq/shield/plugin/exec"
	"github.com/shieldhq/shield/wasmhost"
)

// A carried is the same source as a program and as a module.
type carried struct {
	native, module plugin.Opener
}

// A load is something that both are given to do.
type load struct {
	what     string
	size     int64
	run      func(context.Context, plugin.Opener) error
	leastPut float64 // throughput against the program; 0 if that is no goal
	mostCPU  float64 // CPU against the program; as above
}

// A pluginResult is what a load took in one round.
type pluginResult struct {
	load           *load
	native, module cost
}

// measurePlugins compares modules in the sandbox with the same sources as
// programs, and looks at what an instance takes.
func (b *bench) measurePlugins(ctx context.Context) (err error) {
	dir := b.path("plugins")
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	host, err := wasmhost.New(ctx, &wasmhost.Options{CacheDir: filepath.Join(dir, "cache")})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, host.Close()) }()
	files, err := b.buildFiles(ctx, host, dir)
	if err != nil {
		return err
	}
	fs, err := carry(ctx, host, filepath.Join(b.bin, "plugins", "fs"), filepath.Join(b.bin, "wasm", "fs.wasm"))
	if err != nil {
		return err
	}
	if err := b.compareStreams(ctx, files, dir); err != nil {
		return err
	}
	if err := b.compareTrees(ctx, fs, dir); err != nil {
		return err
	}
	b.report.instances, err = b.measureInstances(ctx, files.module, fs.module, dir)
	return err
}

// buildFiles builds the plugin that the tests of the sandbox use, too.
func (b *bench) buildFiles(ctx context.Context, host *wasmhost.Host, dir string) (carried, error) {
	program, module := filepath.Join(dir, "program"), filepath.Join(dir, "module.wasm")
	for out, env := range map[string][]string{program: nil, module: {"GOOS=wasip1", "GOARCH=wasm"}} {
		cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", out, "./wasmhost/testdata/files")
		cmd.Env = append(append(os.Environ(), "CGO_ENABLED=0"), env...)
		if text, err := cmd.CombinedOutput(); err != nil {
			return carried{}, fmt.Errorf("%w: %s", err, tail(string(text)))
		}
	}
	return carry(ctx, host, program, module)
}

// carry opens both, the module with all that it asks for.
func carry(ctx context.Context, host *wasmhost.Host, program, module string) (c carried, err error) {
	if c.native, err = pluginexec.Open(program, nil); err != nil {
		return c, err
	}
	wasm, err := os.ReadFile(module)
	if err != nil {
		return c, err
	}
	o, err := host.Open(ctx, wasm, plugin.Grant{})
	if err != nil {
		return c, err
	}
	info, err := o.Info(ctx)
	if err != nil {
		return c, err
	}
	wanted, err := plugin.ParseCapabilities(info.Capabilities)
	if err != nil {
		return c, err
	}
	c.module, err = host.Open(ctx, wasm, plugin.GrantFor(wanted))
	return c, err
}

// backup and restore are loads.
func backup(endpoint string) func(context.Context, plugin.Opener) error {
	return func(ctx context.Context, o plugin.Opener) error {
		t, err := o.OpenTarget(ctx, shield.Endpoint(endpoint), nil)
		if err != nil {
			return err
		}
		return t.Backup(ctx, io.Discard)
	}
}

func restore(endpoint string, from func() io.Reader) func(context.Context, plugin.Opener) error {
	return func(ctx context.Context, o plugin.Opener) error {
		t, err := o.OpenTarget(ctx, shield.Endpoint(endpoint), nil)
		if err != nil {
			return err
		}
		return t.Restore(ctx, from())
	}
}

// compareStreams moves bytes through, in the ways that plugins have for it.
func (b *bench) compareStreams(ctx context.Context, c carried, dir string) error {
	size := 2 * b.size
	if err := oneFile(filepath.Join(dir, "files"), "file", newNoise(9), size); err != nil {
		return err
	}
	zeros := func() io.Reader { return io.LimitReader(blank{}, size) }
	endpoint := func(do string) string {
		return fmt.Sprintf(`{"do":%q,"dir":%q,"use":"file"}`, do, filepath.Join(dir, "files"))
	}
	return b.compare(ctx, c, []*load{
		{what: "backup: a file into the stream by `copy`", size: size, run: backup(endpoint("copy")), leastPut: 1, mostCPU: 1.1},
		{what: "backup: a file, read and written", size: size, run: backup(endpoint("read")), leastPut: 1, mostCPU: 1.1},
		{what: "restore: the stream, read", size: size, run: restore(endpoint("drop"), zeros), leastPut: 1, mostCPU: 1.1},
		{what: "restore: each byte looked at", size: size, run: restore(endpoint("touch"), zeros), mostCPU: 3},
	})
}

// compareTrees is about the cost of each file.
func (b *bench) compareTrees(ctx context.Context, c carried, dir string) error {
	tree := filepath.Join(dir, "tree")
	const mean = 2400 // bytes
	if err := makeTree(tree, b.files, int64(b.files)*mean, 7); err != nil {
		return err
	}
	endpoint := func(folder string) string { return fmt.Sprintf(`{"base_dir":%q}`, folder) }
	var stream bytes.Buffer
	t, err := c.native.OpenTarget(ctx, shield.Endpoint(endpoint(tree)), nil)
	if err != nil {
		return err
	}
	if err := t.Backup(ctx, &stream); err != nil {
		return err
	}
	out := filepath.Join(dir, "out")
	what := fmt.Sprintf("fs, %d files of some %d bytes: ", b.files, mean)
	return b.compare(ctx, c, []*load{
		{what: what + "backup", size: int64(stream.Len()), run: backup(endpoint(tree))},
		{what: what + "restore", size: int64(stream.Len()), run: func(ctx context.Context, o plugin.Opener) error {
			return restore(endpoint(out), func() io.Reader { return bytes.NewReader(stream.Bytes()) })(ctx, o)
		}},
	})
}

// compare runs the loads in turn. What was restored is removed in between.
func (b *bench) compare(ctx context.Context, c carried, loads []*load) error {
	for range b.rounds {
		for _, l := range loads {
			r := pluginResult{load: l}
			for o, used := range map[plugin.Opener]*cost{c.native: &r.native, c.module: &r.module} {
				if err := errors.Join(os.RemoveAll(b.path("plugins", "out")), os.MkdirAll(b.path("plugins", "out"), 0o755)); err != nil {
					return err
				}
				var err error
				if *used, err = spent(func() error { return l.run(ctx, o) }); err != nil {
					return fmt.Errorf("%s: %w", l.what, err)
				}
			}
			fmt.Fprintf(os.Stderr, "%s: program %v, module %v\n", l.what, r.native, r.module)
			b.report.plugins = append(b.report.plugins, r)
		}
	}
	return nil
}

// spent returns what f took in this process and its children.
func spent(f func() error) (cost, error) {
	before, err := cpuTime(os.Getpid())
	if err != nil {
		return cost{}, err
	}
	began := time.Now()
	if err := f(); err != nil {
		return cost{}, err
	}
	wall := time.Since(began)
	after, err := cpuTime(os.Getpid())
	return cost{wall: wall, cpu: after - before}, err
}

// instances are figures of running modules.
type instances struct {
	calls  []call
	memory int64 // of one that waits
	soak   int   // calls; 0 if that was not measured
	before footprint
	after  footprint
}

// A call is one that does next to nothing.
type call struct {
	module string
	cpu    time.Duration
}

// A footprint is what this process holds.
type footprint struct {
	rss                     int64
	goroutines, descriptors int
}

// The numbers of calls that are measured.
const (
	callRounds   = 100
	warmUp       = 100
	soakCalls    = 1000
	idleModules  = 50
	mostCall     = 15 * time.Millisecond
	mostInstance = 25 << 20
	mostGrowth   = 8 << 20
)

func (b *bench) measureInstances(ctx context.Context, files, fs plugin.Opener, dir string) (i instances, err error) {
	little := filepath.Join(dir, "little")
	if err := oneFile(little, "file", newNoise(3), 10); err != nil {
		return i, err
	}
	once := map[string]func() error{
		"the test plugin": func() error { return backup(fmt.Sprintf(`{"do":"read","dir":%q,"use":"file"}`, little))(ctx, files) },
		"fs":              func() error { return backup(fmt.Sprintf(`{"base_dir":%q}`, little))(ctx, fs) },
	}
	for _, name := range []string{"the test plugin", "fs"} {
		c, err := spent(func() error { return times(callRounds, once[name]) })
		if err != nil {
			return i, err
		}
		i.calls = append(i.calls, call{name, c.cpu / callRounds})
	}
	if i.memory, err = idle(ctx, files, dir); err != nil {
		return i, err
	}
	if err := times(warmUp, once["fs"]); err != nil {
		return i, err
	}
	i.before = footprintNow()
	err = times(soakCalls, once["fs"])
	i.after, i.soak = footprintNow(), soakCalls
	return i, err
}

func times(n int, f func() error) error {
	for range n {
		if err := f(); err != nil {
			return err
		}
	}
	return nil
}

// idle returns the resident memory of an instance that waits for input.
func idle(ctx context.Context, o plugin.Opener, dir string) (int64, error) {
	before := footprintNow().rss
	done := make(chan error, idleModules)
	var writers []*io.PipeWriter
	for range idleModules {
		r, w := io.Pipe()
		writers = append(writers, w)
		go func() {
			done <- restore(fmt.Sprintf(`{"do":"drop","dir":%q}`, dir), func() io.Reader { return r })(ctx, o)
		}()
	}
	for _, w := range writers {
		if _, err := w.Write([]byte("x")); err != nil {
			return 0, err
		}
	}
	time.Sleep(time.Second) // the guests read it
	each := (footprintNow().rss - before) / idleModules
	var errs []error
	for _, w := range writers {
		errs = append(errs, w.Close())
	}
	for range writers {
		errs = append(errs, <-done)
	}
	return each, errors.Join(errs...)
}

func footprintNow() (f footprint) {
	runtime.GC()
	shrink()
	statm, _ := os.ReadFile("/proc/self/statm") // zeros if there is none
	if fields := strings.Fields(string(statm)); len(fields) > 1 {
		pages, _ := strconv.ParseInt(fields[1], 10, 64)
		f.rss = pages * int64(os.Getpagesize())
	}
	open, _ := os.ReadDir("/proc/self/fd")
	f.goroutines, f.descriptors = runtime.NumGoroutine(), len(open)
	return f
}

// blank gives zeros for ever.
type blank struct{}

func (blank) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
