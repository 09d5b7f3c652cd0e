// Package interrupt puts into a WebAssembly module the checks by which its
// host can stop it, whatever it does: the module counts what it executes, and
// each time it has executed so much it calls a function of the host.
//
// The host function can end the guest, by a panic. That the guest calls it is
// worth as much as what it does: compiled guest code cannot be preempted, so
// a guest that never called the host would stop all goroutines of the process
// at the next garbage collection. wazero has checks of its own for both
// (WithCloseOnContextDone), which leave the compiled code at every iteration
// of every loop and cost 10 to 50 times what the loop does; and recursion
// without loops passes none of them.
//
// # What is counted
//
// A counter, a global that the module gets, is lowered by a charge
//   - at the head of each loop, for one iteration, inner loops aside. So that
//     short loops do not touch memory for it, a function pays some of that
//     ahead when it is entered, and counts in a local until it is used up;
//   - at the entry of each function, for what lies outside of its loops. Short
//     functions that call nothing are charged to their callers;
//   - before bulk instructions, for the bytes or elements that they are to
//     touch;
//   - before each call of an imported function, which may take the host long.
//
// Control flows backwards only to the heads of loops and into functions, so
// whatever is executed has been charged for. Once the counter is used up the
// guest fills it and calls the host. Between two such calls lie at most some
// 100 MB of memory touched, or some ten million instructions: far less than a
// second. A single instruction is never interrupted: one memory.fill takes as
// long as the memory that the guest may have is large.
//
// # Why the guest cannot evade it
//
// The counter is neither exported nor imported, and is named by an index that
// the original module does not have. Every index of the original is checked
// to be one of its own, so no code of the guest reaches what was added.
// Imported functions are all called through small functions that count, also
// those that are called through tables. The function of the host may be
// called by nothing else; a guest that imports it under its name would only
// be checked more often.
//
// # Why a counter, and not a flag that the host sets
//
// A flag would have to be written by another goroutine, and would let nobody
// in between: the garbage collector has to wait until the guest calls the
// host. The price is that indices of functions shift by the one that is
// imported, which is why calls, element segments, exports and the start
// function are written anew.
//
// # What else is changed
//
// Data segments that lie close together become one, see dataSection, and
// custom sections go: they name functions by numbers that change.
//
// The binary format is that of the WebAssembly core specification 2.0,
// chapter 5. What the package does not know is an error: such a module can
// still be run with wazero's own checks.
package interrupt

import (
	"errors"
	"fmt"
)

// The function that an instrumented module imports. It has neither parameters
// nor results.
const (
	Module = "shield_interrupt"
	Name   = "check"
)

// Version changes whenever Instrument does other things to a module than
// before. It is part of the name under which compiled modules are kept.
const Version = "2"

var (
	errTruncated = errors.New("ends in the middle")
	errNumber    = errors.New("a number is malformed")
)

// Instrument returns the module with checks put in. The module must not be
// changed as long as the result is in use. Modules that are not valid become
// modules that are not valid.
func Instrument(module []byte) ([]byte, error) {
	m := &rewriter{}
	if err := m.read(module); err != nil {
		return nil, fmt.Errorf("interrupt: %w", err)
	}
	return m.write()
}

// Numbers of sections, in the order in which they come in a module (5.5.2).
const (
	sectionType      = 1
	sectionImport    = 2
	sectionFunction  = 3
	sectionTable     = 4
	sectionMemory    = 5
	sectionGlobal    = 6
	sectionExport    = 7
	sectionStart     = 8
	sectionElement   = 9
	sectionDataCount = 12
	sectionCode      = 10
	sectionData      = 11
)

var order = [...]byte{
	sectionType, sectionImport, sectionFunction, sectionTable, sectionMemory, sectionGlobal,
	sectionExport, sectionStart, sectionElement, sectionDataCount, sectionCode, sectionData,
}

// Kinds of imports and exports (5.5.5).
const (
	kindFunction = 0
	kindTable    = 1
	kindMemory   = 2
	kindGlobal   = 3
)

// A rewriter is a module with what the rewriting has to know of it.
type rewriter struct {
	sections [sectionDataCount + 1][]byte // by number; nil if there is none

	types     []signature
	imports   []uint32 // types of the imported functions
	functions []uint32 // types of the module's own
	globals   uint32   // imported and own
	memories  uint32   // imported
	small     []uint64 // weights of own functions that are charged to callers, else 0
	bodies    []body
}

