package task

import (
	"strings"
	"sync"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
)

// quoted is how many of a side's last lines an error quotes.
const quoted = 3

// diagnostics passes log lines on to a monitor and remembers the last of
// each side.
type diagnostics struct {
	monitor shield.Monitor

	mu   sync.Mutex
	last map[shield.Source][]string
}

func newDiagnostics(m shield.Monitor) *diagnostics {
	return &diagnostics{monitor: m, last: map[shield.Source][]string{}}
}

func (d *diagnostics) log(s shield.Source, line string) {
	d.monitor.Log(s, line)
	d.mu.Lock()
	defer d.mu.Unlock()
	lines := append(d.last[s], line)
	if len(lines) > quoted {
		lines = lines[1:]
	}
	d.last[s] = lines
}

// of returns the log of one side.
func (d *diagnostics) of(s shield.Source) plugin.Log {
	return func(line string) { d.log(s, line) }
}

// quote returns the side's last lines, without those that err has already.
func (d *diagnostics) quote(s shield.Source, err error) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	text := err.Error()
	var lines []string
	for _, l := range d.last[s] {
		if !strings.Contains(text, strings.TrimSpace(l)) {
			lines = append(lines, l)
		}
	}
	if len(lines) == 0 {
		return ""
	}
	return "; it last said: " + strings.Join(lines, " | ")
}
