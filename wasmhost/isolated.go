package wasmhost

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugin/exec"
	"github.com/shieldhq/shield/plugin/pdk"
)

// isolatedCommand is the argument by which a program is asked to call
// RunIsolated.
const isolatedCommand = "plugin-run"

// An isolated is a module that runs in a process of its own: a second wall,
// and one that the guest's loops need no checks for.
type isolated struct {
	*exec.Plugin
	host   *Host
	digest string
	name   atomic.Pointer[string] // of the plugin, once that is known
}

var _ plugin.Opener = (*isolated)(nil)

// openIsolated keeps the module in a file, since the child has to read it.
func (h *Host) openIsolated(module []byte, name string, grant plugin.Grant) (plugin.Opener, error) {
	if h.options.CacheDir == "" {
		return nil, shield.Errorf(shield.Invalid, "plugin", "a plugin in a process of its own needs a cache folder")
	}
	file := filepath.Join(h.options.CacheDir, name+".wasm")
	if err := keep(file, module); err != nil {
		return nil, shield.Errorf(shield.Unavailable, "plugin cache", "%w", err)
	}
	program, err := h.executable()
	if err != nil {
		return nil, err
	}
	grant.Isolation = plugin.IsolationNone
	text, err := json.Marshal(grant)
	if err != nil {
		return nil, err
	}
	p := &isolated{host: h, digest: "sha256:" + name}
	opts := &exec.Options{
		Name:        unnamed,
		Args:        []string{isolatedCommand, "--module", file, "--cache", h.options.CacheDir, "--grant", string(text)},
		InfoTimeout: h.options.InfoTimeout + compileTimeout,
	}
	if h.options.Audit != nil {
		opts.Report = p.reports
	}
	p.Plugin, err = exec.Open(program, opts)
	if err != nil {
		return nil, err
	}
	return p, nil
}

// unnamed is what a plugin is called that has not told its name.
const unnamed = "plugin"

func (p *isolated) calledName() string {
	if name := p.name.Load(); name != nil {
		return *name
	}
	return unnamed
}

// executable is what "plugin-run" is asked of.
func (h *Host) executable() (string, error) {
	if h.options.Program != "" {
		return h.options.Program, nil
	}
	program, err := os.Executable()
	if err != nil {
		err = shield.Errorf(shield.Unavailable, "plugin", "this program cannot be found: %w", err)
	}
	return program, err
}

// compileTimeout is for a child that finds no compiled module.
const compileTimeout = 2 * time.Minute

// keep writes a file that does not exist yet, or is not what it should be.
func keep(file string, content []byte) error {
	if fi, err := os.Stat(file); err == nil && fi.Size() == int64(len(content)) {
		return nil
	}
	f, err := os.CreateTemp(filepath.Dir(file), "new-")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	_, err = f.Write(content)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), file)
}

// Info returns what the plugin says of itself, with the digest of its module
// and not of the program that runs it.
func (p *isolated) Info(ctx context.Context) (plugin.Info, error) {
	info, err := p.Plugin.Info(ctx)
	if err == nil {
		info.Digest, info.Runs = p.digest, plugin.CarrierSandbox
		p.name.Store(&info.Name)
	}
	return info, err
}

// OpenTarget returns a target whose methods run the module.
func (p *isolated) OpenTarget(ctx context.Context, e shield.Endpoint, log plugin.Log) (plugin.Target, error) {
	if _, err := p.Info(ctx); err != nil {
		return nil, err
	}
	return p.Plugin.OpenTarget(ctx, e, log)
}

// OpenStore returns a store whose methods run the module.
func (p *isolated) OpenStore(ctx context.Context, e shield.Endpoint, log plugin.Log) (plugin.Store, error) {
	if _, err := p.Info(ctx); err != nil {
		return nil, err
	}
	return p.Plugin.OpenStore(ctx, e, log)
}

// RunIsolated runs one action of a module in this process, or compiles it, and
// returns the exit status. The program that the Host's options name calls it when its
// first argument is "plugin-run", with the arguments that follow.
func RunIsolated(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	f := flag.NewFlagSet(isolatedCommand, flag.ContinueOnError)
	f.SetOutput(stderr)
	module := f.String("module", "", "the file of the module")
	dir := f.String("cache", "", "the folder of compiled modules")
	grant := f.String("grant", "{}", "the grant, as JSON")
	compile := f.Bool("compile", false, "only compile the module on standard input, into the cache")
	if err := f.Parse(args); err != nil {
		return 1
	}
	if *compile {
		if err := compileOnly(ctx, *dir, stdin); err != nil {
			_, _ = fmt.Fprintln(stderr, err)
			return 1
		}
		return 0
	}
	o, err := openHere(ctx, *module, *dir, *grant)
	if err != nil {
		_, _ = fmt.Fprintln(stderr, pdk.FormatError(asError(err)))
		return 4
	}
	return pdk.Run(ctx, o, f.Args(), stdin, stdout, stderr, os.Getenv)
}

func asError(err error) *shield.Error {
	var e *shield.Error
	if errors.As(err, &e) {
		return e
	}
	return shield.Errorf(shield.PluginFailed, "plugin", "%w", err)
}

func openHere(ctx context.Context, file, dir, grant string) (plugin.Opener, error) {
	module, err := os.ReadFile(file)
	if err != nil {
		return nil, shield.Errorf(shield.PluginFailed, "plugin", "%w", err)
	}
	g, err := plugin.ParseGrant([]byte(grant))
	if err != nil {
		return nil, err
	}
	h, err := New(ctx, &Options{CacheDir: dir, Audit: reporter(os.Getenv), uninterruptible: true})
	if err != nil {
		return nil, err
	}
	o, err := h.Open(ctx, module, g)
	if err != nil {
		return nil, err
	}
	return discreet{o}, nil
}

// discreet makes the host hand over the endpoint where no process list shows
// it. The module itself gets it as always.
type discreet struct{ plugin.Opener }

// Info implements plugin.Opener.
func (d discreet) Info(ctx context.Context) (plugin.Info, error) {
	info, err := d.Opener.Info(ctx)
	if err == nil {
		info.Endpoint = plugin.DeliverFD
	}
	return info, err
}
