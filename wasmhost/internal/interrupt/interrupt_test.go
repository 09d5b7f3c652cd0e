package interrupt_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/sys"

	"github.com/shieldhq/shield/wasmhost/internal/interrupt"
)

// A host runs modules and counts how often they check.
type host struct {
	wazero.Runtime
	checks int
	most   int // after so many checks the guest is ended; 0 is for never
}

func newHost(t testing.TB, config wazero.RuntimeConfig) *host {
	t.Helper()
	ctx := context.Background()
	h := &host{Runtime: wazero.NewRuntimeWithConfig(ctx, config)}
	t.Cleanup(func() { _ = h.Close(ctx) })
	check := api.GoFunc(func(context.Context, []uint64) {
		if h.checks++; h.most > 0 && h.checks >= h.most {
			panic(sys.NewExitError(7))
		}
	})
	double := api.GoFunc(func(_ context.Context, stack []uint64) { stack[0] = uint64(uint32(stack[0]) * 2) })
	i := []api.ValueType{api.ValueTypeI32}
	for module, b := range map[string]wazero.HostFunctionBuilder{
		interrupt.Module: h.NewHostModuleBuilder(interrupt.Module).NewFunctionBuilder().WithGoFunction(check, nil, nil).WithName(interrupt.Name),
		"env":            h.NewHostModuleBuilder("env").NewFunctionBuilder().WithGoFunction(double, i, i).WithName("host"),
	} {
		if _, err := b.Export(map[string]string{interrupt.Module: interrupt.Name, "env": "host"}[module]).Instantiate(ctx); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

// call returns what the function gives, or why not, and how many checks it
// took.
func (h *host) call(module []byte, function string, args ...uint64) (string, int) {
	h.checks = 0
	ctx := context.Background()
	m, err := h.InstantiateWithConfig(ctx, module, wazero.NewModuleConfig().WithName(""))
	if err != nil {
		text, _, _ := strings.Cut(err.Error(), "\n")
		return text, h.checks
	}
	defer func() { _ = m.Close(ctx) }()
	results, err := m.ExportedFunction(function).Call(ctx, args...)
	if err != nil {
		text, _, _ := strings.Cut(err.Error(), "\n")
		return text, h.checks
	}
	return fmt.Sprint(results), h.checks
}

func instrument(t testing.TB, module []byte) []byte {
	t.Helper()
	out, err := interrupt.Instrument(module)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// The instructions that the tests are about, beyond those of their codes.
var (
	get0  = code(0x20, 0)
	get1  = code(0x20, 1)
	page  = code(0x41, 0x80, 0x80, 0x04) // i32.const 65536
	small = code(0x41, 100)              // a hundred, as i32 it is negative
)

// programs have something of each class of instructions.
var programs = map[string]module{
	"nothing":    main(get0),
	"control":    main(0x02, 0x40, 0x02, 0x40, get0, 0xa7, 0x0e, 1, 0, 1, 0x0b, get0, 0x0f, 0x0b, 0x42, 5),
	"loop":       main(countdown).with(1, i64),
	"loop value": main(get0, 0x03, typI64, 0x42, 1, 0x7d, 0x22, 0, get0, 0x50, 0x45, 0x0d, 0, 0x0b),
	"two values": main(get0, 0x42, 3, 0x02, typTwo, 0x10, fnSecond, 0x0b, 0x7c).and("", typTwo, get1, get0),
	"if else":    main(get0, 0x50, 0x04, i64, 0x42, 1, 0x05, 0x42, 2, 0x0b),
	"dead code":  main(0x42, 9, 0x0f, 0x03, 0x40, 0x0c, 0, 0x0b, 0xfc, 0x0b, 0),
	"import":     main(0x41, 21, 0x10, padded(fnHost), 0xad),
	"indirect":   main(0x41, 4, 0x41, 0, 0x11, typHost, 0, 0xad),
	"wrong type": main(0x41, 0, 0x11, typNothing, 0, get0),
	"own":        main(get0, 0x10, fnSecond).and("", typI64, get0, get0, 0x7e),
	"recursion":  main(get0, 0x50, 0x04, i64, 0x42, 0, 0x05, get0, 0x42, 1, 0x7d, 0x10, fnFirst, 0x42, 2, 0x7c, 0x0b),
	"globals":    main(get0, 0x24, 1, 0x23, 1, 0x23, padded(0), 0x7c),
	"locals":     main(get0, 0x22, 2, 0x21, 1, get1).with(1, i64, 1, i64),
	"memory":     main(0x41, 8, get0, 0x37, 3, 0, 0x41, 8, 0x29, padded(3), padded(0), 0x3f, 0, 0xac, 0x7c, 0x41, 1, 0x40, 0, 0xac, 0x7c),
	"outside":    main(page, 0x29, 3, 0),
	"numbers":    main(0x43, 0, 0, 0x80, 0x3f, 0xbb, 0x44, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0xa0, 0xfc, 6, get0, 0xc4, 0x7c),
	"constants":  main(0x42, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00, 0x41, 0xff, 0xff, 0xff, 0xff, 0x7f, 0xac, 0x7c),
	"select":     main(get0, 0x42, 7, get0, 0x50, 0x1b, 0x42, 8, get0, 0x50, 0x1c, 1, i64),
	"references": main(0xd2, fnHost, 0xd1, 0xad, 0xd0, externref, 0xd1, 0xad, 0x7c, 0x41, 1, 0x25, 0, 0xd1, 0xad, 0x7c),
	"table":      main(0x41, 1, 0xd2, fnHost, 0x26, 0, 0x41, 9, 0x41, 1, 0x11, typHost, 0, 0xad, 0xfc, 16, 0, 0xad, 0x7c),
	"table bulk": main(0xd0, funcref, 0x41, 3, 0xfc, 15, 0, 0xad, 0x41, 2, 0xd2, fnFirst, 0x41, 2, 0xfc, 17, 0, 0x41, 3, 0x41, 0, 0x41, 1, 0xfc, 14, 0, 0, 0x41, 5, 0x41, 3, 0x11, typHost, 0, 0xad, 0x7c),
	"fill":       main(0x41, 0, 0x41, 7, small, 0xfc, 11, 0, 0x41, 60, 0x41, 0, 0x41, 20, 0xfc, 10, 0, 0, 0x41, 60, 0x29, 3, 0),
	"fill all":   main(0x41, 0, 0x41, 7, page, 0xfc, 11, 0, 0x41, 0, 0x29, 3, 0).with(2, i32, 1, i64),
	"fill far":   main(0x41, 0, 0x41, 7, 0x41, 0x7f, 0xfc, 11, 0, get0),
	"vector":     main(0xfd, 12, slices.Repeat([]byte{3}, 16), 0xfd, 12, slices.Repeat([]byte{4}, 16), 0xfd, 13, slices.Repeat([]byte{1, 17}, 8), 0xfd, 29, 1),
	"lanes":      main(0x41, 0, 0xfd, 0, 4, 0, get0, 0xfd, 30, 1, 0x21, 1, 0x41, 8, get1, 0xfd, 91, 3, 0, 1, 0x41, 0, get1, get1, 0xfd, 0xce, 0x01, 0xfd, 11, 4, 0, 0x41, 0, 0x29, 3, 8).with(1, v128),
	"data": {
		functions: []function{{name: "f", typ: typI64, code: code(0x41, 0, 0x41, 0, 0x41, 8, 0xfc, 8, 1, 0, 0xfc, 9, 1, 0x41, 0, 0x29, 3, 0)}},
		extra: map[byte][]byte{
			11: vec(code(0, 0x41, 4, 0x0b, name("active")), code(1, name("passive.")), code(2, 0, 0x41, 40, 0x0b, name("more"))),
			12: {3},
		},
	},
	"near data": {
		functions: []function{{name: "f", typ: typI64, code: code(0x41, 0, 0x29, 3, 0, 0x41, 8, 0x29, 3, 0, 0x7c, 0x41, 0x80, 0x10, 0x29, 3, 0, 0x7c)}},
		extra: map[byte][]byte{11: vec(
			code(0, 0x41, 0, 0x0b, name("near")), code(0, 0x41, 5, 0x0b, name("by")), code(0, 0x41, 4, 0x0b, name("over")), code(0, 0x41, 12, 0x0b, 0),
			code(0, 0x41, 14, 0x0b, name("x")), code(0, 0x41, 1, 0x0b, name("below")), code(0, 0x41, 0x80, 0x10, 0x0b, name("far")),
			code(0, 0x41, 0, 0x0b, name("n")), code(0, 0x41, 16, 0x0b, name("over what was there")),
		)},
	},
	"data outside": {
		functions: []function{{name: "f", typ: typI64, code: get0}},
		extra:     map[byte][]byte{11: vec(code(0, 0x41, 0, 0x0b, name("x")), code(0, 0x41, 0x7f, 0x0b, name("at the end of all addresses")))},
	},
	"elements": {
		functions: []function{{name: "f", typ: typI64, code: code(0x41, 0, 0x41, 0, 0x41, 1, 0xfc, 12, 2, 0, 0xfc, 13, 2, 0x41, 5, 0x41, 0, 0x11, typHost, 0, 0xad)}},
		extra: map[byte][]byte{9: vec(
			code(0, 0x41, 0, 0x0b, 2, fnFirst, fnHost), code(2, 0, 0x41, 1, 0x0b, 0, 1, fnHost), code(1, 0, 1, padded(fnHost)),
			code(3, 0, 1, fnFirst), code(4, 0x41, 0, 0x0b, 1, 0xd2, fnFirst, 0x0b), code(5, funcref, 2, 0xd0, funcref, 0x0b, 0xd2, fnHost, 0x0b),
			code(6, 0, 0x41, 0, 0x0b, funcref, 1, 0xd0, funcref, 0x0b), code(7, funcref, 1, 0xd2, fnFirst, 0x0b),
		)},
	},
	"start": {
		functions: []function{{name: "f", typ: typI64, code: code(0x23, 0)}, {typ: typNothing, code: code(0x42, 11, 0x24, 0)}}, globals: 1, start: fnSecond,
	},
	"exports": {
		functions: []function{{typ: typNothing}}, globals: 1,
		extra: map[byte][]byte{7: vec(cat(name("f"), []byte{0, fnHost}), cat(name("g"), []byte{3, 0}), cat(name("m"), []byte{2, 0}), cat(name("t"), []byte{1, 0}))},
	},
}

// countdown runs a loop as often as its argument says, and counts.
var countdown = code(0x02, 0x40, 0x03, 0x40, get0, 0x50, 0x0d, 1, get0, 0x42, 1, 0x7d, 0x21, 0, get1, 0x42, 1, 0x7c, 0x21, 1, 0x0c, 0, 0x0b, 0x0b, get1)

// TestSame runs each program as it was and with the checks put in.
func TestSame(t *testing.T) {
	for name, m := range programs {
		t.Run(name, func(t *testing.T) {
			h := newHost(t, wazero.NewRuntimeConfig())
			for _, arg := range []uint64{0, 1, 1000} {
				if name == "loop value" && arg == 0 {
					continue // it would count down from 2^64
				}
				want, _ := h.call(m.bytes(), "f", arg)
				got, _ := h.call(instrument(t, m.bytes()), "f", arg)
				if got != want {
					t.Errorf("f(%d) is %s, want %s", arg, got, want)
				}
				if strings.Contains(want, "invalid") {
					t.Errorf("the program is not valid: %s", want)
				}
			}
		})
	}
}

// fib is exponential and has no loop.
var fib = main(get0, 0x42, 2, 0x53, 0x04, i64, get0, 0x05,
	get0, 0x42, 1, 0x7d, 0x10, fnFirst, get0, 0x42, 2, 0x7d, 0x10, fnFirst, 0x7c, 0x0b)

// endless never end by themselves, or not before the sun does.
var endless = map[string]module{
	"empty loop":  main(0x03, 0x40, 0x0c, 0, 0x0b, get0),
	"br_if":       main(0x03, 0x40, get0, 0x50, 0x45, 0x0d, 0, 0x0b, get0),
	"br_table":    main(0x03, 0x40, get0, 0xa7, 0x0e, 1, 0, 0, 0x0b, get0),
	"outer loop":  main(0x03, 0x40, 0x03, 0x40, get0, 0x50, 0x45, 0x0d, 1, 0x0b, 0x0b, get0),
	"in an if":    main(get0, 0x50, 0x45, 0x04, 0x40, 0x03, 0x40, 0x0c, 0, 0x0b, 0x0b, get0),
	"fib":         fib,
	"mutual":      main(get0, 0x10, fnSecond, get0, 0x10, fnSecond, 0x7c).and("", typI64, get0, 0x42, 1, 0x7d, 0x22, 0, 0x50, 0x04, i64, get0, 0x05, get0, 0x10, fnFirst, 0x0b),
	"indirect":    main(get0, 0x50, 0x04, i64, get0, 0x05, get0, 0x42, 1, 0x7d, 0x41, 1, 0x11, typI64, 0, get0, 0x42, 1, 0x7d, 0x41, 1, 0x11, typI64, 0, 0x7c, 0x0b),
	"host":        main(0x03, 0x40, 0x41, 0, 0x10, fnHost, 0x1a, 0x0c, 0, 0x0b, get0),
	"memory":      main(0x03, 0x40, 0x41, 0, 0x41, 0, page, 0xfc, 11, 0, 0x0c, 0, 0x0b, get0),
	"grow":        main(0x03, 0x40, 0x41, 0, 0x40, 0, 0x1a, 0x0c, 0, 0x0b, get0),
	"start":       {functions: []function{{name: "f", typ: typI64, code: get0}, {typ: typNothing, code: code(0x03, 0x40, 0x0c, 0, 0x0b)}}, start: fnSecond},
	"long called": main(0x03, 0x40, get0, 0x10, fnSecond, 0x1a, 0x0c, 0, 0x0b, get0).and("", typI64, get0, slices.Repeat(code(0x42, 1, 0x7c), 5000)),
}

// TestEndless ends what does not end, at the tenth check.
func TestEndless(t *testing.T) {
	for name, m := range endless {
		t.Run(name, func(t *testing.T) {
			h := newHost(t, wazero.NewRuntimeConfig())
			h.most = 10
			if got, n := h.call(instrument(t, m.bytes()), "f", 60); n != 10 || !strings.Contains(got, "exit_code(7)") {
				t.Errorf("%s after %d checks", got, n)
			}
		})
	}
}

// TestCharges holds how often the host is called against what is executed.
func TestCharges(t *testing.T) {
	const budget = 1 << 15
	long := slices.Repeat(code(0x42, 1, 0x7c), 5000) // 15,000 bytes
	for _, tt := range []struct {
		name        string
		m           module
		arg         uint64
		least, most int
	}{
		{"short", programs["loop"], budget - 200, 0, 0},
		{"loop", programs["loop"], 10 * budget, 9, 11},
		{"leaf", main(get0, 0x10, fnSecond).and("", typI64, get0), 1, 0, 0},
		{"recursion", fib, 25, 7, 12}, // 242,785 calls
		{"long code", main(0x03, 0x40, get0, long, 0x1a, get0, 0x42, 1, 0x7d, 0x22, 0, 0x50, 0x45, 0x0d, 0, 0x0b, get0), budget, 50, 70},
		{"host", main(0x03, 0x40, 0x41, 0, 0x10, fnHost, 0x1a, get0, 0x42, 1, 0x7d, 0x22, 0, 0x50, 0x45, 0x0d, 0, 0x0b, get0), 160, 9, 12},
		{"memory", main(0x03, 0x40, 0x41, 0, 0x41, 0, page, 0xfc, 11, 0, get0, 0x42, 1, 0x7d, 0x22, 0, 0x50, 0x45, 0x0d, 0, 0x0b, get0), budget, 16, 20},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got, n := newHost(t, wazero.NewRuntimeConfig()).call(instrument(t, tt.m.bytes()), "f", tt.arg); n < tt.least || n > tt.most {
				t.Errorf("%d checks, want %d to %d; the result is %s", n, tt.least, tt.most, got)
			}
		})
	}
}

// TestRefused are modules that name what they do not have. Instrumented, they
// might have it.
func TestRefused(t *testing.T) {
	for _, tt := range []struct {
		name string
		m    module
		want string
	}{
		{"reset the counter", main(0x41, 0, 0x24, 2, get0), "there is no global 2"},
		{"read the counter", main(0x23, padded(2), 0x1a, get0), "there is no global 2"},
		{"export the counter", module{extra: map[byte][]byte{7: vec(cat(name("c"), []byte{3, 0}))}}, "there is no global 0"},
		{"counter in a data segment", module{noImport: true, extra: map[byte][]byte{11: vec(code(0, 0x23, 0, 0x0b, 0))}}, "there is no global 0"},
		{"counter in a global", module{extra: map[byte][]byte{6: vec(code(i32, 0, 0x23, 0, 0x0b))}}, "there is no global 0"},
		{"counter in a segment", module{extra: map[byte][]byte{9: vec(code(0, 0x23, 0, 0x0b, 0))}}, "there is no global 0"},
		{"call the refill", main(0x10, fnSecond, get0), "there is no function 2"},
		{"refer to a gate", main(0xd2, fnSecond+1, 0x1a, get0), "there is no function 3"},
		{"export a function", module{extra: map[byte][]byte{7: vec(cat(name("c"), []byte{0, 1}))}}, "there is no function 1"},
		{"start the refill", module{start: 1}, "there is no function 1"},
		{"element", module{extra: map[byte][]byte{9: vec(code(0, 0x41, 0, 0x0b, 1, 1))}}, "there is no function 1"},
		{"element expression", module{extra: map[byte][]byte{9: vec(code(5, funcref, 1, 0xd2, 1, 0x0b))}}, "there is no function 1"},
		{"the local for bulk", main(0x41, 0, 0x41, 0, 0x41, 0, 0xfc, 11, 0, 0x41, 0, 0x21, 1, get0), "there is no local 1"},
		{"type of a block", main(0x02, 5, 0x0b, get0), "there is no type 5"},
		{"type of a call", main(0x41, 0, 0x11, 5, 0, get0), "there is no type 5"},
		{"type of a function", module{functions: []function{{typ: 5}}}, "there is no type 5"},
		{"try", main(0x1f, 0x40, 0, 0x0b, get0), "the instruction 0x1f is unknown"},
		{"tail call", main(get0, 0x12, fnFirst), "the instruction 0x12 is unknown"},
		{"atomics", main(0xfe, 3, 0, get0), "the instruction 0xfe is unknown"},
		{"second memory", main(0x41, 0, 0x29, 0x43, 1, 0), "the alignment 67 is unknown"},
		{"type of a local", main(get0).with(1, 0x40), "the value type 0x40 is unknown"},
		{"not ended", main(0x02, 0x40, get0), "ends in the middle"},
		{"ended twice", main(get0, 0x0b), "code after its end"},
		{"number too long", main(0x41, 0x80, 0x80, 0x80, 0x80, 0x80, 0, get0), "a number is malformed"},
		{"number too large", main(0x10, 0x80, 0x80, 0x80, 0x80, 0x10, get0), "a number is malformed"},
		{"sign cut off", main(0x41, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x1a, get0), "a number is malformed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := interrupt.Instrument(tt.m.bytes())
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error is %v, want %q", err, tt.want)
			}
		})
	}
}

