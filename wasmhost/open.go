package wasmhost

import (
	"bytes"
	"encoding/json"
)

// A descriptor says what to open: exactly one of its fields. Keys that this
// host does not know are ignored.
type descriptor struct {
	TCP   *tcpDescriptor   `json:"tcp"`
	TLS   *tlsDescriptor   `json:"tls"`
	HTTP  *httpDescriptor  `json:"http"`
	Exec  *execDescriptor  `json:"exec"`
	Files *filesDescriptor `json:"files"`
	// Stderr is for what a program of Exec complains of.
	Stderr *stderrDescriptor `json:"stderr"`
	Hash   *hashDescriptor   `json:"hash"`
}

// openDescriptor returns the number of a new handle, or a negated errno.
func (i *instance) openDescriptor(m memory, text []byte) int32 {
	d, err := parseDescriptor(text)
	if err != nil {
		return i.fail(i.errorf(errInvalid, "the descriptor %v", err))
	}
	h, err := d.open(i, m)
	if err != nil {
		return i.fail(err)
	}
	n, err := i.add(h)
	if err != nil {
		return i.fail(err)
	}
	return n
}

func parseDescriptor(text []byte) (*descriptor, error) {
	var d descriptor
	if err := json.NewDecoder(bytes.NewReader(text)).Decode(&d); err != nil {
		return nil, errorText("is not the JSON object that was wanted: " + err.Error())
	}
	if len(text) > requestLimit && d.TLS == nil && d.HTTP == nil && d.Exec == nil {
		return nil, errorText("is too long")
	}
	kinds := 0
	for _, has := range []bool{d.TCP != nil, d.TLS != nil, d.HTTP != nil, d.Exec != nil, d.Files != nil, d.Stderr != nil, d.Hash != nil} {
		if has {
			kinds++
		}
	}
	if kinds != 1 {
		return nil, errorText(`has to have one of the keys "tcp", "tls", "http", "exec", "stderr", "files" and "hash"`)
	}
	return &d, nil
}

// An errorText is an error of nothing but its text.
type errorText string

func (e errorText) Error() string { return string(e) }

func (d *descriptor) open(i *instance, m memory) (handle, error) {
	switch {
	case d.TCP != nil:
		return i.openTCP(d.TCP)
	case d.TLS != nil:
		return i.openTLS(d.TLS)
	case d.HTTP != nil:
		return i.openHTTP(d.HTTP, m)
	case d.Exec != nil:
		return i.openExec(d.Exec)
	case d.Stderr != nil:
		return i.openStderr(d.Stderr)
	case d.Hash != nil:
		return i.openHash(d.Hash)
	}
	return i.openFiles(d.Files)
}
