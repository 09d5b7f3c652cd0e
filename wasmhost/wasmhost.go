// Package wasmhost runs WebAssembly modules as plugins, in a sandbox: a guest
// sees its streams, its arguments and what both its info asks for and the
// operator's grant allows, and nothing else. Two kinds of modules are known:
// WASI commands, which follow the calling protocol as executables do, and
// Extism modules. What they may call is specified in docs/plugin-abi.md.
//
// A module is compiled once and kept on disk; each call is an instance of its
// own, with memory and time of its own. The promises are those of
// plugin/exec: a stream is complete only after the guest has ended well, and
// a guest whose input fails never sees that input end.
//
// The sandbox is wazero's, with its defaults replaced where they are for
// tests or let a guest out. See docs/rationale.md.
package wasmhost

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"net"
	"runtime/debug"
	"sync"
	"time"
	"weak"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
)

// Options are the settings of a Host. The zero value is good.
type Options struct {
	// CacheDir is where compiled modules are kept; it is made with mode 0700
	// and has to stay so, since it holds native code. Without it modules are
	// compiled anew in each process, which takes a second a megabyte or two.
	CacheDir string
	// Log gets what the operator may want to know of the cache; nil is for
	// nothing.
	Log *slog.Logger
	// Audit is called for each use of something that was not granted. It
	// must not block and is called from several goroutines.
	Audit func(Event)
	// InfoTimeout is how long a plugin has to answer info; 0 means 10 s.
	InfoTimeout time.Duration
	// Resolver finds addresses for guests; nil is for the system's.
	Resolver *net.Resolver
	// Program is what is run with the arguments "plugin-run ..." for grants
	// that ask for a process of its own; empty means this program. See
	// RunIsolated.
	Program string
	// CompileApart has modules compiled by Program, if there is a CacheDir:
	// the compiler's memory does not stay with this process then.
	CompileApart bool
	// uninterruptible leaves out the checks by which a guest that loops can
	// be stopped. It is for processes that can be killed as a whole.
	uninterruptible bool
}

// An Event is a use of something that was not granted.
type Event struct {
	Plugin     string // its name, as it says itself
	Digest     string // of its module, "sha256:" and hexadecimal digits
	Op         string // the call
	Capability string // "tcp", "http", "read", "write", "own" or "exec"
	Text       string // what was tried, in words
}

// A Host compiles and runs modules. It is safe for concurrent use.
type Host struct {
	options Options
	cache   *cache

	mu      sync.Mutex
	pending map[string]*pendingProgram
	// programs are those that some plugin holds. One that none does is freed
	// with the next garbage: it takes ten times as much as its module, and is
	// soon had from the cache again.
	programs map[string]weak.Pointer[program]
	closed   bool
}

// A pendingProgram is a program that is being compiled.
type pendingProgram struct {
	ready   chan struct{}
	program *program
	err     error
}

// New returns a Host. opts may be nil. The error is about the cache folder.
func New(_ context.Context, opts *Options) (*Host, error) {
	h := &Host{pending: map[string]*pendingProgram{}, programs: map[string]weak.Pointer[program]{}}
	if opts != nil {
		h.options = *opts
	}
	if h.options.Log == nil {
		h.options.Log = slog.New(slog.DiscardHandler)
	}
	if h.options.InfoTimeout <= 0 {
		h.options.InfoTimeout = 10 * time.Second
	}
	if h.options.Resolver == nil {
		h.options.Resolver = net.DefaultResolver
	}
	var err error
	h.cache, err = openCache(h.options.CacheDir, h.options.Log)
	return h, err
}

// Close frees the compiled modules. Calls that are under way fail.
func (h *Host) Close() error {
	h.mu.Lock()
	pending, programs := h.pending, h.programs
	h.pending, h.programs, h.closed = nil, nil, true
	h.mu.Unlock()
	for _, p := range pending {
		<-p.ready
		if p.program != nil {
			p.program.close()
		}
	}
	for _, w := range programs {
		if p := w.Value(); p != nil {
			p.close()
		}
	}
	return nil
}

// Open returns the plugin that a module is, bound by a grant. The module is
// compiled if it is not in the cache; that can take a minute for a large one.
// A module that cannot be a plugin is PluginFailed, a grant that is not well
// formed Invalid.
func (h *Host) Open(ctx context.Context, module []byte, grant plugin.Grant) (plugin.Opener, error) {
	if err := grant.Check(); err != nil {
		return nil, err
	}
	digest := sha256.Sum256(module)
	name := hex.EncodeToString(digest[:])
	o, err := inspect(module)
	if err != nil {
		return nil, shield.Errorf(shield.PluginFailed, "plugin", "the module %w", err)
	}
	if most := memoryFor(0, grant.Memory); int64(o.pages)<<16 > most {
		return nil, shield.Errorf(shield.PluginFailed, "plugin", "the module wants %s of memory to begin with: the grant allows %s", plugin.Size(o.pages<<16), plugin.Size(most))
	}
	if grant.Isolation == plugin.IsolationProcess {
		return h.openIsolated(module, name, grant)
	}
	p, err := h.program(ctx, module, name, o)
	if err != nil {
		return nil, err
	}
	return &Plugin{host: h, program: p, digest: "sha256:" + name, grant: grant, turn: make(chan struct{}, 1)}, nil
}

// program returns the compiled module. Many callers compile it once.
func (h *Host) program(ctx context.Context, module []byte, name string, o *outline) (*program, error) {
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		return nil, shield.Errorf(shield.Unavailable, "plugin", "the host of plugins is closed")
	}
	if p := h.programs[name].Value(); p != nil {
		h.mu.Unlock()
		return p, nil
	}
	p, known := h.pending[name]
	if !known {
		p = &pendingProgram{ready: make(chan struct{})}
		h.pending[name] = p
		go h.compile(p, module, name, o)
	}
	h.mu.Unlock()
	select {
	case <-p.ready:
		return p.program, p.err
	case <-ctx.Done():
		return nil, shield.Errorf(shield.Canceled, "plugin", "stopped while the module was compiled: %w", context.Cause(ctx))
	}
}

// compile goes on when its caller does not wait any more: the next one will
// want it.
func (h *Host) compile(p *pendingProgram, module []byte, name string, o *outline) {
	from := time.Now()
	p.program, p.err = h.build(module, name, o)
	debug.FreeOSMemory() // what is garbage now is many times the module
	h.mu.Lock()
	if !h.closed { // else Close waits for this one, and closes it
		delete(h.pending, name)
		if p.err == nil {
			h.programs[name] = weak.Make(p.program)
		}
	}
	h.mu.Unlock()
	h.options.Log.Debug("module ready", "digest", name, "took", time.Since(from), "error", p.err)
	close(p.ready)
}
