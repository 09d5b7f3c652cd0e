//go:build linux

package s3_test

import (
	"context"
	"os"
	"sync"
	"testing"

	"github.com/shieldhq/shield/internal/shieldtest"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugin/plugintest"
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
		host, err := wasmhost.New(ctx, &wasmhost.Options{CacheDir: path + ".cache"})
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
	for name, start := range map[string]func(testing.TB) *service{"s3": startMinIO, "scality": startVersityGW} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			bucket := s.versioned(t)
			plugintest.Run(t, sandboxed(t, name), plugintest.Config{StoreEndpoint: s.endpoint(t, bucket, nil)})
			if left := s.left(t, bucket); len(left) > 0 {
				t.Errorf("left behind: %q", left)
			}
		})
	}
}
