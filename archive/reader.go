package archive

import (
	"io"
	"sync/atomic"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"
	"github.com/zeebo/blake3"

	"github.com/shieldhq/shield"
)

// ReaderOptions are the choices of NewReader; nil opens only archives that
// are not encrypted.
type ReaderOptions struct {
	Identities   []age.Identity
	FileKey      []byte  // from FileKey; opens one archive without an identity
	Workers      int     // goroutines that decrypt and decompress; 0 is GOMAXPROCS
	Want         *Expect // nil: any archive will do
	DigestSealed bool    // hash the blob too: for Summary.SealedDigest and Want.SealedDigest
}

// Expect is what the caller knows of the archive it wants, from a manifest or
// the catalog. Zero fields are not compared. A blob that is another archive
// is refused by NewReader, all else at the latest instead of io.EOF.
//
// SealedDigest is compared for archives that are not encrypted, and where
// DigestSealed asks for it. Of an encrypted one every byte is authenticated
// under its own key and the raw digest is always checked, so hashing the blob
// once more would only cost time.
//
// Seal refuses, before the first byte, a blob that somebody else sealed to the
// same recipients or did not encrypt at all: their public keys are no secret,
// but the file key behind this seal is.
type Expect struct {
	Archive      string // UUID
	Seal         string // of the Summary or the Manifest
	RawSize      int64
	RawDigest    string
	SealedSize   int64
	SealedDigest string
}

// A plain is one frame of the payload on its way to raw bytes, or the end of
// the stream.
type plain struct {
	enc   []byte // the encoded frame
	raw   []byte
	size  int   // raw bytes, as the frame header says
	at    int64 // where the frame is in the payload
	err   error // why there are no raw bytes
	end   *trailer
	ready chan struct{} // nil for an end, which nobody decodes
}

// A Reader gives back the raw bytes of an archive. Its methods must not be
// called at the same time, except Progress and Close.
//
// Stages mirror the Writer: fetch reads the blob, Workers goroutines decrypt
// chunks and decompress frames, the splitter finds the frames, and the raw
// bytes are hashed before they are delivered.
type Reader struct {
	src  io.Reader
	hdr  Header
	want Expect
	age  string // age header
	seal *sealing

	fetched, toOpen, toSplit  chan *batch
	freeBatches               chan *batch
	free                      chan *plain
	toDecode, toHash, toGive  chan *plain
	payload                   *payload
	split                     *splitter
	rawHash, sealedHash       *blake3.Hasher
	rawSize, sealed, consumed atomic.Int64

	cur  *plain
	rest []byte // of cur, not yet delivered
	done error  // sticky: what ended the stream
	sum  Summary

	ender
}

// NewReader opens the archive in src and reads its header. The caller must
// Close the Reader. Errors have code Corrupt for what is no good archive or
// another one than Want names, Invalid when no identity or key opens it or it
// is of a later version. An error of src is passed on, wrapped.
func NewReader(src io.Reader, opts *ReaderOptions) (*Reader, error) {
	if opts == nil {
		opts = &ReaderOptions{}
	}
	r := &Reader{ender: newEnder()}
	if opts.Want != nil {
		r.want = *opts.Want
	}
	if err := r.openAge(src, opts); err != nil {
		return nil, err
	}
	if err := r.launch(workers(opts.Workers)); err != nil {
		return nil, err
	}
	if err := r.readHeader(); err != nil {
		r.Close()
		return nil, err
	}
	r.goes(r.split.run)
	return r, nil
}