// A signature is a type of functions, as far as it matters here.
type signature struct{ params, results uint32 }

// The functions that come last are the gates, one for each import.
func (m *rewriter) check() uint32         { return uint32(len(m.imports)) }
func (m *rewriter) gate(i uint32) uint32  { return m.pay() + 1 + i }
func (m *rewriter) refill() uint32        { return m.check() + 1 + uint32(len(m.functions)) }
func (m *rewriter) pay() uint32           { return m.refill() + 1 }
func (m *rewriter) counter() uint32       { return m.globals }
func (m *rewriter) count() uint32         { return uint32(len(m.imports) + len(m.functions)) }
func (m *rewriter) checkType() uint32     { return uint32(len(m.types)) }
func (m *rewriter) payType() uint32       { return m.checkType() + 1 }
func (m *rewriter) own(f uint32) bool     { return f >= uint32(len(m.imports)) }
func (m *rewriter) local(f uint32) uint32 { return f - uint32(len(m.imports)) }

// moved returns the new index of a function: an imported one is replaced by
// its gate.
func (m *rewriter) moved(f uint32) (uint32, error) {
	switch {
	case f >= m.count():
		return 0, fmt.Errorf("there is no function %d", f)
	case m.own(f):
		return f + 1, nil
	}
	return m.gate(f), nil
}

// read takes the module apart.
func (m *rewriter) read(module []byte) error {
	if len(module) < 8 || string(module[:8]) != "\x00asm\x01\x00\x00\x00" {
		return errors.New("this is no module of version 1")
	}
	place := 0
	for r := (reader{b: module[8:]}); len(r.b) > 0 && r.err == nil; {
		id, content := r.byte(), r.block()
		if r.err != nil {
			return r.err
		}
		if id == 0 {
			continue // custom sections name functions by their old numbers
		}
		for place < len(order) && order[place] != id {
			place++
		}
		if place == len(order) {
			return fmt.Errorf("section %d is unknown or not in its place", id)
		}
		place++
		m.sections[id] = content
		if content == nil {
			m.sections[id] = []byte{}
		}
	}
	return m.survey()
}

// survey reads what the rewriting of other sections needs.
func (m *rewriter) survey() error {
	for _, s := range []struct {
		id    byte
		entry func(*reader)
	}{
		{sectionType, m.typeEntry},
		{sectionImport, m.importEntry},
		{sectionFunction, func(r *reader) { m.functions = append(m.functions, r.u32()) }},
		{sectionGlobal, m.globalEntry},
		{sectionCode, m.codeEntry},
	} {
		if err := m.each(s.id, s.entry); err != nil {
			return err
		}
	}
	if len(m.bodies) != len(m.functions) {
		return fmt.Errorf("there are %d functions and %d bodies", len(m.functions), len(m.bodies))
	}
	for _, t := range append(m.imports[:len(m.imports):len(m.imports)], m.functions...) {
		if t >= uint32(len(m.types)) {
			return fmt.Errorf("there is no type %d", t)
		}
	}
	return m.weigh()
}

// each calls f for each entry of a section that is a vector.
func (m *rewriter) each(id byte, f func(*reader)) error {
	if m.sections[id] == nil {
		return nil
	}
	r := reader{b: m.sections[id]}
	for n := r.u32(); n > 0 && r.err == nil; n-- {
		f(&r)
	}
	if r.err == nil && len(r.b) > 0 {
		r.err = errors.New("has more bytes than it should")
	}
	if r.err != nil {
		return fmt.Errorf("section %d: %w", id, r.err)
	}
	return nil
}

func (m *rewriter) typeEntry(r *reader) {
	if form := r.byte(); form != 0x60 {
		r.fail("the type of form %#x is unknown", form)
	}
	m.types = append(m.types, signature{r.valueTypes(), r.valueTypes()})
}

func (m *rewriter) importEntry(r *reader) {
	r.block()
	r.block()
	switch kind := r.byte(); kind {
	case kindFunction:
		m.imports = append(m.imports, r.u32())
	case kindTable:
		r.byte()
		r.limits()
	case kindMemory:
		r.limits()
		m.memories++
	case kindGlobal:
		r.skip(2)
		m.globals++
	default:
		r.fail("the kind of import %d is unknown", kind)
	}
}

func (m *rewriter) globalEntry(r *reader) {
	r.skip(2)
	m.constant(r, nil)
	m.globals++
}

func (m *rewriter) codeEntry(r *reader) {
	m.bodies = append(m.bodies, body{code: r.block()})
}
