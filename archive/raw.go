package archive

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/zeebo/blake3"

	"github.com/shieldhq/shield"
)

// Raw is the level of a raw archive: its blob is the raw bytes and nothing
// else, without frames, header, trailer and encryption, for stores that keep
// what blobs have in common only once. All that is known of it is in the
// manifest and the catalog. A RawWriter makes it, a RawReader opens it.
const Raw Level = "raw"

// A RawWriter writes a raw archive. Write and Close must not be called at the
// same time; Abort and Progress may be called any time by anyone.
type RawWriter struct {
	dst  io.Writer
	hash *blake3.Hasher
	size atomic.Int64

	mu     sync.Mutex
	closed bool
	err    error
}

// NewRawWriter starts a raw archive that is written to dst. The caller must
// end it with Close or Abort.
func NewRawWriter(dst io.Writer) *RawWriter { return &RawWriter{dst: dst, hash: blake3.New()} }

// Write adds raw bytes to the archive.
func (w *RawWriter) Write(p []byte) (int, error) {
	if err := w.failed(); err != nil {
		return 0, err
	}
	n, err := w.dst.Write(p)
	_, _ = w.hash.Write(p[:n]) // never fails
	w.size.Add(int64(n))
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	if err != nil {
		err = foreign("archive.RawWriter", "write the archive", err)
		w.Abort(err)
	}
	return n, err
}

func (w *RawWriter) failed() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil && w.closed {
		return shield.Errorf(shield.Internal, "archive.RawWriter", "write after close")
	}
	return w.err
}

// Close ends the archive. After Abort or an error it returns the reason.
func (w *RawWriter) Close() (Summary, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	if w.err != nil {
		return Summary{}, w.err
	}
	digest, size := fmt.Sprintf("blake3:%x", w.hash.Sum(nil)), w.size.Load()
	return Summary{RawSize: size, RawDigest: digest, SealedSize: size, SealedDigest: digest}, nil
}

// Abort makes writes and Close return err from now on. The archive has no mark
// of its end: the caller must not give dst a good one.
func (w *RawWriter) Abort(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err == nil {
		err = shield.Errorf(shield.Canceled, "archive.RawWriter", "aborted")
	}
	if w.err == nil && !w.closed {
		w.err = err
	}
}

// Progress returns how many raw bytes came in and how many dst has taken,
// which is the same.
func (w *RawWriter) Progress() (raw, sealed int64) { n := w.size.Load(); return n, n }

// A RawReader gives back a raw archive. Its methods must not be called at the
// same time, except Progress and Close.
type RawReader struct {
	src  io.Reader
	want Expect
	hash *blake3.Hasher
	size atomic.Int64
	done error // sticky: what ended the stream
	shut atomic.Bool
}

// NewRawReader opens the raw archive in src. A raw archive does not prove
// itself: want must have its size and digest, from the manifest or the
// catalog, else the error is Invalid.
func NewRawReader(src io.Reader, want *Expect) (*RawReader, error) {
	if want == nil || !isDigest(want.RawDigest) || want.RawSize < 0 {
		return nil, shield.Errorf(shield.Invalid, "archive.NewRawReader", "the size and the digest of a raw archive must be known to open it")
	}
	r := &RawReader{src: src, want: *want, hash: blake3.New()}
	if s := want.SealedDigest; s != "" && s != want.RawDigest || want.SealedSize != 0 && want.SealedSize != want.RawSize {
		return nil, corruptf("a raw archive of %d bytes, %s, cannot be stored as %d bytes, %s", want.RawSize, want.RawDigest, want.SealedSize, s)
	}
	return r, nil
}

// Progress returns how many bytes were delivered, which is as many as were
// read.
func (r *RawReader) Progress() (raw, sealed int64) { n := r.size.Load(); return n, n }

// Read delivers raw bytes. It returns io.EOF only when all of them were read
// and size and digest are what was expected. Any other end is an error of code
// Corrupt, or the wrapped error of the source.
func (r *RawReader) Read(p []byte) (int, error) {
	if r.done != nil || len(p) == 0 {
		return 0, r.done
	}
	if r.shut.Load() {
		r.done = shield.Errorf(shield.Canceled, "archive.RawReader", "closed")
		return 0, r.done
	}
	n, err := r.src.Read(p)
	_, _ = r.hash.Write(p[:n]) // never fails
	size := r.size.Add(int64(n))
	switch {
	case size > r.want.RawSize:
		r.done = corruptf("the archive goes on after its %d bytes", r.want.RawSize)
		return 0, r.done
	case errors.Is(err, io.EOF):
		if r.done = r.judge(size); n > 0 {
			return n, nil
		}
		return 0, r.done
	case err != nil:
		r.done = foreign("archive.RawReader", "read the archive", err)
	}
	if n > 0 {
		return n, nil
	}
	return 0, r.done
}

// judge returns io.EOF if what was read is the archive.
func (r *RawReader) judge(size int64) error {
	if size != r.want.RawSize {
		return corruptf("the archive ends after %d bytes of %d: cut short", size, r.want.RawSize)
	}
	if digest := fmt.Sprintf("blake3:%x", r.hash.Sum(nil)); digest != r.want.RawDigest {
		return corruptf("the archive has digest %s, wanted %s", digest, r.want.RawDigest)
	}
	return io.EOF
}

// WriteTo writes all that is left to dst. A nil error means what io.EOF means
// for Read; an error of dst is passed on, wrapped.
func (r *RawReader) WriteTo(dst io.Writer) (int64, error) {
	var total int64
	for buf := make([]byte, segmentSize); ; {
		n, err := r.Read(buf)
		if n > 0 {
			m, werr := dst.Write(buf[:n])
			total += int64(m)
			if werr == nil && m < n {
				werr = io.ErrShortWrite
			}
			if werr != nil {
				return total, foreign("archive.WriteTo", "write the raw stream", werr)
			}
		}
		switch {
		case err == io.EOF:
			return total, nil
		case err != nil:
			return total, err
		}
	}
}

// Summary returns what is known of the archive. Before io.EOF was returned it
// is an error: until then nothing is known for sure.
func (r *RawReader) Summary() (Summary, error) {
	if r.done != io.EOF {
		return Summary{}, shield.Errorf(shield.Internal, "archive.RawReader", "summary before the end of the archive")
	}
	return Summary{RawSize: r.want.RawSize, RawDigest: r.want.RawDigest, SealedSize: r.want.RawSize, SealedDigest: r.want.RawDigest}, nil
}

// Close makes further reads fail. It does not end a Read of src that is under
// way; whoever owns src does that.
func (r *RawReader) Close() error {
	r.shut.Store(true)
	return nil
}
