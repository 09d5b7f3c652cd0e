package wasmhost_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/wasmhost"
)

// languages are those that the hostile guests are written in.
var languages = []string{"hostile", "hostile.c"}

// endsSoon runs f, which a context ends after half a second, and fails if it
// goes on. What a guest does ends by itself after a minute or never.
func endsSoon(t *testing.T, f func(ctx context.Context) error) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	from := time.Now()
	err := f(ctx)
	if took := time.Since(from); took > 30*time.Second {
		t.Errorf("it took %s", took)
	}
	runtime.GC() // a guest that goes on would freeze it
	return err
}

// A guest that does not end is ended, whatever it does.
func TestHostileEndless(t *testing.T) {
	for _, language := range languages {
		o := open(t, newHost(t, nil), language, nil)
		own := map[string][]string{"hostile": {"endless"}, "hostile.c": {"long", "fill", "random"}}
		for _, do := range append([]string{"loop", "flood", "sleep", "fib"}, own[language]...) {
			t.Run(language+"/"+do, func(t *testing.T) {
				err := endsSoon(t, func(ctx context.Context) error {
					tg, err := o.OpenTarget(ctx, endpoint(t, map[string]any{"do": do}), nil)
					if err != nil {
						t.Fatal(err)
					}
					return tg.Backup(ctx, io.Discard)
				})
				wantError(t, err, shield.TimedOut, "")
			})
		}
	}
}

// The limit of the grant is told apart from that of the task.
func TestHostileTimeout(t *testing.T) {
	o := open(t, newHost(t, nil), "hostile.c", &plugin.Grant{Timeout: plugin.Duration(200 * time.Millisecond)})
	_, err := backup(t, t.Context(), o, map[string]any{"do": "loop"})
	wantError(t, err, shield.TimedOut, "the grant allows a call 200ms")
}

func TestHostileMemory(t *testing.T) {
	for language, limit := range map[string]string{"hostile": "48MiB", "hostile.c": "32MiB"} {
		t.Run(language, func(t *testing.T) {
			o := open(t, newHost(t, nil), language, nil)
			_, err := backup(t, t.Context(), o, map[string]any{"do": "alloc"})
			if err == nil || !strings.Contains(err.Error(), "more memory than the "+limit) {
				t.Errorf("error is %v", err)
			}
		})
	}
}

func TestHostileCrash(t *testing.T) {
	for _, tt := range []struct{ language, do, want string }{
		{"hostile.c", "recurse", ""}, // the stack runs into the data: what happens first may differ
		{"hostile.c", "unreachable", "unreachable"},
		{"hostile.c", "late", "writing after the end failed"},
		{"hostile", "panic", "on purpose"},
		{"hostile", "exit", "exit status 77"},
	} {
		t.Run(tt.language+"/"+tt.do, func(t *testing.T) {
			o := open(t, newHost(t, nil), tt.language, nil)
			_, err := backup(t, t.Context(), o, map[string]any{"do": tt.do})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error is %v, want %q", err, tt.want)
			}
		})
	}
}

func TestHostileLies(t *testing.T) {
	o := open(t, newHost(t, nil), "hostile.c", nil)
	out, err := backup(t, t.Context(), o, map[string]any{"do": "lie"})
	if err != nil || out != "no lie was believed\n" {
		t.Errorf("%q, %v", out, err)
	}
}

func TestHostileEscapes(t *testing.T) {
	o := open(t, newHost(t, nil), "hostile.c", nil)
	var lines []string
	tg, err := o.OpenTarget(t.Context(), endpoint(t, map[string]any{"do": "escapes"}), func(line string) { lines = append(lines, line) })
	if err != nil {
		t.Fatal(err)
	}
	err = tg.Backup(t.Context(), io.Discard)
	text := strings.Join(lines, "\n")
	if err == nil || text != "shown" || strings.ContainsAny(err.Error(), "\x1b\x07\r") {
		t.Errorf("logged %q, error %v", text, err)
	}
}

func TestHostileHandles(t *testing.T) {
	addr := serve(t, "127.0.0.1:0", silent)
	for _, language := range languages {
		t.Run(language, func(t *testing.T) {
			o := open(t, newHost(t, nil), language, nil)
			out, err := backup(t, t.Context(), o, map[string]any{"do": "handles", "addr": addr})
			if err != nil {
				out = err.Error()
			}
			if !strings.Contains(out, "handles are open: no more are allowed") {
				t.Errorf("%q", out)
			}
		})
	}
}

func TestHostileDialAndExec(t *testing.T) {
	addr := serve(t, "127.0.0.1:0", echo)
	for _, language := range languages {
		t.Run(language, func(t *testing.T) {
			o := open(t, newHost(t, nil), language, nil)
			_, err := backup(t, t.Context(), o, map[string]any{"do": "dial", "use": addr, "addr": "127.0.0.1:1"})
			wantError(t, err, shield.Forbidden, "connect to "+addr)
			for _, use := range []string{"id", "/bin/cat", "../bin/cat", "cat ", ""} {
				_, err = backup(t, t.Context(), o, map[string]any{"do": "exec", "use": use})
				wantError(t, err, shield.Forbidden, "exec")
			}
		})
	}
}

