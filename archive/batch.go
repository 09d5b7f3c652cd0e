package archive

// batchChunks is how many age chunks travel together: large enough for cheap
// hand-overs and system calls, small enough to keep every worker busy.
const batchChunks = 8

// A batch is a run of age chunks between the payload and the blob. In its
// buffer each chunk is followed by room for its tag, so that sealing and
// opening happen in place. Without encryption the room is empty.
type batch struct {
	buf    []byte
	stride int    // bytes from chunk to chunk in buf
	n      int    // bytes of buf in use, sealed
	chunk  int    // writer: the chunk being filled
	fill   int    // writer: bytes in it
	first  uint64 // number of the first chunk in the stream
	last   bool   // holds the last chunk of the stream
	err    error  // reader: why nothing follows the n bytes
	ready  chan struct{}
	nonce  nonce
}

func newBatches(n, overhead int) chan *batch {
	free := make(chan *batch, n)
	for range n {
		free <- &batch{stride: chunkSize + overhead, ready: make(chan struct{}, 2)}
	}
	return free
}

// reset empties a batch taken from the pool. Its memory comes with the first
// use, so that a small archive costs little.
func (b *batch) reset() *batch {
	if b.buf == nil {
		b.buf = make([]byte, batchChunks*b.stride)
	}
	b.n, b.chunk, b.fill, b.first, b.last, b.err = 0, 0, 0, 0, false, nil
	return b
}

// add takes what fits of p and returns the rest.
func (b *batch) add(p []byte) []byte {
	for len(p) > 0 {
		if b.fill == chunkSize {
			if b.chunk == batchChunks-1 {
				break
			}
			b.chunk, b.fill = b.chunk+1, 0
		}
		at := b.chunk * b.stride
		n := copy(b.buf[at+b.fill:at+chunkSize], p)
		b.fill += n
		p = p[n:]
	}
	return p
}

// chunks is how many chunks the batch holds while it is being filled.
func (b *batch) chunks() int { return b.chunk + 1 }

// seal encrypts every chunk and sets n.
func (b *batch) seal(s *sealing) {
	for i := range b.chunks() {
		size := chunkSize
		if i == b.chunk {
			size = b.fill
		}
		at := i * b.stride
		s.seal(&b.nonce, b.first+uint64(i), b.last && i == b.chunk, b.buf[at:at+size:at+b.stride])
	}
	b.n = b.chunk*b.stride + b.fill + s.overhead()
}

// open decrypts every chunk; the first that is not as it was written ends the
// batch.
func (b *batch) open(s *sealing) {
	for at := 0; at < b.n; at += b.stride {
		end := min(at+b.stride, b.n)
		n := b.first + uint64(at/b.stride)
		if err := s.open(&b.nonce, n, b.last && end == b.n, b.buf[at:end]); err != nil {
			b.n, b.err = at, err
		}
	}
}

// plain returns what chunk i holds once it was opened, nil behind the end.
func (b *batch) plain(i, overhead int) []byte {
	at := i * b.stride
	if at >= b.n {
		return nil
	}
	return b.buf[at : min(at+b.stride, b.n)-overhead]
}
