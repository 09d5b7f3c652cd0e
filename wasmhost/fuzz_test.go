package wasmhost

import (
	"testing"
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
