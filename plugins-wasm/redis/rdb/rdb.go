// Package rdb takes Redis' RDB files apart: into keys with their values, still
// serialized, which is what the command RESTORE wants. The format is that of
// Redis' own sources (rdb.h, rdb.c), versions 5 to 12, from Redis 2.6 on.
package rdb

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc64"
	"io"
	"math"
	"strconv"
)

// ErrUnknown is in the error of a Decoder that came upon something that this
// package does not know: the file may be good all the same.
var ErrUnknown = errors.New("unknown to this version of the plugin")

// ErrTooLarge is in the error of a value that is larger than the limit.
var ErrTooLarge = errors.New("larger than the limit")

// checksum is the table of CRC-64/Jones, which Redis begins at 0 and does not
// invert. It is never written to.
var checksum = crc64.MakeTable(0x95ac9329ac4bc9b5)

func sum(crc uint64, p []byte) uint64 { return ^crc64.Update(^crc, checksum, p) }

// A Kind is what an Item is.
type Kind int

// The kinds of items that Next returns.
const (
	Aux      Kind = iota // Key and Value are a name and a text
	Key                  // a key with its value
	Function             // Value is the source of a library of functions
	End                  // the file is whole
)

// An Item is one part of a file. What it holds is valid until the next call.
type Item struct {
	Kind  Kind
	DB    int64
	Key   []byte
	Type  byte
	Value []byte // serialized, without its type; nil unless values are kept
	Size  int64  // of the serialized value, bytes
	// Expire is when the key goes, in milliseconds since 1970; 0 is never.
	Expire int64
	Idle   int64 // seconds since the last access, -1 if not told
	Freq   int   // counter of accesses, -1 if not told
}

// Options of a Decoder.
type Options struct {
	// Keep keeps values, up to Limit bytes each; what is larger ends the
	// decoding with ErrTooLarge. Otherwise values are passed over.
	Keep  bool
	Limit int64
	// Verify computes the file's checksum and compares it.
	Verify bool
}

// A Decoder reads one file. Errors are io.ErrUnexpectedEOF for one that ends
// early, the reader's own, or say what is wrong.
type Decoder struct {
	o       Options
	r       io.Reader
	buf     []byte
	at, end int    // of what is in buf and not consumed
	summed  int    // up to here buf is in crc
	crc     uint64 // of what was consumed
	keeping bool
	value   []byte
	size    int64 // of the value so far
	key     []byte
	db      int64
	version int
	ended   bool // the reader has said io.EOF
}

// NewDecoder reads the head of a file.
func NewDecoder(r io.Reader, o Options) (*Decoder, error) {
	d := &Decoder{o: o, r: r, buf: make([]byte, 256<<10)}
	head, err := d.take(9)
	if err != nil {
		return nil, err
	}
	version, err := strconv.Atoi(string(head[5:]))
	if string(head[:5]) != "REDIS" || err != nil || version < 1 {
		return nil, errors.New("not an RDB file: it does not begin with REDIS and a version")
	}
	d.version = version
	return d, nil
}

// Version is the version of the format.
func (d *Decoder) Version() int { return d.version }

// Next returns the next item. After End there must be nothing more; Next has
// looked.
func (d *Decoder) Next() (Item, error) {
	it := Item{Idle: -1, Freq: -1}
	for {
		if d.plain(&it) {
			return it, nil
		}
		op, err := d.byte()
		if err != nil {
			return it, err
		}
		switch {
		case op == opEOF:
			it.Kind = End
			return it, d.finish()
		case op < opFirst:
			err := d.keyed(&it, op)
			return it, err
		}
		if done, err := d.special(&it, op); err != nil || done {
			return it, err
		}
	}
}

// Opcodes, beside which stand the types of values.
const (
	opFirst     = 244
	opSlotInfo  = 244
	opFunction2 = 245
	opModuleAux = 247
	opIdle      = 248
	opFreq      = 249
	opAux       = 250
	opResizeDB  = 251
	opExpireMS  = 252
	opExpire    = 253
	opSelectDB  = 254
	opEOF       = 255
)

