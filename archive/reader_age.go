package archive

import (
	"bufio"
	"bytes"
	"io"

	"filippo.io/age"
	"github.com/zeebo/blake3"

	"github.com/shieldhq/shield"
)

// openAge reads the age header, if there is one, and gets the file key.
func (r *Reader) openAge(src io.Reader, opts *ReaderOptions) error {
	br := bufio.NewReaderSize(src, 4<<10) // larger reads go past its buffer
	r.src = br
	start, err := br.Peek(len(ageIntro))
	if err != nil && err != io.EOF {
		return foreign("archive.NewReader", "read the blob", err)
	}
	encrypted := string(start) == ageIntro
	if opts.DigestSealed || r.want.SealedDigest != "" && !encrypted {
		r.sealedHash = blake3.New()
	}
	if !encrypted && r.want.Seal != "" {
		return corruptf("this blob is not encrypted, the archive wanted is")
	}
	if !encrypted {
		return nil // or no archive at all: the splitter will see
	}
	head, err := readAgeHeader(br)
	if err != nil {
		return err
	}
	if r.want.Seal != "" && r.want.Seal != string(head) {
		return corruptf("this blob has another seal than the archive wanted")
	}
	key, err := opts.key(head)
	if err != nil {
		return err
	}
	nonce := make([]byte, nonceSize)
	if _, err := io.ReadFull(br, nonce); err != nil {
		return cut(err, "in the age header")
	}
	r.count(head)
	r.count(nonce)
	r.age = string(head)
	r.seal, err = newSealing(key, nonce, len(head)+nonceSize)
	return err
}

// key gets the file key for the age header. A bare file key is checked with
// the header's MAC, as age does with one that an identity unwrapped.
func (o *ReaderOptions) key(head []byte) ([]byte, error) {
	if len(o.FileKey) == 0 {
		return FileKey(head, o.Identities...)
	}
	if len(o.FileKey) != fileKeyLen {
		return nil, shield.FieldErrorf("file_key", "has %d bytes, wanted %d", len(o.FileKey), fileKeyLen)
	}
	key, err := FileKey(head, age.NewInjectedFileKeyIdentity(o.FileKey))
	if err != nil {
		return nil, shield.Errorf(shield.Invalid, "archive.NewReader", "the file key does not open this archive: %w", err)
	}
	return key, nil
}

func (r *Reader) count(p []byte) {
	r.sealed.Add(int64(len(p)))
	if r.sealedHash != nil {
		r.sealedHash.Write(p)
	}
}

// readAgeHeader reads up to the line with the header's MAC, and no further.
func readAgeHeader(br *bufio.Reader) ([]byte, error) {
	var head []byte
	for {
		line, err := br.ReadSlice('\n')
		if err == bufio.ErrBufferFull || len(head)+len(line) > maxAgeHeader {
			return nil, corruptf("age header is too long")
		}
		if err != nil {
			return nil, cut(err, "in the age header")
		}
		head = append(head, line...)
		if bytes.HasPrefix(line, []byte("---")) {
			return head, nil
		}
	}
}

// cut tells a blob that ends too early from a source that failed.
func cut(err error, where string) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return corruptf("blob ends %s: cut short", where)
	}
	return foreign("archive.Reader", "read the blob", err)
}

// fetch reads the blob into batches. A batch is sent only when it is known
// whether another follows: the last chunk is sealed differently.
func (r *Reader) fetch() {
	var prev *batch
	var first uint64
	for {
		var b *batch
		select {
		case b = <-r.freeBatches:
		case <-r.stop:
			return
		}
		n, err := io.ReadFull(r.src, b.reset().buf)
		b.n, b.first = n, first
		first += batchChunks
		r.sealed.Add(int64(n))
		if err == nil {
			r.submit(prev)
			prev = b
			continue
		}
		r.finish(prev, b, err)
		return
	}
}

// finish submits what was read when the source ended or failed.
func (r *Reader) finish(prev, b *batch, err error) {
	switch {
	case err != io.EOF && err != io.ErrUnexpectedEOF:
		b.n -= b.n % b.stride // what is left of a chunk cannot be opened
		b.err = foreign("archive.Reader", "read the blob", err)
	case b.n == 0 && prev != nil:
		prev.last = true
		r.submit(prev)
		return
	default:
		b.last = true
	}
	r.submit(prev)
	r.submit(b)
}

func (r *Reader) submit(b *batch) {
	if b != nil {
		r.fetched <- b
	}
}

// digestSealed hashes the sealed bytes, if that is wanted, before they are
// opened in place.
func (r *Reader) digestSealed() {
	for {
		select {
		case b := <-r.fetched:
			if r.sealedHash != nil {
				r.sealedHash.Write(b.buf[:b.n])
			}
			r.toOpen <- b
			r.toSplit <- b
		case <-r.stop:
			return
		}
	}
}
