package pg

import (
	"bufio"
	"bytes"
	"io"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
)

// Inspect reads a stream of DumpOne or DumpAll to its end and says whether it
// is whole.
func Inspect(r *bufio.Reader) (plugin.Probe, error) {
	if magic, _ := r.Peek(len(Magic)); string(magic) == Magic { // a short stream is no archive
		return inspectOne(r)
	}
	return inspectAll(r)
}

func inspectOne(r *bufio.Reader) (plugin.Probe, error) {
	toc, err := ReadTOC(r)
	if err != nil {
		return plugin.Probe{}, err
	}
	rows, blobs, err := toc.Rows(r)
	if err != nil {
		return plugin.Probe{}, err
	}
	p := plugin.Probe{
		Counts:   map[string]int64{"databases": 1, "tables": int64(toc.Tables)},
		Versions: map[string]string{"server": "PostgreSQL " + toc.ServerText, "pg_dump": toc.ToolText},
	}
	if !toc.Compressed {
		p.Counts["rows"], p.Counts["large_objects"] = rows, blobs
	}
	return p, nil
}

// A scan is the state of reading a script line by line.
type scan struct {
	copying      bool // within the rows of a table
	rows, tables int64
	ends         int  // databases that have their last line
	ended        bool // the cluster has, and nothing but comments followed
}

func inspectAll(r *bufio.Reader) (plugin.Probe, error) {
	about, _, err := readAbout(r)
	if err != nil {
		return plugin.Probe{}, err
	}
	s := &scan{}
	if err := s.lines(r); err != nil {
		return plugin.Probe{}, err
	}
	switch {
	case s.copying:
		err = shield.Errorf(shield.Corrupt, "", "the dump of the cluster ends within the rows of a table")
	case s.ends < len(about.Databases):
		err = shield.Errorf(shield.Corrupt, "", "the dump of the cluster ends early: it has the ends of %d of %d databases", s.ends, len(about.Databases))
	case !s.ended:
		err = shield.Errorf(shield.Corrupt, "", "the dump of the cluster ends early: its last line is missing")
	}
	return plugin.Probe{
		Counts:   map[string]int64{"databases": int64(len(about.Databases)), "tables": s.tables, "rows": s.rows},
		Versions: map[string]string{"server": "PostgreSQL " + about.Server, "pg_dump": about.Tool},
	}, err
}

// lines reads all lines. Of a long one only the beginning is looked at, and
// whether it has an end.
func (s *scan) lines(r *bufio.Reader) error {
	begins := true
	for {
		line, err := r.ReadSlice('\n')
		if begins && len(line) > 0 {
			s.line(line)
		}
		if s.copying && err == nil && !begins && bytes.HasSuffix(line, []byte("\n")) {
			s.rows++
		}
		begins = err == nil
		if err == io.EOF {
			return nil
		}
		if err != nil && err != bufio.ErrBufferFull {
			return err
		}
	}
}

func (s *scan) line(line []byte) {
	text, whole := bytes.CutSuffix(line, []byte("\n"))
	switch {
	case s.copying && whole && string(text) == `\.`:
		s.copying = false
	case s.copying && whole:
		s.rows++
	case s.copying:
	case bytes.HasPrefix(text, []byte("COPY ")) && bytes.HasSuffix(text, []byte(" FROM stdin;")):
		s.copying, s.ended = true, false
	case bytes.HasPrefix(text, []byte("CREATE TABLE ")), bytes.HasPrefix(text, []byte("CREATE UNLOGGED TABLE ")):
		s.tables++
		s.ended = false
	case string(text) == databaseEnd:
		s.ends++
	case string(text) == clusterEnd:
		s.ended = true
	case len(text) > 0 && !bytes.HasPrefix(text, []byte("--")):
		s.ended = false
	}
}
