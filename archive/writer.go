package archive

import (
	"io"
	"runtime"
	"sync/atomic"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"
	"github.com/zeebo/blake3"

	"github.com/shieldhq/shield"
)

// WriterOptions are the choices of NewWriter; the zero value and nil mean
// level Fastest, no encryption, all cores.
type WriterOptions struct {
	Level      Level           // "" is Fastest
	Recipients []age.Recipient // none: the archive is not encrypted
	Workers    int             // goroutines that compress and encrypt; 0 is GOMAXPROCS
}

// A segment is up to segmentSize raw bytes on their way into one zstd frame.
type segment struct {
	raw   []byte // as filled by the caller
	frame []byte // encoded by a worker; nil: to be packed as raw blocks
	sum   uint32 // XXH64 of raw, where it is packed as raw blocks with a checksum
	ready chan struct{}
}

// reset empties a segment taken from the pool. Its memory comes with the
// first use, so that a small archive costs little.
func (s *segment) reset() {
	if s.raw == nil {
		s.raw = make([]byte, 0, segmentSize)
	}
	s.raw = s.raw[:0]
}

// A Writer turns raw bytes into a sealed archive. Write, ReadFrom and Close
// must not be called at the same time; Abort and Progress may be called any
// time by anyone.
//
// Segments are compressed and sealed by Workers goroutines while further
// stages, one goroutine each, hash the raw bytes, pack frames into chunks,
// hash the sealed bytes and write them. Every stage keeps the order.
type Writer struct {
	dst    io.Writer
	level  Level
	start  []byte // age header and nonce
	seal   *sealing
	cur    *segment
	closed bool
	sum    Summary

	free                       chan *segment
	toHash, toCompress, toPack chan *segment
	pack                       *packer
	toSeal, toWrite, toDigest  chan *batch
	freeBatches                chan *batch

	rawHash, sealedHash *blake3.Hasher
	raw, sealed         atomic.Int64

	ender
}

// NewWriter starts an archive that is written to dst. The caller must end it
// with Close or Abort. An error of code Invalid means that the header or the
// options are wrong; nothing has been written then.
func NewWriter(dst io.Writer, h Header, opts *WriterOptions) (*Writer, error) {
	if opts == nil {
		opts = &WriterOptions{}
	}
	level, err := ParseLevel(string(opts.Level))
	if err != nil {
		return nil, err
	}
	if level == Raw {
		return nil, shield.FieldErrorf("level", "%q has no frames: a RawWriter makes it", level)
	}
	head, err := h.encode()
	if err != nil {
		return nil, err
	}
	start, seal, err := startAge(opts.Recipients)
	if err != nil {
		return nil, err
	}
	w := &Writer{dst: dst, level: level, start: start, seal: seal, ender: newEnder()}
	if err := w.launch(workers(opts.Workers), appendSkippable(nil, headerTag, head)); err != nil {
		return nil, err
	}
	return w, nil
}

func workers(n int) int {
	if n <= 0 {
		return runtime.GOMAXPROCS(0)
	}
	return n
}

// pieces is how many segments or frames are on their way at once: one for each
// worker, and some for the stages before and behind them.
func pieces(workers int) int { return max(workers+workers/2+2, 4) }

// launch makes the queues, each wide enough for all that can be in it, so
// that only taking from a pool ever waits, and starts the stages.
func (w *Writer) launch(workers int, head []byte) error {
	segments, batches := pieces(workers), workers+3
	w.free = make(chan *segment, segments)
	for range segments {
		w.free <- &segment{ready: make(chan struct{}, 2)}
	}
	w.toHash, w.toCompress, w.toPack = make(chan *segment, segments), make(chan *segment, segments), make(chan *segment, segments)
	w.freeBatches = newBatches(batches, w.seal.overhead())
	w.toSeal, w.toWrite, w.toDigest = make(chan *batch, batches), make(chan *batch, batches), make(chan *batch, batches)
	w.rawHash, w.sealedHash = blake3.New(), blake3.New()
	w.pack = &packer{w: w}
	encoders := make([]*zstd.Encoder, workers)
	for i := range encoders {
		var err error
		if encoders[i], err = newEncoder(w.level, w.seal == nil); err != nil {
			return shield.Errorf(shield.Internal, "archive.NewWriter", "%w", err)
		}
	}
	for _, enc := range encoders {
		w.goes(func() { w.work(enc) })
	}
	w.goes(w.hashRaw)
	w.goes(func() { w.pack.run(head) })
	w.goes(w.hashSealed)
	w.goes(w.flush)
	return nil
}

