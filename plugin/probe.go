package plugin

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of a Probe, in entries a map and bytes a text.
const (
	probeEntries = 64
	probeName    = 64
	probeText    = 200
)

// Check reports what is wrong with a probe that a plugin gave: too many
// entries, a name or version that is no short line of text, a negative count.
func (p *Probe) Check() error {
	if n := max(len(p.Counts), len(p.Versions)); n > probeEntries {
		return fmt.Errorf("the probe has %d entries: at most %d are allowed", n, probeEntries)
	}
	for name, n := range p.Counts {
		if err := checkLine("counts", name, probeName); err != nil {
			return err
		}
		if n < 0 {
			return fmt.Errorf("counts.%s is %d: it cannot be negative", name, n)
		}
	}
	for name, version := range p.Versions {
		if err := checkLine("versions", name, probeName); err != nil {
			return err
		}
		if err := checkLine("versions."+name, version, probeText); err != nil {
			return err
		}
	}
	return nil
}

func checkLine(field, s string, limit int) error {
	if s == "" || len(s) > limit || !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) {
		return fmt.Errorf("%s has %.80q: 1 to %d bytes of text on one line are wanted", field, s, limit)
	}
	return nil
}

// Empty reports whether the counts say that there is nothing, as far as they
// say anything.
func (p *Probe) Empty() bool {
	for _, n := range p.Counts {
		if n > 0 {
			return false
		}
	}
	return true
}
