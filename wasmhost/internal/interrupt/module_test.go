package interrupt_test

import (
	"bytes"
	"encoding/binary"
	"slices"
)

// A module for a test, as far as it is not the same for all of them: one
// memory of a page, a table of two functions, types for each need.
type module struct {
	functions []function // after the imported one
	globals   int        // i64, mutable
	start     int        // a function, or 0
	extra     map[byte][]byte
	noImport  bool
}

// A function is exported under its name, if it has one.
type function struct {
	name   string
	typ    byte
	locals []byte // groups of locals, without their number
	code   []byte // without the last end
}

// The types of functions in a module.
const (
	typNothing = iota // () -> ()
	typI64            // (i64) -> (i64)
	typHost           // (i32) -> (i32), of the imported function
	typTwo            // (i64 i64) -> (i64 i64)
	typV128           // () -> (v128)
)

// The numbers of functions: the imported one comes first.
const (
	fnHost = iota
	fnFirst
	fnSecond
)

const i32, i64, f32, f64, v128, funcref, externref = 0x7f, 0x7e, 0x7d, 0x7c, 0x7b, 0x70, 0x6f

func (m module) bytes() []byte {
	sections := map[byte][]byte{
		1: vec(
			[]byte{0x60, 0, 0}, []byte{0x60, 1, i64, 1, i64}, []byte{0x60, 1, i32, 1, i32},
			[]byte{0x60, 2, i64, i64, 2, i64, i64}, []byte{0x60, 0, 1, v128},
		),
		2: vec(cat(name("env"), name("host"), []byte{0, typHost})),
		4: vec([]byte{funcref, 0, 2}),
		5: vec([]byte{0, 1}),
		9: vec([]byte{0, 0x41, 0, 0x0b, 2, fnHost, fnFirst}),
		7: nil,
	}
	if m.noImport {
		delete(sections, 2)
		delete(sections, 9)
	}
	var types, bodies, exports, globals [][]byte
	for i, f := range m.functions {
		types = append(types, []byte{f.typ})
		bodies = append(bodies, sized(cat([]byte{byte(len(f.locals) / 2)}, f.locals, f.code, []byte{0x0b})))
		if f.name != "" {
			exports = append(exports, cat(name(f.name), []byte{0, byte(fnFirst + i)}))
		}
	}
	for range m.globals {
		globals = append(globals, []byte{i64, 1, 0x42, 0, 0x0b})
	}
	sections[3], sections[10], sections[6], sections[7] = vec(types...), vec(bodies...), vec(globals...), vec(exports...)
	if m.start > 0 {
		sections[8] = []byte{byte(m.start)}
	}
	for id, content := range m.extra {
		sections[id] = content
	}
	out := []byte("\x00asm\x01\x00\x00\x00")
	for _, id := range []byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 10, 11} {
		if content, ok := sections[id]; ok {
			out = append(append(out, id), sized(content)...)
		}
	}
	return out
}

func cat(parts ...[]byte) []byte { return slices.Concat(parts...) }

func leb(n uint64) []byte { return binary.AppendUvarint(nil, n) }

// padded is a number of five bytes, which is more than it needs.
func padded(n byte) []byte { return []byte{n | 0x80, 0x80, 0x80, 0x80, 0} }

func sized(b []byte) []byte { return cat(leb(uint64(len(b))), b) }
func name(s string) []byte  { return sized([]byte(s)) }

func vec(entries ...[]byte) []byte {
	return cat(leb(uint64(len(entries))), bytes.Join(entries, nil))
}

// code joins bytes and slices of bytes.
func code(parts ...any) []byte {
	var b []byte
	for _, p := range parts {
		switch p := p.(type) {
		case int:
			b = append(b, byte(p))
		case []byte:
			b = append(b, p...)
		}
	}
	return b
}

// main is a module whose function "f" takes and returns an i64.
func main(parts ...any) module {
	return module{functions: []function{{name: "f", typ: typI64, code: code(parts...)}}, globals: 2}
}

// with gives the function locals.
func (m module) with(groups ...byte) module {
	m.functions = slices.Clone(m.functions)
	m.functions[0].locals = groups
	return m
}

// and has one more function.
func (m module) and(name string, typ byte, parts ...any) module {
	m.functions = append(slices.Clone(m.functions), function{name: name, typ: typ, code: code(parts...)})
	return m
}