// A guest that says that all is well without having read its input has
// failed, and one that waits for input that never comes can be ended.
func TestHostileInput(t *testing.T) {
	o := open(t, newHost(t, nil), "hostile", nil)
	restore := func(ctx context.Context, do string, r io.Reader) error {
		tg, err := o.OpenTarget(ctx, endpoint(t, map[string]any{"do": do}), nil)
		if err != nil {
			t.Fatal(err)
		}
		return tg.Restore(ctx, r)
	}
	wantError(t, restore(t.Context(), "deaf", bytes.NewReader(make([]byte, 8<<20))), shield.PluginFailed, "stopped reading after 0 bytes")
	wantError(t, restore(t.Context(), "part", bytes.NewReader(make([]byte, 8<<20))), shield.PluginFailed, "stopped reading after")
	wantError(t, endsSoon(t, func(ctx context.Context) error {
		return restore(ctx, "sleep", bytes.NewReader(make([]byte, 8<<20)))
	}), shield.TimedOut, "")
	wantError(t, endsSoon(t, func(ctx context.Context) error {
		r, w := io.Pipe()
		defer w.Close()
		return restore(ctx, "read", r)
	}), shield.TimedOut, "")
	broken := errors.New("broken")
	if err := restore(t.Context(), "read", errorReader{broken}); !errors.Is(err, broken) {
		t.Errorf("error is %v", err)
	}
}

func TestHostileCommand(t *testing.T) {
	h := newHost(t, nil)
	grant := plugin.Grant{Exec: map[string]plugin.Command{
		"sh": {Args: []string{"-c", `echo "$0 $* $PATH $HOME $LD_PRELOAD"`, "pinned"}, Deny: []string{"-f", "--file"}},
	}}
	o := open(t, h, "hostile", &grant)
	run := func(args, env string) (string, error) {
		return backup(t, t.Context(), o, map[string]any{"do": "exec", "use": "sh", "args": args, "env": env})
	}
	out, err := run("a b\n$(id)", "")
	if err != nil || !strings.HasPrefix(out, "pinned a b $(id) /usr/local/bin:/usr/bin:/bin /") {
		t.Errorf("%q, %v", out, err)
	}
	for _, arg := range []string{"-f", "-fx", "-vf", "--file", "--file=x", "--fi=x", "--f"} {
		_, err := run(arg, "")
		wantError(t, err, shield.Forbidden, "denied")
	}
	for _, env := range []string{"LD_PRELOAD=/x.so", "PATH=/tmp", "HOME=/", "BASH_ENV=/x", "IFS=x"} {
		_, err := run("", env)
		wantError(t, err, shield.Forbidden, "set the variable")
	}
	if _, err := run("", "PGPASSWORD=x"); err != nil {
		t.Error(err)
	}
	_, err = backup(t, t.Context(), o, map[string]any{"do": "exec", "use": "cat"})
	wantError(t, err, shield.Forbidden, `run "cat"`)
}

