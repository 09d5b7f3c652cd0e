package wasmhost_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/wasmhost"
)

// raced is whether the race detector watches. It makes compiling a module ten
// times as slow, so a program that it does not watch does that.
var raced bool

// guests builds each guest once for all tests.
var guests struct {
	sync.Mutex
	dir   string
	built map[string]built
}

type built struct {
	module []byte
	err    error
	out    string
}

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "plugin-run" {
		os.Exit(wasmhost.RunIsolated(os.Args[2:], os.Stdin, os.Stdout, os.Stderr))
	}
	dir, err := os.MkdirTemp("", "wasmhost-test-")
	if err != nil {
		panic(err)
	}
	guests.dir, guests.built = dir, map[string]built{}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// isolator builds the program that isolated plugins run in, which is this one
// without the race detector: it is started for each call. Another program
// would have another version of wazero to go by, as far as Go tells a test,
// and each would throw away what the other has compiled.
func isolator(t testing.TB) string {
	t.Helper()
	out := filepath.Join(guests.dir, "isolate")
	guests.Lock()
	defer guests.Unlock()
	if _, err := os.Stat(out); err == nil {
		return out
	}
	cmd := exec.Command("go", "test", "-c", "-o", out, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building isolate: %v\n%s", err, text)
	}
	return out
}

// guest returns a module made of testdata/name: a folder of Go or a file of C.
func guest(t testing.TB, name string) []byte {
	t.Helper()
	switch filepath.Ext(name) {
	case ".c":
		need(t, "clang, lld, wasi-libc and libclang-rt-dev-wasm32", "/usr/include/wasm32-wasi", "/usr/bin/clang")
	case ".rs":
		need(t, "rustc and libstd-rust-dev-wasm32", "/usr/lib/rustlib/wasm32-wasi", debianRust)
	}
	guests.Lock()
	defer guests.Unlock()
	b, ok := guests.built[name]
	if !ok {
		b = build(name, filepath.Join(guests.dir, filepath.Base(name)+".wasm"))
		guests.built[name] = b
	}
	if b.err != nil {
		t.Fatalf("building %s: %v\n%s", name, b.err, b.out)
	}
	return b.module
}

func build(name, out string) built {
	source := filepath.Join("testdata", name)
	if strings.HasPrefix(name, "../") {
		source = name
	}
	var cmd *exec.Cmd
	switch {
	case strings.HasSuffix(name, ".rs"):
		cmd = exec.Command(debianRust, "--target", "wasm32-wasi", "-O", "-C", "linker=wasm-ld", "-o", out, source)
	case strings.HasSuffix(name, "extism.c"):
		cmd = exec.Command("clang", "--target=wasm32-wasi", "-O2", "-Wall", "-Werror", "-mexec-model=reactor", "-o", out, source)
	case strings.HasSuffix(name, ".c"):
		cmd = exec.Command("clang", "--target=wasm32-wasi", "-O2", "-Wall", "-Werror", "-Itestdata", "-o", out, source)
	default:
		cmd = exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", out, "./"+source)
		if _, err := os.Stat(filepath.Join(source, "go.mod")); err == nil {
			if cmd, err = buildOwn(source, out); err != nil {
				return built{nil, err, ""}
			}
		}
		cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
	}
	text, err := cmd.CombinedOutput()
	if err != nil {
		return built{nil, err, string(text)}
	}
	module, err := os.ReadFile(out)
	return built{module, err, ""}
}

// buildOwn builds a guest that is a Go module of its own, for what shield does
// not link. Its go.mod is copied, since it follows that of shield, which the
// build may have to write down.
func buildOwn(source, out string) (*exec.Cmd, error) {
	for from, to := range map[string]string{"go.mod": out + ".mod", "go.sum": out + ".sum"} {
		b, err := os.ReadFile(filepath.Join(source, from))
		if err == nil {
			err = os.WriteFile(to, b, 0o600)
		}
		if err != nil {
			return nil, err
		}
	}
	cmd := exec.Command("go", "build", "-mod=mod", "-modfile="+out+".mod", "-trimpath", "-ldflags=-s -w", "-o", out, ".")
	cmd.Dir = source
	return cmd, nil
}

// debianRust is named in full, since another one may come first and lack the
// target.
const debianRust = "/usr/bin/rustc"

// need skips where a compiler is missing; where that is promised it fails.
func need(t testing.TB, packages string, files ...string) {
	t.Helper()
	for _, f := range files {
		if _, err := os.Stat(f); err == nil {
			continue
		}
		if os.Getenv("CI") == "true" {
			t.Fatalf("Debian's %s are wanted", packages)
		}
		t.Skipf("Debian's %s are wanted", packages)
	}
}

// cacheDir is one for all tests, so that each guest is compiled once.
func cacheDir() string { return filepath.Join(guests.dir, "cache") }

func newHost(t testing.TB, opts *wasmhost.Options) *wasmhost.Host {
	t.Helper()
	if opts == nil {
		opts = &wasmhost.Options{}
	}
	if opts.CacheDir == "" {
		opts.CacheDir = cacheDir()
		if raced {
			opts.CompileApart, opts.Program = true, isolator(t)
		}
	}
	h, err := wasmhost.New(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

// open opens a guest with a grant; nil grants all that it asks for.
func open(t testing.TB, h *wasmhost.Host, name string, grant *plugin.Grant) plugin.Opener {
	t.Helper()
	module := guest(t, name)
	if grant == nil {
		g := grantAll(t, h, module)
		grant = &g
	}
	o, err := h.Open(context.Background(), module, *grant)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func grantAll(t testing.TB, h *wasmhost.Host, module []byte) plugin.Grant {
	t.Helper()
	o, err := h.Open(context.Background(), module, plugin.Grant{})
	if err != nil {
		t.Fatal(err)
	}
	info, err := o.Info(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	c, err := plugin.ParseCapabilities(info.Capabilities)
	if err != nil {
		t.Fatal(err)
	}
	return plugin.GrantFor(c)
}
