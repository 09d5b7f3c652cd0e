package interrupt

import "math"

// gap is the most zeros that are put between two segments to make them one.
const gap = 256

// dataSection copies the segments (5.5.14); what is in their offsets has to be
// looked at.
//
// On the way it joins what lies close together. Go's linker leaves out runs
// of a few zeros, which makes tens of thousands of segments of some dozen
// bytes, and to apply them was half of what it cost to start a guest. Joined
// are segments that follow each other in a memory of the module's own, which
// holds zeros at first: beyond all segments before, there are zeros in the gap
// still. Segments that code can name are left alone.
func (m *rewriter) dataSection() ([]byte, error) {
	if m.sections[sectionData] == nil {
		return nil, nil
	}
	j := joiner{out: make([]byte, 0, len(m.sections[sectionData]))}
	plain := m.sections[sectionDataCount] == nil && m.memories == 0
	r := reader{b: m.sections[sectionData]}
	for n := r.u32(); n > 0 && r.err == nil; n-- {
		from := r.b
		form := r.u32()
		switch form {
		case 0:
			offset, known := m.offset(&r)
			if content := r.block(); known && plain && r.err == nil {
				j.add(uint64(offset), content)
				continue
			}
		case 1:
			r.block()
		case 2:
			r.u32()
			m.constant(&r, nil)
			r.block()
		default:
			r.fail("the segment of form %d is unknown", form)
		}
		j.copy(from[:len(from)-len(r.b)])
	}
	if r.err == nil && len(r.b) > 0 {
		r.fail("has more bytes than it should")
	}
	j.flush()
	return append(u32To(nil, j.segments), j.out...), r.err
}

// offset reads the constant expression of one, and says whether its value is
// known here.
func (m *rewriter) offset(r *reader) (offset uint32, known bool) {
	at := *r
	if op := at.byte(); op == opI32Const {
		offset = uint32(at.signed(32))
		known = at.byte() == opEnd
	}
	m.constant(r, nil)
	return offset, known && at.err == nil
}

// A joiner collects segments.
type joiner struct {
	out      []byte
	segments uint32
	// begun is the content of a segment that may go on, at is where it begins.
	begun []byte
	at    uint64
	// top is where the segments before it end.
	top uint64
}

// add takes the segment with the content at an offset.
func (j *joiner) add(offset uint64, content []byte) {
	end := j.at + uint64(len(j.begun))
	if len(j.begun) == 0 || offset < end || offset-end > gap || offset > end && end < j.top {
		j.flush()
		j.begun, j.at = append(j.begun[:0], content...), offset
		if len(content) == 0 { // where it lies is checked all the same
			j.segment(offset, nil)
		}
		return
	}
	j.begun = append(j.begun, make([]byte, offset-end)...)
	j.begun = append(j.begun, content...)
}

// flush writes what was collected.
func (j *joiner) flush() {
	if len(j.begun) > 0 {
		j.segment(j.at, j.begun)
		j.top = max(j.top, j.at+uint64(len(j.begun)))
		j.begun = j.begun[:0]
	}
}

func (j *joiner) segment(offset uint64, content []byte) {
	j.out = append(j.out, 0, opI32Const)
	for v := int64(int32(uint32(offset))); ; v >>= 7 {
		if b := byte(v & 0x7f); v>>6 == 0 || v>>6 == -1 {
			j.out = append(j.out, b, opEnd)
			break
		} else {
			j.out = append(j.out, b|0x80)
		}
	}
	j.out = blockTo(j.out, content)
	j.segments++
}

// copy takes a whole segment as it is.
func (j *joiner) copy(segment []byte) {
	j.flush()
	j.out = append(j.out, segment...)
	j.segments++
	j.top = math.MaxUint64 // it may lie anywhere
}
