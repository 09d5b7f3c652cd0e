package archive

import "encoding/binary"

// A packer lays frames end to end into batches of chunks. It is one stage of
// the writer and knows where in the payload it is.
type packer struct {
	w      *Writer
	cur    *batch
	offset int64 // in the payload
	chunks uint64
	group  group
	head   []byte // scratch for frame and block headers
}

// run packs the header, then every segment in order, then the end.
func (p *packer) run(head []byte) {
	if !p.add(head) {
		return
	}
	for {
		select {
		case seg, more := <-p.w.toPack:
			if !more {
				p.finish()
				return
			}
			first := p.w.wait(seg.ready) // hashed or compressed, and then the other
			if !first || !p.w.wait(seg.ready) || !p.frame(seg) {
				return
			}
			p.w.free <- seg
		case <-p.w.stop:
			return
		}
	}
}

// frame adds the segment's frame, and an index frame when it is time.
func (p *packer) frame(seg *segment) bool {
	at := p.offset
	if len(seg.frame) > 0 {
		if !p.add(seg.frame) {
			return false
		}
	} else if !p.rawFrame(seg) {
		return false
	}
	p.group.add(at, int(p.offset-at), len(seg.raw))
	return p.group.count() < indexEvery || p.index()
}

// rawFrame adds a frame of raw blocks straight from the segment.
func (p *packer) rawFrame(seg *segment) bool {
	checksum := p.w.seal == nil
	p.head = appendFrameHeader(p.head[:0], len(seg.raw), checksum)
	for rest := seg.raw; len(rest) > 0; p.head = p.head[:0] {
		var body []byte
		p.head, body, rest = appendRawBlock(p.head, rest)
		if !p.add(p.head) || !p.add(body) {
			return false
		}
	}
	if !checksum {
		return true
	}
	return p.add(binary.LittleEndian.AppendUint32(p.head, seg.sum))
}

func (p *packer) index() bool {
	at := p.offset
	ok := p.add(appendSkippable(nil, indexTag, p.group.body()))
	p.group.next(at)
	return ok
}

// finish adds the index of the last frames and the trailer, and sends the
// last chunk off. Every segment has been hashed by now.
func (p *packer) finish() {
	if p.group.count() > 0 && !p.index() {
		return
	}
	end, err := appendTrailer(nil, trailer{
		RawSize:   p.group.rawEnd,
		RawDigest: digest(p.w.rawHash),
		Frames:    int64(p.group.frames),
		Index:     p.group.prev,
	})
	if err != nil {
		p.w.end(err)
		return
	}
	if p.add(end) {
		p.cur.last = true
		p.send()
	}
}

// add packs bytes. A full batch is sent only when more bytes come, since the
// last chunk of the stream must not be empty.
func (p *packer) add(data []byte) bool {
	p.offset += int64(len(data))
	for {
		if p.cur == nil {
			select {
			case b := <-p.w.freeBatches:
				p.cur = b.reset()
			case <-p.w.stop:
				return false
			}
		}
		if data = p.cur.add(data); len(data) == 0 {
			return true
		}
		p.send()
	}
}

func (p *packer) send() {
	b := p.cur
	p.cur = nil
	b.first = p.chunks
	p.chunks += uint64(b.chunks())
	p.w.toSeal <- b
	p.w.toWrite <- b
}
