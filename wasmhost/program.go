package wasmhost

import (
	"context"
	"errors"
	"fmt"
	"os"

	extismsdk "github.com/extism/go-sdk"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/shieldhq/shield"
)

// A program is a compiled module with the runtime that it runs in. Only one
// of module and extism is there.
type program struct {
	runtime wazero.Runtime
	module  wazero.CompiledModule
	extism  *extismsdk.CompiledPlugin
	cache   wazero.CompilationCache
	outline *outline
}

// build compiles a module, or takes it from the cache.
func (h *Host) build(module []byte, name string, o *outline) (p *program, err error) {
	if h.options.uninterruptible {
		name += "-free"
	}
	// The compiler is large and reads what strangers wrote: a fault of its is
	// a module that does not work, and not the end of the daemon.
	defer func() {
		if v := recover(); v != nil {
			p, err = nil, shield.Errorf(shield.PluginFailed, "plugin", "the module cannot be compiled: %v", v)
		}
	}()
	err = h.cache.build(name, func(cc wazero.CompilationCache) error {
		var err error
		if o.flavour == extism {
			p, err = h.buildExtism(module, cc)
		} else {
			p, err = h.buildCommand(module, cc)
		}
		return err
	})
	if err != nil {
		return nil, shield.Errorf(shield.PluginFailed, "plugin", "the module cannot be compiled: %w", err)
	}
	p.outline = o
	return p, nil
}

// config is the same for all modules. Without WithCloseOnContextDone a guest
// that loops could not be stopped, and would freeze the whole process as soon
// as the garbage collector wants it to pause.
func (h *Host) config(cc wazero.CompilationCache) wazero.RuntimeConfig {
	return wazero.NewRuntimeConfig().WithCompilationCache(cc).
		WithCloseOnContextDone(!h.options.uninterruptible).WithDebugInfoEnabled(false)
}

func (h *Host) buildCommand(module []byte, cc wazero.CompilationCache) (*program, error) {
	ctx := context.Background()
	rt := wazero.NewRuntimeWithConfig(ctx, h.config(cc))
	p := &program{runtime: rt, cache: cc}
	_, err := wasi_snapshot_preview1.Instantiate(ctx, rt)
	if err == nil {
		err = instantiateABI(ctx, rt)
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
func (h *Host) buildExtism(module []byte, cc wazero.CompilationCache) (*program, error) {
	if _, set := os.LookupEnv(outputVariable); set {
		return nil, fmt.Errorf("the variable %s is set: it would mix the plugin's streams with those of this program, unset it", outputVariable)
	}
	manifest := extismsdk.Manifest{Wasm: []extismsdk.Wasm{extismsdk.WasmData{Data: module, Name: "main"}}}
	config := extismsdk.PluginConfig{RuntimeConfig: h.config(cc), EnableWasi: true}
	compiled, err := extismsdk.NewCompiledPlugin(context.Background(), manifest, config, extismFunctions())
	if err != nil {
		return nil, err
	}
	return &program{extism: compiled, cache: cc}, nil
}

func (p *program) close() {
	ctx := context.Background()
	var err error
	if p.runtime != nil {
		err = p.runtime.Close(ctx)
	} else {
		err = p.extism.Close(ctx)
	}
	_ = errors.Join(err, p.cache.Close(ctx)) // memory is all that there is to give back
}
