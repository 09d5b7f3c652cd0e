//go:build linux

package mongo

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/shieldhq/shield/internal/shieldtest"
	"github.com/shieldhq/shield/internal/testserver"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugin/plugintest"
	"github.com/shieldhq/shield/wasmhost"
)

// sandboxed returns the module of the plugin, granted what it asks for.
func sandboxed(t testing.TB) plugin.Opener {
	t.Helper()
	path := shieldtest.Module(t, "mongo")
	o, err := module(path)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

var modules sync.Map // path → func() (plugin.Opener, error)

func module(path string) (plugin.Opener, error) {
	f, _ := modules.LoadOrStore(path, sync.OnceValues(func() (plugin.Opener, error) {
		code, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		host, err := wasmhost.New(context.Background(), &wasmhost.Options{CacheDir: filepath.Join(filepath.Dir(path), "cache")})
		if err != nil {
			return nil, err
		}
		wanted, err := plugin.ParseCapabilities(Plugin().About.Capabilities)
		if err != nil {
			return nil, err
		}
		return host.Open(context.Background(), code, plugin.GrantFor(wanted))
	}))
	return f.(func() (plugin.Opener, error))()
}

// both runs a test natively and in the sandbox.
func both(t *testing.T, f func(t *testing.T, o plugin.Opener)) {
	t.Helper()
	t.Run("native", func(t *testing.T) { f(t, Plugin()) })
	t.Run("sandbox", func(t *testing.T) { f(t, sandboxed(t)) })
}

func TestConformance(t *testing.T) {
	m := testserver.StartMongo(t)
	c := connected(t, m)
	for n := range int32(200) {
		c.insert(t, "a", "t", []field{{"_id", n}, {"v", strings.Repeat("é", 1000)}})
	}
	equal := func(a, b []byte) error {
		if !reflect.DeepEqual(content(t, a), content(t, b)) {
			return errors.New("the documents differ")
		}
		return nil
	}
	both(t, func(t *testing.T, o plugin.Opener) {
		plugintest.Run(t, o, plugintest.Config{TargetEndpoint: endpointOf(t, m, map[string]any{"mongo_database": "a"}), Equal: equal})
	})
}
