package wasmhost

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"log/slog"
	"math"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/sys"

	"github.com/shieldhq/shield/internal/calling"
	"github.com/shieldhq/shield/plugin"
)

func FuzzInspect(f *testing.F) {
	f.Add([]byte("\x00asm\x01\x00\x00\x00\x02\x05\x01\x01a\x01b\x00\x00"))
	f.Add([]byte("\x00asm\x01\x00\x00\x00\x05\x03\x01\x00\x01\x07\x0a\x01\x06_start\x00\x00"))
	f.Fuzz(func(_ *testing.T, module []byte) { _, _ = inspect(module) })
}

func FuzzDescriptor(f *testing.F) {
	f.Add([]byte(`{"tcp":{"addr":"a:1","timeout_ms":5,"new":[]}}`))
	f.Add([]byte(`{"tls":{"over":5,"name":"x","alpn":["h2"]}}`))
	f.Add([]byte(`{"http":{"method":"PUT","url":"https://a/b","header":{"X":["y"]},"length":-1}}`))
	f.Add([]byte(`{"exec":{"cmd":"sh","args":["-c"],"env":{"A":"b"}},"files":{"folder":"/"}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		d, err := parseDescriptor(text)
		if err == nil && d.TCP == nil && d.TLS == nil && d.HTTP == nil && d.Exec == nil && d.Files == nil && d.Stderr == nil {
			t.Error("a descriptor of nothing")
		}
	})
}

func FuzzRequest(f *testing.F) {
	f.Add([]byte("\x03\x02\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00a"))
	f.Add([]byte("\x16\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00a\x00\x00\x00\x00\x01\x00\x00\x00b"))
	f.Fuzz(func(t *testing.T, p []byte) {
		r := parseRequest(p)
		_, _, _ = r.u32(), r.u64(), r.u8()
		if name := r.name(); !r.bad && !plainName(name) {
			t.Errorf("the name %q", name)
		}
	})
}

func FuzzDenied(f *testing.F) {
	f.Add("--file=x")
	f.Add("-vf")
	f.Fuzz(func(t *testing.T, arg string) {
		if arg == "-f" && denied(arg, []string{"-f"}) == "" {
			t.Error("-f passes")
		}
		denied(arg, []string{"-f", "--file"})
	})
}

// onePage is a module of nothing but one page of memory.
var onePage = []byte("\x00asm\x01\x00\x00\x00\x05\x03\x01\x00\x01\x07\x0a\x01\x06memory\x02\x00")

// pageOf returns the memory of a guest.
func pageOf(f *testing.F) memory {
	ctx := context.Background()
	rt := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter())
	f.Cleanup(func() { _ = rt.Close(ctx) })
	m, err := rt.Instantiate(ctx, onePage)
	if err != nil {
		f.Fatal(err)
	}
	return memory{m.Memory()}
}

// loneInstance returns what the host would know of a guest that may write in
// a folder, and has had all of its input.
func loneInstance(t testing.TB, dir string) *instance {
	t.Helper()
	h, err := New(t.Context(), &Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	c := &call{op: "fuzz backup", request: &calling.Request{Log: func(string) {}}}
	c.ctx, c.cancel = context.WithCancelCause(t.Context())
	may := plugin.Capabilities{Write: []string{dir}}
	p := &Plugin{host: h}
	i, err := p.instance(c, "fuzz", rights{needs: may, bound: may, grant: &plugin.Grant{}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.cancel(nil)
		i.end()
	})
	return i
}

// FuzzHostFunctions calls the host functions with any arguments and any
// memory. A guest must get a number that the specification has, however it
// lies about lengths, and must never end the host.
func FuzzHostFunctions(f *testing.F) {
	page, dir := pageOf(f), f.TempDir()
	functions := []func(*instance, memory, arguments) int64{
		abiOpen, abiRead, abiWrite, abiShut, abiCopy, abiPoll, abiStat, abiClose,
	}
	call := func(function byte, args ...uint32) []byte {
		b := []byte{function}
		for n := range 4 {
			if n < len(args) {
				b = binary.LittleEndian.AppendUint32(b, args[n])
			} else {
				b = append(b, 0, 0, 0, 0)
			}
		}
		return b
	}
	open := []byte(`{"files":{"folder":"$DIR"}}`)
	f.Add(open, bytes.Join([][]byte{call(0, 0, uint32(len(open))), call(2, 3, 100, 17), call(1, 3, 200, 500)}, nil))
	f.Add([]byte(`{"tcp":{"addr":"127.0.0.1:1"}}`), bytes.Join([][]byte{call(0, 0, 30), call(6, math.MaxUint32, 0, 100)}, nil))
	f.Add([]byte("\x00\x00\x00\x00\x03\x00\x00\x00\x01\x00\x00\x00\x07\x00\x00\x00"), bytes.Join([][]byte{call(5, 0, 2, 0), call(4, 1, 0, 9), call(3, 1), call(7, 1)}, nil))
	f.Add([]byte("text"), bytes.Join([][]byte{call(2, 1, 0, 4, 1), call(2, 1, 65533, 4), call(1, 0, math.MaxUint32-1, 4), call(5, 65500, 1024, 1)}, nil))
	f.Fuzz(func(t *testing.T, text, calls []byte) {
		i := loneInstance(t, dir)
		ctx, cancel := context.WithTimeout(i.ctx, 20*time.Millisecond)
		defer cancel()
		i.ctx = ctx
		go func() { _ = i.stdout.drain(ctx, io.Discard) }()
		text = bytes.ReplaceAll(text, []byte("$DIR"), []byte(dir))
		page.Write(0, make([]byte, page.Size()))
		page.Write(0, text[:min(len(text), int(page.Size()))])
		for ; len(calls) >= 17 && ctx.Err() == nil; calls = calls[17:] {
			a := make(arguments, 4)
			for n := range a {
				a[n] = uint64(binary.LittleEndian.Uint32(calls[1+4*n:]))
			}
			function := int(calls[0]) % len(functions)
			n, stopped := guardedCall(functions[function], i, page, a)
			if stopped {
				return // it waited for what never comes, and was ended
			}
			if n < -76 {
				t.Fatalf("function %d with %v returned %d, which is no error number", function, a, n)
			}
			if (function == 1 || function == 2) && n > int64(a.u32(2)) {
				t.Fatalf("function %d moved %d bytes of %d", function, n, a.u32(2))
			}
		}
	})
}

// guardedCall calls a host function as wazero does, which takes one panic for
// the end of the guest.
func guardedCall(f func(*instance, memory, arguments) int64, i *instance, m memory, a arguments) (n int64, stopped bool) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case *sys.ExitError:
			stopped = true
		default:
			panic(r)
		}
	}()
	return f(i, m, a), false
}
