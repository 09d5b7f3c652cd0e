package child

import (
	"bytes"
	"slices"
	"strings"
	"sync"

	"github.com/shieldhq/shield/plugin"
)

const (
	lineLimit = 4 << 10
	keptLines = 50
	quoted    = 3 // lines, in an error
)

// lines takes what a program writes to standard error: it logs each line and
// keeps the last ones, without secrets. It is safe for concurrent use.
type lines struct {
	log    plugin.Log
	redact *strings.Replacer
	mu     sync.Mutex
	part   []byte
	last   []string
}

func newLines(log plugin.Log, secrets []string) *lines {
	if log == nil {
		log = func(string) {}
	}
	var pairs []string
	for _, s := range secrets {
		if s != "" {
			pairs = append(pairs, s, "[secret]")
		}
	}
	return &lines{log: log, redact: strings.NewReplacer(pairs...)}
}

// Write implements io.Writer. It never fails.
func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(p)
	for len(p) > 0 {
		line, rest, ended := bytes.Cut(p, []byte("\n"))
		l.part = append(l.part, line[:min(len(line), lineLimit-min(lineLimit, len(l.part)))]...)
		if ended {
			l.end()
		}
		p = rest
	}
	return n, nil
}

// all ends the last line and returns what was kept.
func (l *lines) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.end()
	return slices.Clone(l.last)
}

// end ends a line.
func (l *lines) end() {
	line := l.redact.Replace(strings.TrimRight(string(l.part), "\r "))
	l.part = l.part[:0]
	if line == "" {
		return
	}
	l.log(line)
	if len(l.last) == keptLines {
		l.last = append(l.last[:0], l.last[1:]...)
	}
	l.last = append(l.last, line)
}
