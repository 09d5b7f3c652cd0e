package calling

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
	"sync"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugin/pdk"
)

const (
	rawLimit   = 8 << 10 // of one line as the plugin wrote it
	shownLimit = 4 << 10 // of one line as it is logged
	logLimit   = 1 << 20 // of all lines of a call
	tailLines  = 3       // that an error quotes
	tailLimit  = 500     // of each of them
	cutMark    = " ... cut"
)

// Diagnostics takes what a plugin writes to its standard error: it logs each
// line, cleaned and redacted, and keeps the last ones for an error to quote.
// It may be written to by several writers at once.
type Diagnostics struct {
	log    plugin.Log
	redact *strings.Replacer

	mu    sync.Mutex
	quota int
	tail  []string
	// held is the last line if it has the form of an error line, by which the
	// plugin reports why it fails. It is logged only when another line follows.
	held string
	part []byte // of a line, not yet ended
	long bool   // more of the line than part holds was dropped
}

// NewDiagnostics returns the diagnostics of one call.
func NewDiagnostics(log plugin.Log, secrets []string) *Diagnostics {
	return &Diagnostics{log: log, redact: redactor(secrets), quota: logLimit}
}

// ReadFrom implements io.ReaderFrom. It never stops reading before the end,
// since the plugin would wait. Its error is nil: a pipe that was closed under
// a straggler is an end, too.
func (d *Diagnostics) ReadFrom(r io.Reader) (int64, error) {
	b := bufio.NewReaderSize(r, rawLimit)
	for {
		line, err := b.ReadSlice('\n')
		_, _ = d.Write(line)
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			d.Flush()
			return 0, nil
		}
	}
}

// Write implements io.Writer. It never fails.
func (d *Diagnostics) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := len(p)
	for len(p) > 0 {
		line, rest, ended := cutLine(p)
		room := rawLimit - len(d.part)
		d.long = d.long || len(line) > room
		d.part = append(d.part, line[:min(room, len(line))]...)
		if ended {
			d.endLine()
		}
		p = rest
	}
	return n, nil
}

func cutLine(p []byte) (line, rest []byte, ended bool) {
	if i := bytes.IndexByte(p, '\n'); i >= 0 {
		return p[:i], p[i+1:], true
	}
	return p, nil, false
}

// Flush ends a last line that has no end.
func (d *Diagnostics) Flush() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.part) > 0 {
		d.endLine()
	}
}

func (d *Diagnostics) endLine() {
	raw, long := string(d.part), d.long
	d.part, d.long = d.part[:0], false
	raw = d.redact.Replace(strings.TrimRight(raw, "\r\n"))
	if strings.TrimSpace(raw) == "" {
		return
	}
	if d.held != "" {
		d.show(d.held, false)
		d.held = ""
	}
	if !long && pdk.ParseError(raw) != nil {
		d.held = raw
		return
	}
	d.show(raw, long)
}

func (d *Diagnostics) show(raw string, long bool) {
	line := Clean(raw)
	if line == "" {
		return
	}
	if long || len(line) > shownLimit {
		line = Cut(line, shownLimit) + cutMark
	}
	d.tail = append(d.tail, line)
	d.tail = d.tail[max(0, len(d.tail)-tailLines):]
	if d.quota < 0 {
		return
	}
	if d.quota -= len(line); d.quota < 0 {
		line = "... cut: the plugin has written more than 1 MiB of diagnostics"
	}
	d.log(line)
}

// report returns the error that the plugin reported, nil if it reported none.
func (d *Diagnostics) report() *shield.Error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.held == "" {
		return nil
	}
	e := pdk.ParseError(d.held)
	e.Field, e.Message = Cut(Clean(e.Field), 100), Cut(Clean(e.Message), shownLimit)
	return e
}

// last returns the last lines, for an error.
func (d *Diagnostics) last() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	lines := make([]string, len(d.tail))
	for n, line := range d.tail {
		lines[n] = line
		if len(line) > tailLimit {
			lines[n] = Cut(line, tailLimit) + cutMark
		}
	}
	return strings.Join(lines, "; ")
}
