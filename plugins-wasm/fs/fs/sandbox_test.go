//go:build !wasip1

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

// moduleDir is the variable that names where the module is kept, with what it
// was compiled to: it is built once for this process and those that it starts.
const moduleDir = "FS_TEST_MODULE"

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "plugin-run" {
		os.Exit(wasmhost.RunIsolated(os.Args[2:], os.Stdin, os.Stdout, os.Stderr))
	}
	if os.Getenv(moduleDir) != "" {
		os.Exit(m.Run())
	}
	dir, err := os.MkdirTemp("", "fs-module-")
	if err == nil {
		err = os.Setenv(moduleDir, dir)
	}
	if err != nil {
		panic(err)
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// Each of them is opened once.
var (
	sandbox  = sync.OnceValues(func() (plugin.Opener, error) { return openModule(plugin.IsolationNone) })
	isolated = sync.OnceValues(func() (plugin.Opener, error) { return openModule(plugin.IsolationProcess) })
)

func openModule(isolation plugin.Isolation) (plugin.Opener, error) {
	dir := os.Getenv(moduleDir)
	module, err := buildModule(filepath.Join(dir, "fs.wasm"))
	if err != nil {
		return nil, err
	}
	host, err := wasmhost.New(context.Background(), &wasmhost.Options{CacheDir: filepath.Join(dir, "cache")})
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
	grant := plugin.GrantFor(wanted)
	grant.Isolation = isolation
	return host.Open(context.Background(), module, grant)
}

// skipSandboxed skips what has nothing to do with how the plugin is run.
func skipSandboxed(t testing.TB) {
	t.Helper()
	if os.Getenv(inSandbox) != "" {
		t.Skip("the same in the sandbox")
	}
}

// onWASI reports whether the module is tested on a host without the file
// service. It cannot set modes there, and a guest that is stopped leaves behind
// what it has begun, until a purge.
func onWASI() bool { return portable && os.Getenv(inSandbox) != "" }

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

func buildModule(name string) ([]byte, error) {
	if b, err := os.ReadFile(name); err == nil {
		return b, nil
	}
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
	sandboxed(t) // so that it is there
	cmd := exec.Command(os.Args[0], "-test.count=1")
	cmd.Env = append(os.Environ(), inSandbox+"=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, strings.TrimSpace(string(out)))
	}
}
