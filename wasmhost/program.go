package wasmhost

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"

	extismsdk "github.com/extism/go-sdk"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/wasmhost/internal/interrupt"
)

// A program is a compiled module with the runtime that it runs in. Only one
// of module and extism is there.
type program struct {
	runtime wazero.Runtime
	module  wazero.CompiledModule
	extism  *extismsdk.CompiledPlugin
	outline *outline
	// close frees what the program takes. It may be called again.
	close func()
}

// stopping is how a guest that runs on can be ended.
type stopping int

const (
	// byCounter is for modules that were instrumented: see package interrupt.
	byCounter stopping = iota
	// byEngine are wazero's own checks, which cost far more. They are for
	// modules that have what package interrupt does not know.
	byEngine
	// byKill is for processes that can be killed as a whole.
	byKill
)

// build compiles a module, or takes it from the cache.
func (h *Host) build(module []byte, name string, o *outline) (*program, error) {
	if h.options.uninterruptible {
		return h.buildWith(byKill, module, name+"-free", o)
	}
	counting, err := interrupt.Instrument(module)
	if err == nil {
		entry := name + "-counting" + interrupt.Version
		h.compileApart(module, entry)
		var p *program
		if p, err = h.buildWith(byCounter, counting, entry, o); err == nil {
			return p, nil
		}
	}
	// What is wrong with the module, if anything is, shows below.
	h.options.Log.Debug("module cannot be instrumented", "digest", name, "error", err)
	return h.buildWith(byEngine, module, name, o)
}

func (h *Host) buildWith(s stopping, module []byte, entry string, o *outline) (p *program, err error) {
	// The compiler is large and reads what strangers wrote: a fault of its is
	// a module that does not work, and not the end of the daemon.
	defer func() {
		if v := recover(); v != nil {
			p, err = nil, shield.Errorf(shield.PluginFailed, "plugin", "the module cannot be compiled: %v", v)
		}
	}()
	err = h.cache.build(entry, func(cc wazero.CompilationCache) error {
		var err error
		if o.flavour == extism {
			p, err = buildExtism(module, s.config(cc))
		} else {
			p, err = buildCommand(module, s.config(cc))
		}
		if err == nil {
			p.close = closer(p.runtime, p.extism, cc)
			runtime.AddCleanup(p, func(f func()) { f() }, p.close)
		}
		return err
	})
	if err != nil {
		return nil, shield.Errorf(shield.PluginFailed, "plugin", "the module cannot be compiled: %w", err)
	}
	p.outline = o
	return p, nil
}

// config is the same for all modules but for how they are stopped. A guest
// that could not be stopped would freeze the whole process as soon as the
// garbage collector wants it to pause.
func (s stopping) config(cc wazero.CompilationCache) wazero.RuntimeConfig {
	return wazero.NewRuntimeConfig().WithCompilationCache(cc).
		WithCloseOnContextDone(s == byEngine).WithDebugInfoEnabled(false)
}

// interrupted is what instrumented modules call every now and then.
func interrupted(ctx context.Context) {
	if i := current(ctx); i == nil || i.ctx.Err() != nil {
		stop()
	}
}

func instantiateInterrupt(ctx context.Context, rt wazero.Runtime) error {
	_, err := rt.NewHostModuleBuilder(interrupt.Module).NewFunctionBuilder().
		WithGoFunction(api.GoFunc(func(ctx context.Context, _ []uint64) { interrupted(ctx) }), nil, nil).
		Export(interrupt.Name).Instantiate(ctx)
	return err
}

func buildCommand(module []byte, config wazero.RuntimeConfig) (*program, error) {
	ctx := context.Background()
	rt := wazero.NewRuntimeWithConfig(ctx, config)
	p := &program{runtime: rt}
	_, err := wasi_snapshot_preview1.Instantiate(ctx, rt)
	if err == nil {
		err = instantiateABI(ctx, rt)
	}
	if err == nil {
		err = instantiateInterrupt(ctx, rt)
	}
	if err == nil {
		p.module, err = rt.CompileModule(ctx, module)
	}
	if err != nil {
		_ = rt.Close(ctx)
		return nil, err
	}
	return p, nil
}

// outputVariable makes the Extism SDK send the output of every guest to that
// of this process.
const outputVariable = "EXTISM_ENABLE_WASI_OUTPUT"

// buildExtism leaves hosts and paths out of the manifest: the SDK's checks of
// both can be got around.
func buildExtism(module []byte, runtime wazero.RuntimeConfig) (*program, error) {
	if _, set := os.LookupEnv(outputVariable); set {
		return nil, fmt.Errorf("the variable %s is set: it would mix the plugin's streams with those of this program, unset it", outputVariable)
	}
	manifest := extismsdk.Manifest{Wasm: []extismsdk.Wasm{extismsdk.WasmData{Data: module, Name: "main"}}}
	config := extismsdk.PluginConfig{RuntimeConfig: runtime, EnableWasi: true}
	compiled, err := extismsdk.NewCompiledPlugin(context.Background(), manifest, config, extismFunctions())
	if err != nil {
		return nil, err
	}
	return &program{extism: compiled}, nil
}

// closer must not know the program, which would never be garbage then.
func closer(rt wazero.Runtime, plugin *extismsdk.CompiledPlugin, cache wazero.CompilationCache) func() {
	return sync.OnceFunc(func() {
		ctx := context.Background()
		var err error
		if rt != nil {
			err = rt.Close(ctx)
		} else {
			err = plugin.Close(ctx)
		}
		_ = errors.Join(err, cache.Close(ctx)) // memory is all that there is to give back
	})
}
