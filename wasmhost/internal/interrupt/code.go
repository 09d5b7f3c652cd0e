package interrupt

import "fmt"

// What is charged. A unit is a few nanoseconds of usual code, and at most
// some ten microseconds of the slowest: a chain of loads that miss all caches.
const (
	// budget is what a guest may use between two calls of the host.
	budget = 1 << 15
	// unit is the weight of code, mostly its bytes, that costs one more.
	unit = 256
	// smallest is the weight of functions that are charged to their callers.
	smallest = 64
	// bulkWeight is that of an instruction that works on memory or a table,
	// beside what it touches: one unit for 1<<bulkShift bytes or elements.
	bulkWeight = 64
	bulkShift  = 12
	// ahead is what a function with loops pays for them when it is entered:
	// little beside the budget, much beside one iteration of a short loop.
	ahead = 64
	// hostCharge is for a call of an imported function.
	hostCharge = budget / 16
)

// charge returns the units for code of some weight.
func charge(weight uint64) uint32 { return uint32(min(1+weight/unit, budget)) }

// A body is the code of a function with what is to be changed in it.
type body struct {
	code   []byte // locals and instructions (5.5.13)
	locals uint32 // parameters included
	start  int    // where the instructions begin
	edits  []edit
	// weights of the regions: the first is what lies outside of loops, each
	// other a loop, without those inside.
	weights []uint64
	// calls and bulk say that there are such instructions.
	calls, bulk bool
	called      []call
}

// A call is of a function whose weight may have to be added to a region.
type call struct {
	region   int
	function uint32
}

// An edit changes the code at an offset.
type edit struct {
	at, skip int // skip bytes are replaced
	kind     editKind
	value    uint32
}

type editKind byte

const (
	editLoop     editKind = iota // check; value is the region
	editBulk                     // check that charges for the operand too
	editFunction                 // index of a function
)

// weigh scans all bodies, and finds which functions are small enough to be
// charged to their callers.
func (m *rewriter) weigh() error {
	m.small = make([]uint64, len(m.bodies))
	for i := range m.bodies {
		b := &m.bodies[i]
		if err := m.scan(b, m.types[m.functions[i]].params); err != nil {
			return fmt.Errorf("function %d: %w", i+len(m.imports), err)
		}
		if !b.calls && !b.bulk && len(b.weights) == 1 && b.weights[0] <= smallest {
			m.small[i] = b.weights[0]
		}
	}
	for i := range m.bodies {
		for _, c := range m.bodies[i].called {
			if m.own(c.function) {
				m.bodies[i].weights[c.region] += m.small[m.local(c.function)]
			}
		}
	}
	return nil
}

// rewrite appends the body with all that is to be put in.
func (m *rewriter) rewrite(out []byte, i int) []byte {
	b := &m.bodies[i]
	out = b.head(out)
	if m.small[i] == 0 {
		out = m.toll(out, charge(b.weights[0])+b.ahead(), nil)
	}
	at := b.start
	for _, e := range b.edits {
		out = append(out, b.code[at:e.at]...)
		switch e.kind {
		case editLoop:
			out = m.lap(out, charge(b.weights[e.value]), b.locals)
		case editBulk:
			size := b.locals + b.added() - 1
			out = m.toll(out, 0, &size)
		case editFunction:
			out = u32To(out, e.value)
		}
		at = e.at + e.skip
	}
	return append(out, b.code[at:]...)
}

// looping reports whether there are loops.
func (b *body) looping() bool { return len(b.weights) > 1 }

// ahead returns what is paid for the loops at the entry.
func (b *body) ahead() uint32 {
	if b.looping() {
		return ahead
	}
	return 0
}

// added returns how many locals the body needs for itself: one that counts for
// all its loops, then one for the operands of bulk instructions.
func (b *body) added() (n uint32) {
	if b.looping() {
		n++
	}
	if b.bulk {
		n++
	}
	return n
}

// head appends the locals.
func (b *body) head(out []byte) []byte {
	n := b.added()
	if n == 0 {
		return append(out, b.code[:b.start]...)
	}
	r := reader{b: b.code[:b.start]}
	out = u32To(out, r.u32()+1)
	out = append(out, r.b...)
	return append(out, byte(n), typeI32)
}

// lap appends the check at the head of a loop. It counts in a local, which
// stays in a register where the counter would be loaded and stored, how much of
// what was paid ahead is used up. Once all of it is, that much is paid again.
func (m *rewriter) lap(out []byte, units, local uint32) []byte {
	out = u32To(append(out, opLocalGet), local)
	out = append(s32To(append(out, opI32Const), units), opI32Add)
	out = u32To(append(out, opLocalTee), local)
	out = append(s32To(append(out, opI32Const), ahead), opI32LeS, opIf, blockEmpty, opElse)
	out = u32To(append(out, opLocalGet), local)
	out = u32To(append(out, opCall), m.pay())
	out = u32To(append(out, opI32Const, 0, opLocalSet), local)
	return append(out, opEnd)
}

// toll appends a check. With a local it charges for the operand on top of the
// stack, too, and leaves it there.
//
// The call stands in the else branch: wazero's compiler keeps values in
// registers as they are at the end of the branch that it comes upon first.
// With the call there, a loop would load all its variables from the stack
// again in each iteration, which costs half as much as a short loop does.
func (m *rewriter) toll(out []byte, units uint32, local *uint32) []byte {
	if local != nil {
		out = u32To(append(out, opLocalTee), *local)
	}
	out = u32To(append(out, opGlobalGet), m.counter())
	if units > 0 {
		out = append(s32To(append(out, opI32Const), units), opI32Sub)
	}
	if local != nil {
		out = u32To(append(out, opLocalGet), *local)
		out = append(out, opI32Const, bulkShift, opI32ShrU, opI32Sub)
	}
	// It was above zero, and at most budget and 1<<20 are taken away: it
	// cannot wrap.
	return m.settle(out)
}

// settle appends what sets the counter to the value on top of the stack, and
// fills it if that is used up.
func (m *rewriter) settle(out []byte) []byte {
	out = u32To(append(out, opGlobalSet), m.counter())
	out = u32To(append(out, opGlobalGet), m.counter())
	out = append(out, opI32Const, 0, opI32GtS, opIf, blockEmpty, opElse)
	out = u32To(append(out, opCall), m.refill())
	return append(out, opEnd)
}

// refillBody fills the counter and calls the host. It is a function of its
// own to keep the checks short.
func (m *rewriter) refillBody() []byte {
	b := []byte{0}
	b = s32To(append(b, opI32Const), budget)
	b = u32To(append(b, opGlobalSet), m.counter())
	b = u32To(append(b, opCall), m.check())
	return append(b, opEnd)
}

// payBody charges for the units that it is given.
func (m *rewriter) payBody() []byte {
	b := u32To([]byte{0, opGlobalGet}, m.counter())
	b = append(b, opLocalGet, 0, opI32Sub)
	return append(m.settle(b), opEnd)
}

// gateBody calls the imported function i with the parameters it is given.
func (m *rewriter) gateBody(i uint32) []byte {
	b := m.toll([]byte{0}, hostCharge, nil)
	for p := range m.types[m.imports[i]].params {
		b = u32To(append(b, opLocalGet), p)
	}
	b = u32To(append(b, opCall), i)
	return append(b, opEnd)
}
