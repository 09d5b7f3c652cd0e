package archive

import (
	"encoding/binary"
	"encoding/json"

	"github.com/shieldhq/shield"
)

// indexEvery is how many frames share one index frame. It bounds what writer
// and reader remember.
const indexEvery = 1024

const (
	indexHead  = 4*8 + 4
	indexEntry = 2 * 4
)

// A group is the run of frames since the last index frame, as the writer and
// the reader each keep it: the reader compares its own with the one written.
type group struct {
	first   uint64 // number of the first frame
	offset  int64  // of the first frame in the payload
	raw     int64  // bytes before the first frame
	prev    int64  // offset of the index frame before, 0 if there is none
	entries []byte // length in the payload, raw length; both uint32
	end     int64  // offset behind the last frame
	rawEnd  int64
	frames  uint64 // frames in all, this group included
}

func (g *group) count() int { return len(g.entries) / indexEntry }

// add notes a frame that begins at offset.
func (g *group) add(offset int64, length, raw int) {
	if len(g.entries) == 0 {
		g.first, g.offset, g.raw = g.frames, offset, g.rawEnd
	}
	g.entries = binary.LittleEndian.AppendUint32(g.entries, uint32(length))
	g.entries = binary.LittleEndian.AppendUint32(g.entries, uint32(raw))
	g.frames++
	g.end, g.rawEnd = offset+int64(length), g.rawEnd+int64(raw)
}

// next starts a new group; the index frame of this one is at offset.
func (g *group) next(offset int64) { g.entries, g.prev = g.entries[:0], offset }

// body is the content of the index frame.
func (g *group) body() []byte {
	p := make([]byte, 0, indexHead+len(g.entries))
	for _, v := range []uint64{g.first, uint64(g.offset), uint64(g.raw), uint64(g.prev)} {
		p = binary.LittleEndian.AppendUint64(p, v)
	}
	p = binary.LittleEndian.AppendUint32(p, uint32(g.count()))
	return append(p, g.entries...)
}

// A trailer is what is known of a stream at its end.
type trailer struct {
	RawSize   int64  `json:"raw_size"`
	RawDigest string `json:"raw_digest"`
	Frames    int64  `json:"frames"`
	Index     int64  `json:"index"` // payload offset of the last index frame, 0 if there is none
}

// appendTrailer appends the last frame of the payload. Its own length stands
// at its very end, so that it can be found from there.
func appendTrailer(dst []byte, t trailer) ([]byte, error) {
	body, err := json.Marshal(t)
	if err != nil {
		return nil, shield.Errorf(shield.Internal, "archive.Writer", "trailer: %w", err)
	}
	size := 8 + tagSize + len(body) + 4
	body = binary.LittleEndian.AppendUint32(body, uint32(size))
	return appendSkippable(dst, trailerTag, body), nil
}

func decodeTrailer(body []byte) (trailer, error) {
	var t trailer
	if len(body) < 4 {
		return t, corruptf("trailer of %d bytes is too short", len(body))
	}
	text, foot := body[:len(body)-4], binary.LittleEndian.Uint32(body[len(body)-4:])
	if want := uint32(8 + tagSize + len(body)); foot != want {
		return t, corruptf("trailer says that it has %d bytes, but has %d", foot, want)
	}
	if err := json.Unmarshal(text, &t); err != nil {
		return t, corruptf("trailer is not valid JSON: %v", err)
	}
	return t, nil
}
