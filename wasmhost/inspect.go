package wasmhost

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// moduleLimit is the size of the largest module.
const moduleLimit = 64 << 20

// A flavour is how a module is called.
type flavour int

const (
	command flavour = iota // exports _start and follows the calling protocol
	extism                 // exports functions named after the actions
)

// The modules that host functions are imported from.
const (
	wasiModule       = "wasi_snapshot_preview1"
	extismModule     = "extism:host/env"
	extismUserModule = "extism:host/user"
)

// An outline is what the host has to know of a module before it is compiled.
type outline struct {
	flavour flavour
	imports []imported
	exports map[string]bool
	pages   uint64 // of memory that it begins with
}

// An imported is a function that the module wants.
type imported struct{ module, name string }

var errTruncated = errors.New("ends in the middle")

// inspect reads the outline of a module. It believes nothing that it reads:
// whatever is wrong is an error that says so.
func inspect(module []byte) (*outline, error) {
	switch {
	case len(module) > moduleLimit:
		return nil, fmt.Errorf("has %d bytes: at most %d are allowed", len(module), moduleLimit)
	case !bytes.HasPrefix(module, []byte("\x00asm")):
		return nil, errors.New(`is not a WebAssembly module: it does not begin with "\0asm"`)
	case len(module) < 8:
		return nil, errTruncated
	}
	if v := binary.LittleEndian.Uint32(module[4:]); v != 1 {
		return nil, fmt.Errorf("has version %#x: a module of version 1 is wanted, and no component", v)
	}
	o := &outline{exports: map[string]bool{}}
	for c := (cursor{module[8:]}); len(c.b) > 0; {
		id := c.b[0]
		c.b = c.b[1:]
		body, err := c.block()
		if err != nil {
			return nil, err
		}
		if err := o.section(id, body); err != nil {
			return nil, fmt.Errorf("section %d: %w", id, err)
		}
	}
	return o, o.classify()
}

// classify finds the flavour, and refuses imports that nobody provides.
func (o *outline) classify() error {
	known := map[string]bool{wasiModule: true, abiModule: true}
	for _, i := range o.imports {
		if i.module == extismModule || i.module == extismUserModule {
			o.flavour = extism
		}
	}
	if o.flavour == extism {
		known = map[string]bool{wasiModule: true, extismModule: true, extismUserModule: true}
	}
	for _, i := range o.imports {
		if !known[i.module] || i.module == abiModule && !abiNames[i.name] || i.module == extismUserModule && !extismNames[i.name] {
			return fmt.Errorf("imports the function %.100q of %.100q, which this host does not have", i.name, i.module)
		}
	}
	switch {
	case o.flavour == command && !o.exports["_start"]:
		return errors.New("exports no _start: a WASI command is wanted, or an Extism module")
	case o.flavour == extism && !o.exports["info"]:
		return errors.New("exports no function info, as an Extism module has to")
	}
	return nil
}

// abiNames and extismNames are never written to.
var (
	abiNames = map[string]bool{
		"open": true, "read": true, "write": true, "shut": true, "copy": true, "poll": true, "stat": true, "close": true,
	}
	extismNames = map[string]bool{
		"shield_open": true, "shield_read": true, "shield_write": true, "shield_shut": true,
		"shield_copy": true, "shield_stat": true, "shield_close": true,
	}
)

// The sections that matter here, and the kind of imports and exports.
const (
	sectionImport = 2
	sectionMemory = 5
	sectionExport = 7

	kindFunction = 0
)

func (o *outline) section(id byte, c cursor) error {
	switch id {
	case sectionImport:
		return c.each(o.importEntry)
	case sectionMemory:
		return c.each(o.memoryEntry)
	case sectionExport:
		return c.each(o.exportEntry)
	}
	return nil
}

func (o *outline) importEntry(c *cursor) error {
	module, err := c.name()
	if err != nil {
		return err
	}
	name, err := c.name()
	if err != nil {
		return err
	}
	kind, err := c.byte()
	if err != nil {
		return err
	}
	if kind != kindFunction {
		return fmt.Errorf("imports %.100q of %.100q, which is no function: only functions can be imported", name, module)
	}
	o.imports = append(o.imports, imported{module, name})
	_, err = c.number()
	return err
}

func (o *outline) memoryEntry(c *cursor) error {
	flags, err := c.number()
	if err != nil {
		return err
	}
	if o.pages, err = c.number(); err != nil {
		return err
	}
	if flags&1 != 0 {
		_, err = c.number()
	}
	return err
}

func (o *outline) exportEntry(c *cursor) error {
	name, err := c.name()
	if err != nil {
		return err
	}
	kind, err := c.byte()
	if err != nil {
		return err
	}
	if kind == kindFunction {
		o.exports[name] = true
	}
	_, err = c.number()
	return err
}

// A cursor reads the binary format.
type cursor struct{ b []byte }

// each calls f once for each entry of a vector.
func (c *cursor) each(f func(*cursor) error) error {
	n, err := c.number()
	if err != nil {
		return err
	}
	for ; n > 0; n-- {
		if err := f(c); err != nil {
			return err
		}
	}
	return nil
}

func (c *cursor) byte() (byte, error) {
	if len(c.b) == 0 {
		return 0, errTruncated
	}
	v := c.b[0]
	c.b = c.b[1:]
	return v, nil
}

// number reads an unsigned number of at most 32 bits.
func (c *cursor) number() (uint64, error) {
	v, n := binary.Uvarint(c.b[:min(len(c.b), 5)])
	if n <= 0 || v > 1<<32-1 {
		return 0, errTruncated
	}
	c.b = c.b[n:]
	return v, nil
}

func (c *cursor) block() (cursor, error) {
	n, err := c.number()
	if err != nil || n > uint64(len(c.b)) {
		return cursor{}, errTruncated
	}
	body := c.b[:n]
	c.b = c.b[n:]
	return cursor{body}, nil
}

func (c *cursor) name() (string, error) {
	b, err := c.block()
	return string(b.b), err
}