// TestSections has what is wrong with a module as a whole.
func TestSections(t *testing.T) {
	good := programs["data"].bytes()
	tagged := append(slices.Clone(good), 13, 1, 0)
	twice := append(slices.Clone(good), 11, 1, 0)
	for name, m := range map[string][]byte{
		"none": nil, "text": []byte("#!/bin/sh\n"), "component": []byte("\x00asm\x0d\x00\x01\x00"), "tags": tagged, "twice": twice,
		"bodies": module{extra: map[byte][]byte{3: vec([]byte{0})}}.bytes(),
	} {
		if _, err := interrupt.Instrument(m); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	custom := append(slices.Clone(good), 0, 5, 4, 'n', 'a', 'm', 'e')
	if out := instrument(t, custom); strings.Contains(string(out), "name") {
		t.Error("a section with names of the old numbers is kept")
	}
	empty := instrument(t, []byte("\x00asm\x01\x00\x00\x00"))
	if _, err := newHost(t, wazero.NewRuntimeConfig()).CompileModule(t.Context(), empty); err != nil {
		t.Error(err)
	}
}

// TestDamaged looks for panics only.
func TestDamaged(t *testing.T) {
	for _, m := range programs {
		b := m.bytes()
		for n := range b {
			_, _ = interrupt.Instrument(b[:n])
			for _, flip := range []byte{1, 0x80, 0xff} {
				damaged := slices.Clone(b)
				damaged[n] ^= flip
				_, _ = interrupt.Instrument(damaged)
			}
		}
	}
}

// FuzzData holds the memory after the segments were joined against what it
// was before. Each segment is given by two bytes of its offset, the length of
// its content, and that.
func FuzzData(f *testing.F) {
	f.Add([]byte("\x00\x00\x02ab\x00\x05\x01c\x00\x04\x03def\x01\xff\x01g"))
	h := newHost(f, wazero.NewRuntimeConfigInterpreter())
	f.Fuzz(func(t *testing.T, text []byte) {
		var segments [][]byte
		for len(text) >= 3 && len(segments) < 100 {
			n := min(int(text[2]), len(text)-3)
			offset := []byte{text[1] | 0x80, text[0] | 0x80, 0} // the high bits fall together: some overlap
			segments = append(segments, code(0, 0x41, offset, 0x0b, sized(text[3:3+n])))
			text = text[3+n:]
		}
		m := module{noImport: true, extra: map[byte][]byte{7: vec(cat(name("memory"), []byte{2, 0})), 11: vec(segments...)}}
		want, got := h.memory(t, m.bytes()), h.memory(t, instrument(t, m.bytes()))
		if !bytes.Equal(want, got) {
			t.Error("the memory is another one")
		}
	})
}

// memory returns that of a module that was instantiated.
func (h *host) memory(t testing.TB, module []byte) []byte {
	t.Helper()
	ctx := context.Background()
	m, err := h.InstantiateWithConfig(ctx, module, wazero.NewModuleConfig().WithName(""))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = m.Close(ctx) }()
	b, _ := m.Memory().Read(0, m.Memory().Size())
	return bytes.Clone(b)
}

