package tool

import (
	"strings"

	"github.com/shieldhq/shield"
)

// A Rule says what a line on standard error means.
type Rule struct {
	Text string // is part of the line, without regard to case
	Code shield.Code
}

// A Dialect is how a family of programs tells of failures.
type Dialect struct {
	// Complaint says of a line that it tells of a failure, even if the
	// program exits with 0.
	Complaint func(line string) bool
	// Rules classify failures; the first that fits one of the lines counts.
	// One that none fits is TargetFailed.
	Rules []Rule
}

// common are the rules for what every program may say. It is never written to.
var common = []Rule{
	{"no space left on device", shield.TargetFailed},
	{"connection refused", shield.Unavailable},
	{"connection reset", shield.Unavailable},
	{"connection timed out", shield.Unavailable},
	{"timeout expired", shield.Unavailable},
	{"broken pipe", shield.Unavailable},
	{"no route to host", shield.Unavailable},
	{"network is unreachable", shield.Unavailable},
	{"could not translate host name", shield.Unavailable},
	{"name or service not known", shield.Unavailable},
	{"temporary failure in name resolution", shield.Unavailable},
}

func (d *Dialect) complains(line string) bool {
	return d != nil && d.Complaint != nil && d.Complaint(line)
}

// quoted is how many lines an error quotes.
const quoted = 3

// failure returns the error of a program that failed, which ended like this
// and wrote these lines. It quotes the first complaints, since the later ones
// follow from them, or the last lines if none is a complaint.
func (d *Dialect) failure(name, state string, lines []string) error {
	var bad []string
	for _, line := range lines {
		if d.complains(line) {
			bad = append(bad, line)
		}
	}
	if bad == nil {
		bad = lines[max(0, len(lines)-quoted):]
	}
	text := name + ": " + state
	if len(bad) > 0 {
		text += ": " + strings.TrimPrefix(strings.Join(bad[:min(quoted, len(bad))], "; "), name+": ")
	}
	return &shield.Error{Code: d.Classify(lines), Message: text}
}

// Classify returns the code of a failure of which a program wrote lines.
func (d *Dialect) Classify(lines []string) shield.Code {
	var rules []Rule
	if d != nil {
		rules = append(rules, d.Rules...)
	}
	for _, r := range append(rules, common...) {
		for _, line := range lines {
			if strings.Contains(strings.ToLower(line), strings.ToLower(r.Text)) {
				return r.Code
			}
		}
	}
	return shield.TargetFailed
}
