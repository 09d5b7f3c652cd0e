package tool

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/shieldhq/shield/plugin"
)

const (
	lineLimit = 4 << 10 // of one line
	keptLines = 100     // at the beginning, and at the end
)

// lines takes what a program writes to standard error: it logs each line and
// keeps the first and the last ones.
type lines struct {
	log     plugin.Log
	redact  *strings.Replacer
	part    []byte
	first   []string
	last    []string
	dropped int
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
	n := len(p)
	for len(p) > 0 {
		line, rest, ended := bytes.Cut(p, []byte("\n"))
		l.part = append(l.part, line[:min(len(line), lineLimit-min(lineLimit, len(l.part)))]...)
		if ended {
			l.flush()
		}
		p = rest
	}
	return n, nil
}

// flush ends a line.
func (l *lines) flush() {
	line := l.redact.Replace(strings.TrimRight(string(l.part), "\r "))
	l.part = l.part[:0]
	if line == "" {
		return
	}
	l.log(line)
	if len(l.first) < keptLines {
		l.first = append(l.first, line)
		return
	}
	if len(l.last) == keptLines {
		l.last = append(l.last[:0], l.last[1:]...)
		l.dropped++
	}
	l.last = append(l.last, line)
}

func (l *lines) all() []string {
	all := append([]string(nil), l.first...)
	if l.dropped > 0 {
		all = append(all, fmt.Sprintf("(%d lines are left out here)", l.dropped))
	}
	return append(all, l.last...)
}