// special reads what is not a key. It reports whether that is an item.
func (d *Decoder) special(it *Item, op byte) (bool, error) {
	switch op {
	case opAux:
		return true, d.aux(it)
	case opFunction2:
		code, err := d.text()
		it.Kind, it.Value = Function, code
		return true, err
	case opSelectDB:
		n, err := d.length()
		d.db = int64(n)
		return false, err
	case opResizeDB:
		return false, d.lengths(2)
	case opSlotInfo:
		return false, d.lengths(3)
	case opExpireMS:
		b, err := d.take(8)
		if err != nil {
			return false, err
		}
		it.Expire = int64(binary.LittleEndian.Uint64(b))
	case opExpire:
		b, err := d.take(4)
		if err != nil {
			return false, err
		}
		it.Expire = int64(binary.LittleEndian.Uint32(b)) * 1000
	case opIdle:
		n, err := d.length()
		it.Idle = int64(min(n, math.MaxInt32))
		return false, err
	case opFreq:
		b, err := d.byte()
		it.Freq = int(b)
		return false, err
	case opModuleAux:
		return false, d.module()
	default:
		return false, fmt.Errorf("opcode %d is %w", op, ErrUnknown)
	}
	return false, nil
}

func (d *Decoder) aux(it *Item) error {
	name, err := d.text()
	if err != nil {
		return err
	}
	it.Key = append([]byte(nil), name...)
	it.Kind = Aux
	it.Value, err = d.text()
	return err
}

// plain consumes a key whose value is one string if all of it is in the buffer,
// and reports whether it has. Most keys are of that kind: a sandbox takes
// several times as long for the steps by which keyed goes.
func (d *Decoder) plain(it *Item) bool {
	p := d.buf[d.at:d.end]
	if d.o.Keep || len(p) == 0 || !isString(p[0]) {
		return false
	}
	head, size := lengthAt(p[1:])
	from := 1 + head
	if head == 0 || size > len(p)-from {
		return false
	}
	value := skipAt(p[from+size:])
	if value == 0 {
		return false
	}
	it.Kind, it.DB, it.Key, it.Type, it.Size = Key, d.db, p[from:from+size], p[0], int64(value)
	d.at += from + size + value
	return true
}

func (d *Decoder) keyed(it *Item, typ byte) error {
	key, err := d.text()
	if err != nil {
		return err
	}
	d.key = append(d.key[:0], key...)
	it.Kind, it.DB, it.Key, it.Type = Key, d.db, d.key, typ
	d.value, d.size, d.keeping = d.value[:0], 0, true
	err = d.skipValue(typ)
	d.keeping = false
	it.Size = d.size
	if d.o.Keep {
		it.Value = d.value
	}
	if err != nil {
		return fmt.Errorf("the value of key %s: %w", Quote(it.Key), err)
	}
	return nil
}

// finish compares the checksum and looks for the end of the reader.
func (d *Decoder) finish() error {
	if d.version >= 5 {
		d.settle()
		want := d.crc
		b, err := d.take(8)
		if err != nil {
			return err
		}
		got := binary.LittleEndian.Uint64(b)
		if d.o.Verify && got != 0 && got != want { // 0: the server makes none
			return fmt.Errorf("the checksum is %016x, but that of the content is %016x", got, want)
		}
	}
	switch _, err := d.byte(); {
	case err == nil:
		return errors.New("there is something behind the end of the file")
	case d.ended:
		return nil
	default:
		return err
	}
}

// Quote returns a key for people: quoted, cut if it is long.
func Quote(key []byte) string {
	const limit = 80
	if len(key) > limit {
		return strconv.Quote(string(key[:limit])) + "..."
	}
	return strconv.Quote(string(key))
}
