package postgres

import (
	"bytes"
	"io"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin/pdk"
	"github.com/shieldhq/shield/plugins-wasm/internal/pg"
)

// peeked is a reader whose beginning was looked at.
type peeked struct {
	r     io.Reader
	begin bytes.Reader
}

// kind returns what the stream is.
func (p *peeked) kind() (pg.Kind, error) {
	b := make([]byte, pg.KindSize)
	n, err := io.ReadFull(p.r, b)
	p.begin.Reset(b[:n])
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return pg.KindNone, err
	}
	k := pg.KindOf(b[:n])
	if k == pg.KindNone {
		return k, errKind()
	}
	return k, nil
}

func errKind() error {
	return shield.Errorf(shield.Corrupt, "", "the stream is none that this plugin has written: neither an archive of pg_dump nor a dump of a cluster nor the files of one")
}

// Read implements io.Reader.
func (p *peeked) Read(b []byte) (int, error) {
	if p.begin.Len() > 0 {
		return p.begin.Read(b)
	}
	return p.r.Read(b)
}

// WriteTo implements io.WriterTo, so that pdk.Copy moves the rest on the host.
func (p *peeked) WriteTo(w io.Writer) (int64, error) {
	n, err := p.begin.WriteTo(w)
	if err != nil {
		return n, err
	}
	m, err := pdk.Copy(w, p.r)
	return n + m, err
}
