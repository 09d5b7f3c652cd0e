package interrupt

import "fmt"

// write puts the module together again. Sections that name no functions stay
// as they are.
func (m *rewriter) write() ([]byte, error) {
	out := []byte("\x00asm\x01\x00\x00\x00")
	for _, id := range order {
		content, err := m.section(id)
		if err != nil {
			return nil, fmt.Errorf("interrupt: section %d: %w", id, err)
		}
		if content != nil {
			out = blockTo(append(out, id), content)
		}
	}
	return out, nil
}

func (m *rewriter) section(id byte) ([]byte, error) {
	switch id {
	case sectionType:
		return m.appended(id, 2, []byte{0x60, 0, 0, 0x60, 1, typeI32, 0})
	case sectionImport:
		entry := blockTo(nil, []byte(Module))
		entry = blockTo(entry, []byte(Name))
		return m.appended(id, 1, u32To(append(entry, kindFunction), m.checkType()))
	case sectionFunction:
		return m.functionSection(), nil
	case sectionGlobal:
		entry := s32To([]byte{typeI32, 1, opI32Const}, budget)
		return m.appended(id, 1, append(entry, opEnd))
	case sectionExport:
		return m.mapped(id, m.exportTo)
	case sectionStart:
		return m.startSection()
	case sectionElement:
		return m.mapped(id, m.elementTo)
	case sectionCode:
		return m.codeSection(), nil
	case sectionData:
		return m.dataSection()
	}
	return m.sections[id], nil
}

// appended returns the section with n more entries.
func (m *rewriter) appended(id byte, n uint32, entries []byte) ([]byte, error) {
	r := reader{b: m.sections[id]}
	if r.b != nil {
		n += r.u32()
	}
	out := append(u32To(nil, n), r.b...)
	return append(out, entries...), r.err
}

// mapped returns the section with each of its entries written by f.
func (m *rewriter) mapped(id byte, f func(*reader, *[]byte)) ([]byte, error) {
	if m.sections[id] == nil {
		return nil, nil
	}
	r := reader{b: m.sections[id]}
	n := r.u32()
	out := u32To(make([]byte, 0, len(m.sections[id])+16), n)
	for ; n > 0 && r.err == nil; n-- {
		f(&r, &out)
	}
	if r.err == nil && len(r.b) > 0 {
		r.fail("has more bytes than it should")
	}
	return out, r.err
}

// functionSection has the types of our own functions at its end.
func (m *rewriter) functionSection() []byte {
	out := u32To(nil, uint32(len(m.functions)+2+len(m.imports)))
	for _, t := range m.functions {
		out = u32To(out, t)
	}
	out = u32To(u32To(out, m.checkType()), m.payType())
	for _, t := range m.imports {
		out = u32To(out, t)
	}
	return out
}

func (m *rewriter) codeSection() []byte {
	out := u32To(make([]byte, 0, 2*len(m.sections[sectionCode])), uint32(len(m.bodies)+2+len(m.imports)))
	var b []byte
	for i := range m.bodies {
		b = m.rewrite(b[:0], i)
		out = blockTo(out, b)
	}
	out = blockTo(blockTo(out, m.refillBody()), m.payBody())
	for i := range m.imports {
		out = blockTo(out, m.gateBody(uint32(i)))
	}
	return out
}

func (m *rewriter) startSection() ([]byte, error) {
	if m.sections[sectionStart] == nil {
		return nil, nil
	}
	r := reader{b: m.sections[sectionStart]}
	var out []byte
	m.functionTo(&r, &out)
	if r.err == nil && len(r.b) > 0 {
		r.fail("has more bytes than it should")
	}
	return out, r.err
}

// exportTo copies an export (5.5.10).
func (m *rewriter) exportTo(r *reader, out *[]byte) {
	*out = blockTo(*out, r.block())
	kind := r.byte()
	switch kind {
	case kindFunction:
		m.functionTo(r, out, kind)
		return
	case kindGlobal:
		i := r.u32()
		if i >= m.globals {
			r.fail("there is no global %d", i)
		}
		*out = u32To(append(*out, kind), i)
	case kindTable, kindMemory:
		*out = u32To(append(*out, kind), r.u32())
	default:
		r.fail("the kind of export %d is unknown", kind)
	}
}

// elementTo copies an element segment (5.5.12): the bits of its first number
// say which of its parts are there.
func (m *rewriter) elementTo(r *reader, out *[]byte) {
	const (
		notActive   = 1 // passive or declarative
		explicit    = 2 // has a table, or is declarative
		expressions = 4
	)
	form := r.u32()
	if form > 7 {
		r.fail("the segment of form %d is unknown", form)
	}
	*out = u32To(*out, form)
	if form&notActive == 0 {
		if form&explicit != 0 {
			*out = u32To(*out, r.u32())
		}
		m.constant(r, out)
	}
	if form&(notActive|explicit) != 0 {
		*out = append(*out, r.byte()) // kind or type of the elements
	}
	n := r.u32()
	*out = u32To(*out, n)
	for ; n > 0 && r.err == nil; n-- {
		if form&expressions != 0 {
			m.constant(r, out)
		} else {
			m.functionTo(r, out)
		}
	}
}
