package fs_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugins-wasm/fs/fs"
	"github.com/shieldhq/shield/wasmhost"
)

// inSandbox is the variable that makes the tests run the module of the plugin
// instead of the package.
const inSandbox = "FS_TEST_SANDBOX"

// subject returns what is tested.
func subject(t testing.TB) plugin.Opener {
	t.Helper()
	if os.Getenv(inSandbox) == "" {
		return fs.Plugin()
	}
	return sandboxed(t)
}

// sandbox is built once.
var sandbox = sync.OnceValues(func() (plugin.Opener, error) {
	module, err := buildModule()
	if err != nil {
		return nil, err
	}
	host, err := wasmhost.New(context.Background(), nil)
	if err != nil {
		return nil, err
	}
	o, err := host.Open(context.Background(), module, plugin.Grant{})
	if err != nil {
		return nil, err
	}
	info, err := o.Info(context.Background())
	if err != nil {
		return nil, err
	}
	wanted, err := plugin.ParseCapabilities(info.Capabilities)
	if err != nil {
		return nil, err
	}
	return host.Open(context.Background(), module, plugin.GrantFor(wanted))
})

// sandboxed returns the module of the plugin, granted what it asks for.
func sandboxed(t testing.TB) plugin.Opener {
	t.Helper()
	needTool(t, "go")
	o, err := sandbox()
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func buildModule() ([]byte, error) {
	dir, err := os.MkdirTemp("", "fs-module-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	name := filepath.Join(dir, "fs.wasm")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", name, "..")
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return nil, err
	}
	return os.ReadFile(name)
}

// TestSandbox runs the tests against the module.
func TestSandbox(t *testing.T) {
	t.Parallel()
	needTool(t, "go")
	if testing.Short() {
		t.Skip("takes a build")
	}
	if os.Getenv(inSandbox) != "" {
		return
	}
	cmd := exec.Command(os.Args[0], "-test.count=1")
	cmd.Env = append(os.Environ(), inSandbox+"=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, strings.TrimSpace(string(out)))
	}
}
