//go:build linux

package shieldtest

import (
	"bytes"
	"os"
	"testing"

	"github.com/shieldhq/shield/plugin"
)

// Sessions are how often a target may start the program that logs in to its
// server, for each of its calls.
type Sessions struct{ Probe, Backup, Restore int64 }

// Check makes each call once and fails the test if one starts the program more
// often. The program adds a byte to the file runs whenever it starts.
func (s Sessions) Check(t *testing.T, target plugin.Target, runs string) {
	t.Helper()
	var archive bytes.Buffer
	for _, c := range []struct {
		name string
		call func() error
		most int64
	}{
		{"probe", func() error { _, err := target.(plugin.Prober).Probe(t.Context()); return err }, s.Probe},
		{"backup", func() error { return target.Backup(t.Context(), &archive) }, s.Backup},
		{"restore", func() error { return target.Restore(t.Context(), &archive) }, s.Restore},
	} {
		if err := c.call(); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		info, err := os.Stat(runs)
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() > c.most {
			t.Errorf("%s: %d sessions, want %d", c.name, info.Size(), c.most)
		}
		if err := os.Remove(runs); err != nil {
			t.Fatal(err)
		}
	}
}