// newEncoder returns nil for level None, which needs none.
func newEncoder(l Level, checksum bool) (*zstd.Encoder, error) {
	speed, ok := map[Level]zstd.EncoderLevel{
		Fastest: zstd.SpeedFastest, Default: zstd.SpeedDefault, Better: zstd.SpeedBetterCompression,
	}[l]
	if !ok {
		return nil, nil
	}
	return zstd.NewWriter(nil,
		zstd.WithEncoderLevel(speed),
		zstd.WithEncoderConcurrency(1),
		zstd.WithWindowSize(segmentSize),
		zstd.WithSingleSegment(true),
		zstd.WithLowerEncoderMem(true),
		zstd.WithEncoderCRC(checksum),
	)
}

// Write adds raw bytes to the archive. An error of the destination comes out
// of the next Write or of Close.
func (w *Writer) Write(p []byte) (int, error) {
	done := 0
	for done < len(p) {
		if err := w.take(); err != nil {
			return done, err
		}
		raw := w.cur.raw
		n := copy(raw[len(raw):cap(raw)], p[done:])
		w.fill(n)
		done += n
	}
	return done, nil
}

// ReadFrom adds all of r, read straight into the segments. An error of r is
// returned and aborts the archive: what was read is not the whole of it.
func (w *Writer) ReadFrom(r io.Reader) (int64, error) {
	var total int64
	for {
		if err := w.take(); err != nil {
			return total, err
		}
		raw := w.cur.raw
		n, err := r.Read(raw[len(raw):cap(raw)])
		w.fill(n)
		total += int64(n)
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			w.Abort(err)
			return total, foreign("archive.ReadFrom", "read the raw stream", err)
		}
	}
}

// take makes sure that there is a segment with room in it.
func (w *Writer) take() error {
	if w.closed {
		return shield.Errorf(shield.Internal, "archive.Writer", "write after close")
	}
	if w.cur == nil {
		select {
		case w.cur = <-w.free:
			w.cur.reset()
		case <-w.stop:
		}
	}
	if w.ended() {
		return w.err
	}
	return nil
}

// fill notes n more bytes in the segment, and sends it off when it is full.
func (w *Writer) fill(n int) {
	w.cur.raw = w.cur.raw[:len(w.cur.raw)+n]
	w.raw.Add(int64(n))
	if len(w.cur.raw) == cap(w.cur.raw) {
		w.send()
	}
}

func (w *Writer) send() {
	seg := w.cur
	w.cur = nil
	w.toHash <- seg
	w.toCompress <- seg
	w.toPack <- seg
}

// Close ends the archive: it writes what is left, the trailer and the last
// chunk, and waits until dst has taken it all. Only then is the archive whole.
// After Abort or an error it waits until dst is no longer used and returns the
// reason. Calling it again returns the same.
func (w *Writer) Close() (Summary, error) {
	if !w.closed {
		w.closed = true
		if w.cur != nil && len(w.cur.raw) > 0 {
			w.send()
		}
		close(w.toPack)
	}
	w.wg.Wait()
	return w.sum, w.err
}

// Abort stops everything without a clean end: no trailer and no last chunk
// will be written, so nobody can take what was written for an archive. At
// most one Write to dst that is under way still ends; Abort does not wait for
// it. Writes and Close return err from now on. After the first Abort or a
// successful Close it does nothing.
func (w *Writer) Abort(err error) {
	if err == nil {
		err = shield.Errorf(shield.Canceled, "archive.Writer", "aborted")
	}
	w.end(err)
}

// Progress returns how many raw bytes came in and how many sealed bytes dst
// has taken.
func (w *Writer) Progress() (raw, sealed int64) { return w.raw.Load(), w.sealed.Load() }
