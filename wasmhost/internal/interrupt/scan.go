package interrupt

// Instructions (5.4) that matter here, and the ranges that only have to be
// got over.
const (
	opBlock        = 0x02
	opLoop         = 0x03
	opIf           = 0x04
	opElse         = 0x05
	opEnd          = 0x0b
	opBr           = 0x0c
	opBrIf         = 0x0d
	opBrTable      = 0x0e
	opCall         = 0x10
	opCallIndirect = 0x11
	opSelectTyped  = 0x1c
	opLocalGet     = 0x20
	opLocalSet     = 0x21
	opLocalTee     = 0x22
	opGlobalGet    = 0x23
	opGlobalSet    = 0x24
	opTableGet     = 0x25
	opTableSet     = 0x26
	opFirstLoad    = 0x28
	opLastStore    = 0x3e
	opMemorySize   = 0x3f
	opMemoryGrow   = 0x40
	opI32Const     = 0x41
	opI64Const     = 0x42
	opF32Const     = 0x43
	opF64Const     = 0x44
	opFirstNumeric = 0x45
	opI32GtS       = 0x4a
	opI32LeS       = 0x4c
	opI32Add       = 0x6a
	opI32Sub       = 0x6b
	opI32ShrU      = 0x76
	opLastNumeric  = 0xc4
	opRefNull      = 0xd0
	opRefIsNull    = 0xd1
	opRefFunc      = 0xd2
	prefixMore     = 0xfc
	prefixVector   = 0xfd

	typeI32    = 0x7f
	blockEmpty = 0x40
)

// A scanner goes over the instructions of one body.
type scanner struct {
	reader
	m *rewriter
	b *body
	// open are the regions of the blocks that are open.
	open []int
}

// scan finds what is to be changed in a body, and what its regions weigh.
func (m *rewriter) scan(b *body, params uint32) error {
	s := &scanner{reader: reader{b: b.code}, m: m, b: b, open: []int{0}}
	b.locals = s.locals(params)
	b.start = s.offset()
	b.weights = []uint64{0}
	for len(s.open) > 0 && s.err == nil {
		region, from := s.open[len(s.open)-1], s.offset()
		s.instruction(s.byte(), from)
		b.weights[region] += uint64(s.offset() - from)
	}
	if s.err == nil && len(s.reader.b) > 0 {
		s.fail("has code after its end")
	}
	return s.err
}

func (s *scanner) offset() int { return len(s.b.code) - len(s.reader.b) }

func (s *scanner) locals(params uint32) uint32 {
	total := uint64(params)
	for n := s.u32(); n > 0 && s.err == nil; n-- {
		total += uint64(s.u32())
		if t := s.byte(); !isValueType(t) {
			s.fail("the value type %#x is unknown", t)
		}
	}
	// wazero's own limit is lower, and so are all others'.
	if total >= 1<<31 {
		s.fail("has %d locals", total)
		return 0
	}
	return uint32(total)
}

// index reads one that must be below a limit: what lies beyond it may be ours.
func (s *scanner) index(what string, limit uint32) uint32 {
	i := s.u32()
	if i >= limit {
		s.fail("there is no %s %d", what, i)
	}
	return i
}

// instruction reads what follows an opcode that stands at an offset.
func (s *scanner) instruction(op byte, at int) {
	switch {
	case op == opBlock, op == opIf:
		s.blockType()
		s.open = append(s.open, s.open[len(s.open)-1])
	case op == opLoop:
		s.loop(at)
	case op == opEnd:
		s.open = s.open[:len(s.open)-1]
	case op <= 0x01, op == opElse, op == 0x0f, op == 0x1a, op == 0x1b, op == opRefIsNull, op >= opFirstNumeric && op <= opLastNumeric:
		// unreachable, nop, else, return, drop, select
	case op == opBr, op == opBrIf:
		s.u32()
	case op == opBrTable:
		for n := s.u32(); n > 0 && s.err == nil; n-- {
			s.u32()
		}
		s.u32()
	case op == opCall, op == opRefFunc:
		s.function(op)
	case op == opCallIndirect:
		s.index("type", uint32(len(s.m.types)))
		s.u32()
		s.b.calls = true
	default:
		s.operand(op, at)
	}
}

// loop begins a region.
func (s *scanner) loop(at int) {
	s.blockType()
	region := len(s.b.weights)
	s.b.weights = append(s.b.weights, 0)
	s.open = append(s.open, region)
	s.b.edits = append(s.b.edits, edit{at: s.offset(), kind: editLoop, value: uint32(region)})
}

// blockType reads one (5.4.1). Type indices are signed numbers that are not
// negative.
func (s *scanner) blockType() {
	t := s.signed(33)
	if t >= 0 && t >= int64(len(s.m.types)) {
		s.fail("there is no type %d", t)
	}
}

