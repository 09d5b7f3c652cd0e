package rdb

import (
	"encoding/binary"
	"fmt"
)

// Types of values.
const (
	typeString          = 0
	typeList            = 1
	typeSet             = 2
	typeZset            = 3
	typeHash            = 4
	typeZset2           = 5
	typeModule2         = 7
	typeHashZipmap      = 9
	typeListZiplist     = 10
	typeSetIntset       = 11
	typeZsetZiplist     = 12
	typeHashZiplist     = 13
	typeListQuicklist   = 14
	typeStream          = 15
	typeHashListpack    = 16
	typeZsetListpack    = 17
	typeListQuicklist2  = 18
	typeStream2         = 19
	typeSetListpack     = 20
	typeStream3         = 21
	typeHashMetadata    = 24 // fields that expire, from Redis 7.4 on
	typeHashListpackExt = 25
)

// isString reports whether a value of a type is one string.
func isString(typ byte) bool {
	switch typ {
	case typeString, typeHashZipmap, typeListZiplist, typeSetIntset, typeZsetZiplist, typeHashZiplist,
		typeHashListpack, typeZsetListpack, typeSetListpack:
		return true
	}
	return false
}

// skipValue passes over a value of a type.
func (d *Decoder) skipValue(typ byte) error {
	if isString(typ) {
		return d.skipString()
	}
	switch typ {
	case typeList, typeSet, typeListQuicklist:
		return d.each(d.skipString)
	case typeHash:
		return d.each(func() error { return d.skipStrings(2) })
	case typeZset:
		return d.each(func() error { return firstError(d.skipString, d.skipScore) })
	case typeZset2:
		return d.each(func() error { return firstError(d.skipString, d.fixed(8)) })
	case typeListQuicklist2:
		return d.each(func() error { return firstError(d.count(1), d.skipString) })
	case typeStream, typeStream2, typeStream3:
		return d.stream(typ)
	case typeModule2:
		return d.module()
	case typeHashMetadata:
		return firstError(d.fixed(8), func() error {
			return d.each(func() error { return firstError(d.count(1), d.skipString, d.skipString) })
		})
	case typeHashListpackExt:
		return firstError(d.fixed(8), d.skipString)
	}
	return fmt.Errorf("type %d is %w", typ, ErrUnknown)
}

func firstError(steps ...func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func (d *Decoder) fixed(n uint64) func() error { return func() error { return d.skip(n) } }
func (d *Decoder) count(n int) func() error    { return func() error { return d.lengths(n) } }

// each reads a length and calls step so many times.
func (d *Decoder) each(step func() error) error {
	n, err := d.length()
	if err != nil {
		return err
	}
	for range n {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// skipScore passes over a score as text, which has a length of one byte; the
// last three stand for not a number and the infinities.
func (d *Decoder) skipScore() error {
	n, err := d.byte()
	if err != nil || n >= 253 {
		return err
	}
	return d.skip(uint64(n))
}

// stream passes over a stream: its entries, IDs, and groups of consumers with
// what is pending.
func (d *Decoder) stream(typ byte) error {
	ids, groupIDs, seen := 3, 2, uint64(8)
	if typ >= typeStream2 {
		ids, groupIDs = 8, 3
	}
	if typ >= typeStream3 {
		seen = 16
	}
	pending := func() error { return firstError(d.fixed(16+8), d.count(1)) }
	consumer := func() error {
		return firstError(d.skipString, d.fixed(seen), func() error { return d.each(d.fixed(16)) })
	}
	group := func() error {
		return firstError(d.skipString, d.count(groupIDs),
			func() error { return d.each(pending) }, func() error { return d.each(consumer) })
	}
	return firstError(
		func() error { return d.each(func() error { return d.skipStrings(2) }) },
		d.count(ids),
		func() error { return d.each(group) })
}

// module passes over what a module has saved: tagged parts, to an end mark.
func (d *Decoder) module() error {
	if err := d.lengths(1); err != nil { // the module's number
		return err
	}
	for {
		tag, err := d.length()
		if err != nil {
			return err
		}
		switch tag {
		case 0:
			return nil
		case 1, 2:
			err = d.lengths(1)
		case 3:
			err = d.skip(4)
		case 4:
			err = d.skip(8)
		case 5:
			err = d.skipString()
		default:
			return fmt.Errorf("part %d of a module is %w", tag, ErrUnknown)
		}
		if err != nil {
			return err
		}
	}
}

// Footer returns what RESTORE wants behind type and value of a key: the
// version of the format and the checksum of all before it.
func Footer(it *Item, version int) [10]byte {
	var f [10]byte
	binary.LittleEndian.PutUint16(f[:], uint16(version))
	crc := sum(sum(sum(0, []byte{it.Type}), it.Value), f[:2])
	binary.LittleEndian.PutUint64(f[2:], crc)
	return f
}