// FuzzInstrument holds that a module is as valid after as it was before.
func FuzzInstrument(f *testing.F) {
	for _, m := range programs {
		f.Add(m.bytes())
	}
	for _, m := range endless {
		f.Add(m.bytes())
	}
	// A memory or a table of gigabytes is not what is looked for.
	config := wazero.NewRuntimeConfigInterpreter().WithMemoryLimitPages(16)
	f.Fuzz(func(t *testing.T, module []byte) {
		out, err := interrupt.Instrument(module)
		if err != nil {
			return
		}
		ctx := context.Background()
		rt := wazero.NewRuntimeWithConfig(ctx, config)
		defer func() { _ = rt.Close(ctx) }()
		_, before := rt.CompileModule(ctx, module)
		_, after := rt.CompileModule(ctx, out)
		if (before == nil) != (after == nil) && !limited(before) && !limited(after) {
			t.Errorf("before: %v\nafter: %v", before, after)
		}
	})
}

// limited reports whether an error is about one of wazero's own limits, or
// about a custom section, which is dropped.
func limited(err error) bool {
	if err == nil {
		return false
	}
	for _, text := range []string{"too many locals", "custom", "name"} {
		if strings.Contains(err.Error(), text) {
			return true
		}
	}
	return errors.Is(err, context.Canceled)
}