// launch makes the queues, each wide enough for all that can be in it, and
// starts the stages up to the splitter, which first reads the header.
func (r *Reader) launch(workers int) error {
	frames, batches := pieces(workers), workers+4
	r.freeBatches = newBatches(batches, r.seal.overhead())
	r.fetched, r.toOpen, r.toSplit = make(chan *batch, batches), make(chan *batch, batches), make(chan *batch, batches)
	r.free = make(chan *plain, frames)
	for range frames {
		r.free <- &plain{ready: make(chan struct{}, 1)}
	}
	// One more than there are frames: the end is none of the pool.
	r.toDecode, r.toHash, r.toGive = make(chan *plain, frames), make(chan *plain, frames+1), make(chan *plain, frames+1)
	r.rawHash = blake3.New()
	r.payload = &payload{r: r}
	r.split = &splitter{r: r, p: r.payload}
	decoders := make([]*zstd.Decoder, workers)
	for i := range decoders {
		var err error
		if decoders[i], err = newDecoder(); err != nil {
			return shield.Errorf(shield.Internal, "archive.NewReader", "%w", err)
		}
	}
	for _, dec := range decoders {
		r.goes(func() { r.work(dec) })
	}
	r.goes(r.digestSealed)
	r.goes(r.hashRaw)
	go r.fetch() // not waited for: nobody can interrupt a Read of src
	return nil
}

func newDecoder() (*zstd.Decoder, error) {
	return zstd.NewReader(nil,
		zstd.WithDecoderConcurrency(1),
		zstd.WithDecoderMaxMemory(maxFrameSize),
		zstd.WithDecoderMaxWindow(maxFrameSize),
		zstd.WithDecodeAllCapLimit(true),
	)
}

func (r *Reader) readHeader() error {
	h, err := r.split.header()
	if err != nil {
		return err
	}
	if r.want.Archive != "" && r.want.Archive != h.Archive {
		return corruptf("this blob is archive %s, wanted %s", h.Archive, r.want.Archive)
	}
	r.hdr = h
	return nil
}

// Header returns what the archive says of itself.
func (r *Reader) Header() Header { return r.hdr }

// Progress returns how many bytes of the blob were read, and how many raw
// bytes were delivered.
func (r *Reader) Progress() (raw, sealed int64) { return r.consumed.Load(), r.sealed.Load() }

// Read delivers raw bytes. It returns io.EOF only when the whole archive was
// found good: see the package comment. Any other end is an error of code
// Corrupt, or the wrapped error of the source.
func (r *Reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if !r.next() {
		return 0, r.done
	}
	n := copy(p, r.rest)
	r.take(n)
	return n, nil
}

// WriteTo writes all that is left to dst, frame by frame. A nil error means
// what io.EOF means for Read; an error of dst is passed on, wrapped.
func (r *Reader) WriteTo(dst io.Writer) (int64, error) {
	var total int64
	for r.next() {
		n, err := dst.Write(r.rest)
		if err == nil && n < len(r.rest) {
			err = io.ErrShortWrite
		}
		total += int64(n)
		r.take(n)
		if err != nil {
			return total, foreign("archive.WriteTo", "write the raw stream", err)
		}
	}
	if r.done == io.EOF {
		return total, nil
	}
	return total, r.done
}

// next makes sure that rest is not empty; false means that done is set.
func (r *Reader) next() bool {
	if r.done != nil {
		return false
	}
	if r.cur != nil && len(r.rest) > 0 {
		return true
	}
	if r.cur != nil {
		r.free <- r.cur
		r.cur = nil
	}
	select {
	case f := <-r.toGive:
		if f.err != nil {
			r.done = f.err
			r.end(nil)
			return false
		}
		r.cur, r.rest = f, f.raw
		return true
	case <-r.stop:
		r.done = shield.Errorf(shield.Canceled, "archive.Reader", "closed")
		return false
	}
}

func (r *Reader) take(n int) {
	r.rest = r.rest[n:]
	r.consumed.Add(int64(n))
}

// Summary returns what is known of the archive. Before io.EOF was returned it
// is an error: until then nothing is known for sure.
func (r *Reader) Summary() (Summary, error) {
	if r.done != io.EOF {
		return Summary{}, shield.Errorf(shield.Internal, "archive.Reader", "summary before the end of the archive")
	}
	return r.sum, nil
}

// Close releases everything, at any time. It does not end a Read of src that
// is under way; whoever owns src does that, before or after.
func (r *Reader) Close() error {
	r.end(nil)
	r.wg.Wait()
	return nil
}
