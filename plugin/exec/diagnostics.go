package exec

import (
	"bufio"
	"errors"
	"os"
	"strings"

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

// diagnostics reads the standard error of a plugin: it logs each line and
// keeps the last ones for an error to quote.
type diagnostics struct {
	r      *os.File
	log    plugin.Log
	redact *strings.Replacer
	quota  int
	tail   []string
	// held is the last line if it has the form of an error line, by which the
	// plugin reports why it fails. It is logged only when another line follows.
	held string
	done chan struct{}
}

func newDiagnostics(r *os.File, c *command) *diagnostics {
	return &diagnostics{r: r, log: c.log, redact: redactor(c.secrets), quota: logLimit, done: make(chan struct{})}
}

// read ends at the end of the stream. It never stops reading before, since
// the plugin would wait.
func (d *diagnostics) read() {
	defer close(d.done)
	r := bufio.NewReaderSize(d.r, rawLimit)
	for {
		line, err := r.ReadSlice('\n')
		long := errors.Is(err, bufio.ErrBufferFull)
		d.line(string(line), long)
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = r.ReadSlice('\n')
		}
		if err != nil {
			return // io.EOF, or the pipe was closed under a straggler
		}
	}
}

func (d *diagnostics) line(raw string, long bool) {
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

func (d *diagnostics) show(raw string, long bool) {
	line := clean(raw)
	if line == "" {
		return
	}
	if long || len(line) > shownLimit {
		line = cut(line, shownLimit) + cutMark
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
func (d *diagnostics) report() *shield.Error {
	if d.held == "" {
		return nil
	}
	e := pdk.ParseError(d.held)
	e.Field, e.Message = cut(clean(e.Field), 100), cut(clean(e.Message), shownLimit)
	return e
}

// last returns the last lines, for an error.
func (d *diagnostics) last() string {
	lines := make([]string, len(d.tail))
	for n, line := range d.tail {
		lines[n] = line
		if len(line) > tailLimit {
			lines[n] = cut(line, tailLimit) + cutMark
		}
	}
	return strings.Join(lines, "; ")
}
