//go:build linux

package s3_test

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/shieldhq/shield/internal/shieldtest"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugin/plugintest"
	"github.com/shieldhq/shield/plugins-wasm/s3/s3"
	"github.com/shieldhq/shield/wasmhost"
)

var modules sync.Map // name → func() (plugin.Opener, error)

// sandboxed returns the plugin as a module, granted what it asks for.
func sandboxed(t testing.TB, name string) plugin.Opener {
	t.Helper()
	path := shieldtest.Module(t, name)
	f, _ := modules.LoadOrStore(name, sync.OnceValues(func() (plugin.Opener, error) {
		module, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		ctx := context.Background()
		host, err := wasmhost.New(ctx, &wasmhost.Options{CacheDir: filepath.Join(filepath.Dir(filepath.Dir(path)), "cache")}) // the one of shieldtest
		if err != nil {
			return nil, err
		}
		o, err := host.Open(ctx, module, plugin.Grant{})
		if err != nil {
			return nil, err
		}
		info, err := o.Info(ctx)
		if err != nil {
			return nil, err
		}
		wanted, err := plugin.ParseCapabilities(info.Capabilities)
		if err != nil {
			return nil, err
		}
		return host.Open(ctx, module, plugin.GrantFor(wanted))
	}))
	o, err := f.(func() (plugin.Opener, error))()
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestSandboxConformance(t *testing.T) {
	t.Parallel()
	s := startMinIO(t)
	bucket := s.versioned(t)
	plugintest.Run(t, sandboxed(t, "s3"), plugintest.Config{StoreEndpoint: s.endpoint(t, bucket, nil)})
	if left := s.left(t, bucket); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// openers are the ways to run the plugin.
func openers(t testing.TB) map[string]plugin.Opener {
	t.Helper()
	return map[string]plugin.Opener{"native": s3.Plugin(nil), "sandbox": sandboxed(t, "s3")}
}