func TestHostileFiles(t *testing.T) {
	outside, dir := t.TempDir(), t.TempDir()
	secret := filepath.Join(outside, "secret")
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(secret, "the secret")
	write(filepath.Join(dir, "own"), "fine")
	relative, err := filepath.Rel(dir, secret)
	if err != nil {
		t.Fatal(err)
	}
	for name, to := range map[string]string{"absolute": secret, "relative": relative, "folder": outside, "inside": "own"} {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, language := range languages {
		o := open(t, newHost(t, nil), language, nil)
		out, err := backup(t, t.Context(), o, map[string]any{"do": "read", "dir": dir, "use": filepath.Join(dir, "inside")})
		if err != nil || out != "fine" {
			t.Errorf("a symlink that stays inside: %q, %v", out, err)
		}
		for _, use := range []string{secret, dir + "/" + relative, dir + "/absolute", dir + "/relative", dir + "/folder/secret", dir + "/./folder/../folder/secret"} {
			out, err := backup(t, t.Context(), o, map[string]any{"do": "read", "dir": dir, "use": use})
			if err == nil || strings.Contains(out, "secret") {
				t.Errorf("%s: %s: %q, %v", language, use, out, err)
			}
		}
	}
	o := open(t, newHost(t, nil), "hostile", nil)
	for _, use := range []string{dir + "/absolute", dir + "/relative", dir + "/folder/secret", secret} {
		_, _ = backup(t, t.Context(), o, map[string]any{"do": "write", "dir": dir, "use": use})
		_, _ = backup(t, t.Context(), o, map[string]any{"do": "hardlink", "dir": dir, "use": use})
		b, err := os.ReadFile(filepath.Join(dir, "link"))
		if err == nil && string(b) == "the secret" {
			if fi, _ := os.Lstat(filepath.Join(dir, "link")); fi.Mode().IsRegular() {
				t.Errorf("%s: a hard link to the secret", use)
			}
		}
		_ = os.Remove(filepath.Join(dir, "link"))
	}
	if b, _ := os.ReadFile(secret); string(b) != "the secret" {
		t.Errorf("the secret is %q", b)
	}
	for _, language := range languages {
		do := map[string]string{"hostile": "escape", "hostile.c": "symlink"}[language]
		_, err := backup(t, t.Context(), open(t, newHost(t, nil), language, nil), map[string]any{"do": do, "dir": dir})
		wantError(t, err, shield.Forbidden, "leads out of the folder")
	}
}

// What may only be read cannot be written, neither directly nor by a link
// into a folder that may be written.
func TestHostileReadOnly(t *testing.T) {
	base := t.TempDir()
	shared, dir := filepath.Join(base, "shared"), filepath.Join(base, "dir")
	for _, d := range []string{shared, dir} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(shared, "file")
	if err := os.WriteFile(file, []byte("shared"), 0o600); err != nil {
		t.Fatal(err)
	}
	o := open(t, newHost(t, nil), "hostile", nil)
	for _, do := range []string{"write", "borrow"} {
		_, err := backup(t, t.Context(), o, map[string]any{"do": do, "dir": dir, "shared": shared, "use": file})
		if b, _ := os.ReadFile(file); err == nil || string(b) != "shared" {
			t.Errorf("%s: %q, %v", do, b, err)
		}
	}
}

// A FIFO would hang whoever opens it.
func TestHostileFIFO(t *testing.T) {
	dir := t.TempDir()
	if err := mkfifo(filepath.Join(dir, "fifo")); err != nil {
		t.Skip(err)
	}
	o := open(t, newHost(t, nil), "hostile", nil)
	err := endsSoon(t, func(ctx context.Context) error {
		_, err := backup(t, ctx, o, map[string]any{"do": "read", "dir": dir, "use": filepath.Join(dir, "fifo")})
		return err
	})
	if err == nil || errors.Is(err, shield.TimedOut) {
		t.Errorf("error is %v", err)
	}
}

func TestHostileSwap(t *testing.T) {
	outside, dir := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, "file"), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	real, swap := filepath.Join(dir, "real"), filepath.Join(dir, "swap")
	if err := os.Mkdir(real, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(real, "file"), []byte("fine"), 0o600); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
			}
			_ = os.Rename(real, swap)
			_ = os.Rename(swap, real)
			_ = os.Symlink(outside, swap)
			_ = os.Remove(swap)
		}
	}()
	o := open(t, newHost(t, nil), "hostile", nil)
	out, err := backup(t, t.Context(), o, map[string]any{"do": "race", "dir": dir})
	close(stop)
	<-done
	if err != nil || strings.Contains(out, "secret") {
		t.Errorf("%q, %v", out, err)
	}
	t.Logf("it read %d bytes", len(out))
}

func TestHostileModules(t *testing.T) {
	good := guest(t, "folder")
	h := newHost(t, &wasmhost.Options{CacheDir: t.TempDir()})
	for _, tt := range []struct {
		name   string
		module []byte
		want   string
	}{
		{"empty", nil, "is not a WebAssembly module"},
		{"text", []byte("#!/bin/sh\n"), "is not a WebAssembly module"},
		{"short", good[:6], "ends in the middle"},
		{"truncated", good[:len(good)/2], "ends in the middle"},
		{"component", []byte("\x00asm\x0d\x00\x01\x00"), "no component"},
		{"huge", append([]byte("\x00asm\x01\x00\x00\x00"), make([]byte, 65<<20)...), "at most"},
		{"no start", []byte("\x00asm\x01\x00\x00\x00"), "exports no _start"},
		{"unknown import", importing("env", "evil"), `imports the function "evil" of "env"`},
		{"unknown function", importing("shield_v1", "fork"), `imports the function "fork" of "shield_v1"`},
		{"memory", []byte("\x00asm\x01\x00\x00\x00\x05\x05\x01\x00\x80\x80\x04\x07\x0a\x01\x06_start\x00\x00"), "of memory to begin with"},
		{"nonsense", append(bytes.Clone(good[:len(good)-1000]), make([]byte, 1000)...), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := h.Open(t.Context(), tt.module, plugin.Grant{})
			if tt.name == "nonsense" && err == nil {
				return // data may hold anything
			}
			wantError(t, err, shield.PluginFailed, tt.want)
		})
	}
}

// importing returns a module that imports one function.
func importing(module, name string) []byte {
	var section bytes.Buffer
	section.WriteByte(1)
	for _, s := range []string{module, name} {
		section.WriteByte(byte(len(s)))
		section.WriteString(s)
	}
	section.Write([]byte{0, 0})
	m := append([]byte("\x00asm\x01\x00\x00\x00\x01\x04\x01\x60\x00\x00\x02"), byte(section.Len()))
	return append(m, section.Bytes()...)
}
