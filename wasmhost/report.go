package wasmhost

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"slices"
	"strconv"
	"sync"

	"github.com/shieldhq/shield/internal/calling"
	"github.com/shieldhq/shield/plugin"
)

// A module in a process of its own has its denials told to the host by one
// more file descriptor, a line of JSON each. The host takes nothing of them
// on trust: who has called what it knows itself, so that a child that was
// taken over can make noise about its own plugin and no more. The result of
// the call goes another way.

// A report is one denial.
type report struct {
	Capability string `json:"capability"`
	Text       string `json:"text"`
}

// Limits of what is believed of a child.
const (
	reportLine = 4 << 10
	reportText = 600
)

// capabilities are those that an Event may name.
var capabilities = []string{"tcp", "http", "read", "write", "own", "exec"}

// takeReports passes on the denials that a child tells of, as many as one
// call may make, and stops at what is none.
func takeReports(r io.Reader, emit func(capability, text string)) {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 512), reportLine)
	for n := 0; n < auditLimit && lines.Scan(); n++ {
		var d report
		if json.Unmarshal(lines.Bytes(), &d) != nil || !slices.Contains(capabilities, d.Capability) {
			return
		}
		emit(d.Capability, calling.Cut(calling.Clean(d.Text), reportText))
	}
}

// reports returns what a host with an audit reads of its children.
func (p *isolated) reports(a plugin.Action, r io.Reader) {
	name := p.calledName()
	takeReports(r, func(capability, text string) {
		p.host.options.Audit(Event{Plugin: name, Digest: p.digest, Op: name + " " + string(a), Capability: capability, Text: text})
	})
}

// reporter returns the audit of a child: it writes to the descriptor that the
// host has named. The programs that the guest runs do not get it.
func reporter(getenv func(string) string) func(Event) {
	fd, err := strconv.ParseUint(getenv("SHIELD_REPORT_FD"), 10, 16)
	if err != nil {
		return nil
	}
	f := os.NewFile(uintptr(fd), "reports")
	if f == nil {
		return nil
	}
	closeOnExec(uintptr(fd))
	var mu sync.Mutex
	return func(e Event) {
		b, err := json.Marshal(report{e.Capability, e.Text})
		if err != nil {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		_, _ = f.Write(append(b, '\n')) // a host that does not listen any more has the result
	}
}
