//go:build linux

package s3_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
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

// quickly runs a test in a binary without the race detector, which makes the
// compiler of modules take minutes and finds nothing in them. It reports
// whether that was needed.
func quickly(t *testing.T) bool {
	t.Helper()
	if !raceDetector {
		return false
	}
	binary, err := quickBinary(t)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary, "-test.run", "^"+strings.SplitN(t.Name(), "/", 2)[0]+"$", "-test.count=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	return true
}

var quick struct {
	sync.Once
	path string
	err  error
}

func quickBinary(t *testing.T) (string, error) {
	quick.Do(func() {
		quick.path = filepath.Join(filepath.Dir(shieldtest.Module(t, "s3")), "quick.test")
		cmd := exec.Command("go", "test", "-c", "-o", quick.path, ".")
		cmd.Stderr = os.Stderr
		quick.err = cmd.Run()
	})
	return quick.path, quick.err
}

func TestSandboxConformance(t *testing.T) {
	t.Parallel()
	if quickly(t) {
		return
	}
	s := startMinIO(t)
	bucket := s.bucket(t, true)
	plugintest.Run(t, sandboxed(t, "s3"), plugintest.Config{StoreEndpoint: s.endpoint(t, bucket, fields{"lock_mode": "governance"}), Keeps: true})
	if left := s.left(t, bucket); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// openers are the ways to run the plugin.
func openers(t testing.TB) map[string]plugin.Opener {
	t.Helper()
	return map[string]plugin.Opener{"native": s3.Plugin(nil), "sandbox": sandboxed(t, "s3")}
}
