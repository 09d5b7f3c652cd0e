package archive

import (
	"io"

	"github.com/klauspost/compress/zstd"
)

// work opens batches and decodes frames, whatever comes.
func (r *Reader) work(dec *zstd.Decoder) {
	for {
		select {
		case b := <-r.toOpen:
			b.open(r.seal)
			b.ready <- struct{}{}
		case f := <-r.toDecode:
			f.decode(dec)
			f.ready <- struct{}{}
		case <-r.stop:
			return
		}
	}
}

// slack is room behind the raw bytes, with which the decoder is faster.
const slack = 32

func (f *plain) decode(dec *zstd.Decoder) {
	if cap(f.raw) < f.size+slack {
		f.raw = make([]byte, 0, f.size+slack)
	}
	raw, err := dec.DecodeAll(f.enc, f.raw[:0])
	switch {
	case err != nil:
		f.err = corruptf("frame at offset %d does not decode: %v", f.at, err)
	case len(raw) != f.size:
		f.err = corruptf("frame at offset %d has %d bytes, its header says %d", f.at, len(raw), f.size)
	default:
		f.raw = raw
	}
}

// hashRaw hashes frames in order and passes them on to the consumer, up to
// the first that is not good or the end of the stream.
func (r *Reader) hashRaw() {
	for {
		var f *plain
		select {
		case f = <-r.toHash:
		case <-r.stop:
			return
		}
		if f.ready != nil && !r.wait(f.ready) {
			return
		}
		if f.end != nil {
			f.err = r.judge(f.end)
		}
		if f.err == nil {
			r.rawHash.Write(f.raw)
			r.rawSize.Add(int64(len(f.raw)))
		}
		r.toGive <- f
		if f.err != nil {
			return
		}
	}
}

// judge compares what was read with what the trailer and the caller say. It
// is the only place that makes an io.EOF.
func (r *Reader) judge(t *trailer) error {
	sum := Summary{
		RawSize: r.rawSize.Load(), RawDigest: digest(r.rawHash),
		SealedSize: r.sealed.Load(), Frames: int64(r.split.group.frames), Seal: r.age,
	}
	if r.sealedHash != nil {
		sum.SealedDigest = digest(r.sealedHash)
	}
	switch {
	case t.RawSize != sum.RawSize:
		return corruptf("archive has %d raw bytes, its trailer says %d", sum.RawSize, t.RawSize)
	case t.Frames != sum.Frames:
		return corruptf("archive has %d frames, its trailer says %d", sum.Frames, t.Frames)
	case t.RawDigest != sum.RawDigest:
		return corruptf("raw bytes have digest %s, the trailer says %s", sum.RawDigest, clip(t.RawDigest))
	case t.Index != r.split.group.prev:
		return corruptf("last index is at offset %d, the trailer says %d", r.split.group.prev, t.Index)
	}
	if err := r.want.judge(sum); err != nil {
		return err
	}
	r.sum = sum
	return io.EOF
}

func (w Expect) judge(sum Summary) error {
	switch {
	case w.RawSize != 0 && w.RawSize != sum.RawSize:
		return corruptf("archive has %d raw bytes, wanted %d", sum.RawSize, w.RawSize)
	case w.RawDigest != "" && w.RawDigest != sum.RawDigest:
		return corruptf("raw bytes have digest %s, wanted %s", sum.RawDigest, clip(w.RawDigest))
	case w.SealedSize != 0 && w.SealedSize != sum.SealedSize:
		return corruptf("blob has %d bytes, wanted %d", sum.SealedSize, w.SealedSize)
	case w.SealedDigest != "" && sum.SealedDigest != "" && w.SealedDigest != sum.SealedDigest:
		return corruptf("blob has digest %s, wanted %s", sum.SealedDigest, clip(w.SealedDigest))
	}
	return nil
}
