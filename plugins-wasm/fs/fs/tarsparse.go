package fs

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// mapLimit is the number of extents of the largest map that we read. Its
// numbers are all in the stream, so a small stream cannot take much memory.
const mapLimit = 1 << 20

// holes reads the map of a sparse file, in whichever format it comes, and
// checks it against the data that follow.
func (r *reader) holes(h *header, records map[string]string, pairs []string) (err error) {
	var n numbers
	switch {
	case h.kind == 'S':
		h.kind, h.sparse = kindFile, true
		h.extents, h.size, err = r.oldMap()
	case h.kind != kindFile:
	case records["GNU.sparse.major"] == "1" && records["GNU.sparse.minor"] == "0":
		h.sparse = true
		h.size = n.decimal("GNU.sparse.realsize", records["GNU.sparse.realsize"], math.MaxInt64)
		h.extents, err = r.dataMap()
	case records["GNU.sparse.map"] != "" || len(pairs) > 0:
		h.sparse = true
		h.size = n.decimal("GNU.sparse.size", records["GNU.sparse.size"], math.MaxInt64)
		if list := records["GNU.sparse.map"]; list != "" {
			pairs = strings.Split(list, ",")
		}
		h.extents, err = pairMap(pairs)
	case records["GNU.sparse.size"] != "" && records["GNU.sparse.numblocks"] == "0":
		h.sparse = true
		h.size = n.decimal("GNU.sparse.size", records["GNU.sparse.size"], math.MaxInt64)
	}
	if !h.sparse || err != nil {
		return err
	}
	if name := records["GNU.sparse.name"]; name != "" {
		h.name = name
	}
	if n.err == nil {
		n.err = checkMap(h, r.left)
	}
	if n.err != nil {
		return r.damaged("%w", n.err)
	}
	return nil
}

// checkMap wants extents in order, within the file, as many bytes as follow.
func checkMap(h *header, data int64) error {
	end := int64(0)
	for _, x := range h.extents {
		if x.off < end || x.size < 0 || x.off > h.size-x.size {
			return fmt.Errorf("%.100q: the map of a sparse file is out of order", h.name)
		}
		end = x.off + x.size
		data -= x.size
	}
	if data != 0 {
		return fmt.Errorf("%.100q: the map of a sparse file does not fit its data", h.name)
	}
	return nil
}

var errMap = errors.New("the map of a sparse file is malformed")

// oldMap reads the GNU format of before pax: pairs in the header block, then
// in as many blocks as are marked.
func (r *reader) oldMap() (list []extent, size int64, err error) {
	var n numbers
	size = n.parse("size", r.block[483:495], math.MaxInt64)
	field, count, more := r.block[386:482], 4, r.block[482]
	for {
		for i := range count {
			p := field[24*i : 24*i+24]
			if p[0] == 0 {
				break
			}
			list = append(list, extent{n.parse("offset", p[:12], math.MaxInt64), n.parse("size", p[12:], math.MaxInt64)})
		}
		if n.err != nil || len(list) > mapLimit {
			return nil, 0, r.damaged("%w", errMap)
		}
		if more == 0 {
			return list, size, nil
		}
		if err := r.full(r.block[:]); err != nil {
			return nil, 0, err
		}
		field, count, more = r.block[:504], 21, r.block[504]
	}
}

// pairMap reads the formats 0.0 and 0.1.
func pairMap(pairs []string) ([]extent, error) {
	if len(pairs)%2 != 0 || len(pairs) > 2*mapLimit {
		return nil, errMap
	}
	var n numbers
	list := make([]extent, 0, len(pairs)/2)
	for i := 0; i < len(pairs); i += 2 {
		list = append(list, extent{n.decimal("offset", pairs[i], math.MaxInt64), n.decimal("size", pairs[i+1], math.MaxInt64)})
	}
	return list, n.err
}

// dataMap reads the format 1.0, whose map comes before the data, in blocks of
// its own.
func (r *reader) dataMap() ([]extent, error) {
	var block [blockSize]byte
	var rest []byte
	number := func() (int64, error) {
		var digits []byte
		for {
			if i := bytes.IndexByte(rest, '\n'); i >= 0 {
				digits, rest = append(digits, rest[:i]...), rest[i+1:]
				n, err := strconv.ParseInt(string(digits), 10, 64)
				if err != nil || n < 0 {
					return 0, r.damaged("%w", errMap)
				}
				return n, nil
			}
			if digits = append(digits, rest...); len(digits) > 20 {
				return 0, r.damaged("%w", errMap)
			}
			if err := r.data(block[:]); err != nil {
				return 0, err
			}
			rest = block[:]
		}
	}
	count, err := number()
	if err == nil && count > mapLimit {
		return nil, r.damaged("the map of a sparse file has %d runs: at most %d are allowed", count, mapLimit)
	}
	var list []extent
	for ; count > 0 && err == nil; count-- {
		var x extent
		if x.off, err = number(); err == nil {
			x.size, err = number()
			list = append(list, x)
		}
	}
	return list, err
}
