package archive

import (
	"encoding/hex"
	"io"

	"github.com/klauspost/compress/zstd"
	"github.com/zeebo/blake3"
)

// work compresses segments and seals batches, whatever comes.
func (w *Writer) work(enc *zstd.Encoder) {
	for {
		select {
		case seg := <-w.toCompress:
			w.compress(seg, enc)
			seg.ready <- struct{}{}
		case b := <-w.toSeal:
			b.seal(w.seal)
			b.ready <- struct{}{}
		case <-w.stop:
			return
		}
	}
}

func (w *Writer) compress(seg *segment, enc *zstd.Encoder) {
	seg.frame = seg.frame[:0]
	if enc != nil && !looksRandom(seg.raw) {
		seg.frame = enc.EncodeAll(seg.raw, seg.frame)
		return
	}
	if w.seal == nil {
		seg.sum = uint32(xxh64(seg.raw))
	}
}

func (w *Writer) hashRaw() {
	for {
		select {
		case seg := <-w.toHash:
			w.rawHash.Write(seg.raw)
			seg.ready <- struct{}{}
		case <-w.stop:
			return
		}
	}
}

func (w *Writer) hashSealed() {
	for {
		select {
		case b := <-w.toDigest:
			w.sealedHash.Write(b.buf[:b.n])
			b.ready <- struct{}{}
		case <-w.stop:
			return
		}
	}
}

// flush writes sealed batches in order. The one that holds the last chunk
// ends the pipeline.
func (w *Writer) flush() {
	w.sealedHash.Write(w.start)
	if !w.write(w.start) {
		return
	}
	for {
		var b *batch
		select {
		case b = <-w.toWrite:
		case <-w.stop:
			return
		}
		if !w.wait(b.ready) {
			return
		}
		w.toDigest <- b
		if !w.write(b.buf[:b.n]) || !w.wait(b.ready) {
			return
		}
		if b.last {
			w.finish()
			return
		}
		w.freeBatches <- b
	}
}

func (w *Writer) write(p []byte) bool {
	if len(p) == 0 {
		return true
	}
	if w.ended() {
		return false
	}
	n, err := w.dst.Write(p)
	w.sealed.Add(int64(n))
	if err == nil && n != len(p) {
		err = io.ErrShortWrite
	}
	if err != nil {
		w.end(foreign("archive.Writer", "write the sealed stream", err))
	}
	return err == nil
}

func (w *Writer) finish() {
	g := w.pack.group
	w.sum = Summary{
		RawSize: g.rawEnd, RawDigest: digest(w.rawHash),
		SealedSize: w.sealed.Load(), SealedDigest: digest(w.sealedHash),
		Frames: int64(g.frames), Seal: string(w.start[:max(0, len(w.start)-nonceSize)]),
	}
	w.end(nil)
}

func digest(h *blake3.Hasher) string { return "blake3:" + hex.EncodeToString(h.Sum(nil)) }
