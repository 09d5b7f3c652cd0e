package wasmhost

import (
	"encoding/binary"
	"io"
	"strings"
)

// The file service tells and sets what WASI has no calls for: owners, all
// bits of modes, links, devices, extended attributes, holes. It is a handle
// that takes one request a write, and gives the answer to the reads that
// follow. Requests and answers are specified in docs/plugin-abi.md.

// A filesDescriptor opens the file service for a folder.
type filesDescriptor struct {
	Folder string `json:"folder"`
}

// The operations.
const (
	opWalk      = 1
	opRelease   = 2
	opStat      = 3
	opList      = 4
	opOpen      = 5
	opSeek      = 6
	opExtents   = 7
	opTruncate  = 8
	opSync      = 9
	opLock      = 10
	opAdvise    = 11
	opTake      = 12
	opMkdir     = 20
	opSymlink   = 21
	opLink      = 22
	opMknod     = 23
	opRename    = 24
	opRemove    = 25
	opChown     = 26
	opChmod     = 27
	opTimes     = 28
	opSetAttr   = 29
	opSyncAll   = 30
	opSpace     = 31
	opOwner     = 32
	opUndo      = 33
	opForget    = 34
	opMake      = 35
	opSyncNames = 36
	filesLimit  = 1024    // folders open at once
	answerRoom  = 1 << 20 // of one answer, about
	requestRoom = 1 << 20
)

// The flags of a request.
const (
	onHandle   = 1  // it is about an open file, and not about a name
	withLink   = 2  // stat and list tell where symlinks lead
	withAttrs  = 4  // stat and list tell extended attributes
	fromStart  = 8  // list begins anew
	namesOnly  = 16 // list tells names and kinds
	forWriting = 2  // open makes a file that must not exist
	willWrite  = 2  // advise: will be written, and synced in the end
)

// A request is one, taken apart. The first thing that is wrong makes all that
// follows zero.
type request struct {
	op, flags byte
	folder    uint32
	rest      []byte
	bad       bool
	long      bool // bad for nothing but the length of a name
}

func parseRequest(p []byte) *request {
	r := &request{rest: p}
	r.op, r.flags = r.u8(), r.u8()
	r.take(2)
	r.folder = r.u32()
	return r
}

func (r *request) take(n int) []byte {
	if n < 0 || n > len(r.rest) {
		r.bad, r.rest = true, nil
		return make([]byte, min(max(n, 0), 8))
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func (r *request) u8() byte    { return r.take(1)[0] }
func (r *request) u32() uint32 { return binary.LittleEndian.Uint32(r.take(4)) }
func (r *request) u64() uint64 { return binary.LittleEndian.Uint64(r.take(8)) }

func (r *request) text() string {
	n := int(r.u32())
	if n > len(r.rest) {
		r.bad = true
		return ""
	}
	return string(r.take(n))
}

// name takes the name of an entry: one that cannot lead anywhere else.
func (r *request) name() string {
	s := r.text()
	r.bad = r.bad || !r.plain(s)
	return s
}

// plain is plainName, and remembers a name that is only too long.
func (r *request) plain(s string) bool {
	r.long = r.long || len(s) > nameLimit && !strings.ContainsAny(s, "/\x00")
	return plainName(s)
}

const nameLimit = 255

func plainName(s string) bool {
	return s != "" && s != "." && s != ".." && len(s) <= nameLimit && !strings.ContainsAny(s, "/\x00")
}

// An answer is what a request gets: an error number, and what was asked for.
type answer struct{ b []byte }

func (a *answer) u32(v uint32)  { a.b = binary.LittleEndian.AppendUint32(a.b, v) }
func (a *answer) u64(v uint64)  { a.b = binary.LittleEndian.AppendUint64(a.b, v) }
func (a *answer) text(s string) { a.u32(uint32(len(s))); a.b = append(a.b, s...) }

// A replies is the reading side of the service.
type replies struct{ b []byte }

func (r *replies) peek() ([]byte, error) {
	if len(r.b) == 0 {
		return nil, io.EOF
	}
	return r.b, nil
}

func (r *replies) advance(n int) { r.b = r.b[n:] }

func (r *replies) stat() (map[string]any, error) { return map[string]any{}, nil }

func (r *replies) shut() error { return nil }
