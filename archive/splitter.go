package archive

import (
	"bytes"
	"encoding/binary"
	"io"
	"slices"

	"github.com/shieldhq/shield"
)

var errClosed = shield.Errorf(shield.Canceled, "archive.Reader", "closed")

// A splitter finds the frames in the payload and sends them to be decoded. It
// is one stage of the reader.
type splitter struct {
	r     *Reader
	p     *payload
	group group
	end   *trailer
}

// header reads the first frame.
func (s *splitter) header() (Header, error) {
	magic, err := s.p.uint32()
	if err == io.EOF {
		return Header{}, corruptf("blob is empty")
	}
	if err != nil {
		return Header{}, err
	}
	if magic != ownMagic {
		return Header{}, corruptf("not a shield archive: no header frame at the start")
	}
	tag, body, err := s.skippable(magic)
	if err != nil {
		return Header{}, whole(err, s.p.offset)
	}
	if tag != headerTag {
		return Header{}, corruptf("not a shield archive: no header frame at the start")
	}
	return decodeHeader(body)
}

// whole turns an end inside a frame into an error.
func whole(err error, offset int64) error {
	if err == io.EOF {
		return corruptf("payload ends at offset %d: cut short", offset)
	}
	return err
}

// run sends frames on until the end of the stream, which is sent too.
func (s *splitter) run() {
	for s.end == nil {
		if err := s.step(); err != nil {
			s.r.toHash <- &plain{err: whole(err, s.p.offset)}
			return
		}
	}
	// Behind the trailer there must be nothing.
	switch err := s.p.more(); err {
	case io.EOF:
		s.r.toHash <- &plain{end: s.end}
	case nil:
		s.r.toHash <- &plain{err: corruptf("bytes behind the trailer, at offset %d of the payload", s.p.offset)}
	default:
		s.r.toHash <- &plain{err: err}
	}
}

// step handles one frame of any kind.
func (s *splitter) step() error {
	at := s.p.offset
	magic, err := s.p.uint32()
	if err != nil {
		return err
	}
	if magic == zstdMagic {
		return s.frame(at)
	}
	if !isSkippable(magic) {
		return corruptf("no frame at offset %d of the payload", at)
	}
	tag, body, err := s.skippable(magic)
	if err != nil {
		return err
	}
	switch tag {
	case indexTag:
		return s.index(at, body)
	case trailerTag:
		return s.trailer(body)
	}
	return nil
}

// skippable reads the rest of a skippable frame. Foreign ones have tag "".
func (s *splitter) skippable(magic uint32) (tag string, body []byte, err error) {
	size, err := s.p.uint32()
	if err != nil {
		return "", nil, err
	}
	if magic != ownMagic || size < tagSize {
		return "", nil, s.p.skip(int64(size))
	}
	var t [tagSize]byte
	if err := s.p.fill(t[:]); err != nil {
		return "", nil, err
	}
	size -= tagSize
	switch string(t[:]) {
	case headerTag, indexTag, trailerTag:
	default:
		return "", nil, s.p.skip(int64(size))
	}
	if size > maxMetaSize {
		return "", nil, corruptf("metadata of %d bytes at offset %d, at most %d are accepted", size, s.p.offset, maxMetaSize)
	}
	body = make([]byte, size)
	return string(t[:]), body, s.p.fill(body)
}

// index compares an index frame with the frames that were seen.
func (s *splitter) index(at int64, body []byte) error {
	if s.group.count() == 0 || !bytes.Equal(body, s.group.body()) {
		return corruptf("index at offset %d does not describe the frames before it", at)
	}
	s.group.next(at)
	return nil
}

func (s *splitter) trailer(body []byte) error {
	if s.group.count() > 0 {
		return corruptf("%d frames without an index before the trailer", s.group.count())
	}
	t, err := decodeTrailer(body)
	if err != nil {
		return err
	}
	s.end = &t
	return nil
}

// frame reads one zstd frame that begins at offset at, and sends it on.
func (s *splitter) frame(at int64) error {
	if n := s.group.count(); n == indexEvery {
		return corruptf("%d frames without an index at offset %d", n, at)
	} else if n > 0 && at != s.group.end {
		return corruptf("foreign bytes between frames at offset %d", s.group.end)
	}
	var f *plain
	select {
	case f = <-s.r.free:
	case <-s.r.stop:
		return errClosed
	}
	f.at = at
	if err := s.readFrame(f); err != nil {
		return err
	}
	s.group.add(at, len(f.enc), f.size)
	if s.r.want.RawSize != 0 && s.group.rawEnd > s.r.want.RawSize {
		return corruptf("archive has more than the %d raw bytes wanted", s.r.want.RawSize)
	}
	s.r.toDecode <- f
	s.r.toHash <- f
	return nil
}

// readFrame collects a frame by walking its block headers.
func (s *splitter) readFrame(f *plain) error {
	f.enc = binary.LittleEndian.AppendUint32(f.enc[:0], zstdMagic)
	if err := s.append(f, 1); err != nil {
		return err
	}
	if err := s.append(f, frameHeadSize(f.enc[4])-1); err != nil {
		return err
	}
	head, err := parseFrameHead(f.enc[4:])
	if err != nil {
		return err
	}
	f.size = int(head.content)
	for last := false; !last; {
		if last, err = s.block(f); err != nil {
			return err
		}
	}
	if head.checksum {
		return s.append(f, 4)
	}
	return nil
}

func (s *splitter) block(f *plain) (last bool, _ error) {
	at := len(f.enc)
	if err := s.append(f, blockHeader); err != nil {
		return false, err
	}
	v := uint32(f.enc[at]) | uint32(f.enc[at+1])<<8 | uint32(f.enc[at+2])<<16
	size := int(v >> 3)
	switch v >> 1 & 3 {
	case 1: // one byte, repeated
		size = 1
	case 3:
		return false, corruptf("reserved block type in the frame at offset %d", f.at)
	}
	if size > blockSize || at+size > maxEncoded(uint64(f.size)) {
		return false, corruptf("frame at offset %d is longer than its %d raw bytes allow", f.at, f.size)
	}
	return v&1 == 1, s.append(f, size)
}

// append reads n more bytes of the frame.
func (s *splitter) append(f *plain, n int) error {
	at := len(f.enc)
	if at+n > cap(f.enc) {
		f.enc = slices.Grow(f.enc, max(n, at)) // doubling; the buffer serves many frames
	}
	f.enc = f.enc[:at+n]
	return whole(s.p.fill(f.enc[at:]), s.p.offset)
}