// function reads the index of a function.
func (s *scanner) function(op byte) {
	at := s.offset()
	f := s.u32()
	moved, err := s.m.moved(f)
	if err != nil {
		s.fail("%w", err)
		return
	}
	if op == opCall {
		s.b.calls = true
		s.b.called = append(s.b.called, call{s.open[len(s.open)-1], f})
	}
	s.b.edits = append(s.b.edits, edit{at: at, skip: s.offset() - at, kind: editFunction, value: moved})
}

// operand reads what follows the opcodes of variables, tables, memory and
// constants.
func (s *scanner) operand(op byte, at int) {
	switch {
	case op == opSelectTyped:
		s.valueTypes()
	case op >= opLocalGet && op <= opLocalTee:
		s.index("local", s.b.locals)
	case op == opGlobalGet, op == opGlobalSet:
		s.index("global", s.m.globals)
	case op == opTableGet, op == opTableSet:
		s.u32()
	case op >= opFirstLoad && op <= opLastStore:
		s.memoryArgument()
	case op == opMemorySize:
		s.byte()
	case op == opMemoryGrow:
		s.byte()
		s.b.weights[s.open[len(s.open)-1]] += bulkWeight
	case op == opI32Const:
		s.signed(32)
	case op == opI64Const:
		s.signed(64)
	case op == opF32Const:
		s.skip(4)
	case op == opF64Const:
		s.skip(8)
	case op == opRefNull:
		s.byte()
	case op == prefixMore:
		s.more(at)
	case op == prefixVector:
		s.vector()
	default:
		s.fail("the instruction %#x is unknown", op)
	}
}

// memoryArgument reads alignment and offset (5.4.6).
func (s *scanner) memoryArgument() {
	if align := s.u32(); align >= 32 {
		s.fail("the alignment %d is unknown", align)
	}
	s.u32()
}

// more reads the instructions with the prefix 0xfc: conversions that
// saturate, and those that work on ranges of memory and tables.
func (s *scanner) more(at int) {
	op := s.u32()
	bulk := false
	switch op {
	case 0, 1, 2, 3, 4, 5, 6, 7: // iNN.trunc_sat_fNN
	case 9, 13, 16: // data.drop, elem.drop, table.size
		s.u32()
	case 11, 17, 15: // memory.fill, table.fill, table.grow
		s.u32()
		bulk = true
	case 8, 10, 12, 14: // memory.init, memory.copy, table.init, table.copy
		s.u32()
		s.u32()
		bulk = true
	default:
		s.fail("the instruction 0xfc %d is unknown", op)
	}
	if bulk {
		// The last operand of all of them is how much they are to touch.
		s.b.bulk = true
		s.b.weights[s.open[len(s.open)-1]] += bulkWeight
		s.b.edits = append(s.b.edits, edit{at: at, kind: editBulk})
	}
}

// vector reads the instructions with the prefix 0xfd (5.4.8).
func (s *scanner) vector() {
	switch op := s.u32(); {
	case op <= 11, op == 92, op == 93: // v128.load*, v128.store
		s.memoryArgument()
	case op == 12, op == 13: // v128.const, i8x16.shuffle
		s.skip(16)
	case op >= 21 && op <= 34: // *.extract_lane, *.replace_lane
		s.byte()
	case op >= 84 && op <= 91: // v128.load*_lane, v128.store*_lane
		s.memoryArgument()
		s.byte()
	case op <= 255:
	default:
		s.fail("the instruction 0xfd %d is unknown", op)
	}
}

// constant reads a constant expression (5.4.10) and appends it to out unless
// that is nil, with its functions moved.
func (m *rewriter) constant(r *reader, out *[]byte) {
	for r.err == nil {
		from := r.b
		op := r.byte()
		switch op {
		case opEnd:
		case opI32Const:
			r.signed(32)
		case opI64Const:
			r.signed(64)
		case opF32Const:
			r.skip(4)
		case opF64Const:
			r.skip(8)
		case opRefNull:
			r.byte()
		case opGlobalGet:
			if g := r.u32(); g >= m.globals {
				r.fail("there is no global %d", g)
			}
		case opRefFunc:
			m.functionTo(r, out, opRefFunc)
			continue
		case prefixVector:
			if r.u32() != 12 {
				r.fail("a constant of this kind is unknown")
			}
			r.skip(16)
		default:
			r.fail("the constant instruction %#x is unknown", op)
		}
		if out != nil && r.err == nil {
			*out = append(*out, from[:len(from)-len(r.b)]...)
		}
		if op == opEnd {
			return
		}
	}
}

// functionTo reads the index of a function and appends it, moved, after what
// comes before it.
func (m *rewriter) functionTo(r *reader, out *[]byte, before ...byte) {
	f, err := m.moved(r.u32())
	if err != nil {
		r.fail("%w", err)
		return
	}
	if out != nil {
		*out = u32To(append(*out, before...), f)
	}
}
