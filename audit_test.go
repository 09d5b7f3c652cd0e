package shield_test

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/shieldhq/shield"
)

func auditChain(n int) []*shield.AuditEntry {
	var before *shield.AuditEntry
	var all []*shield.AuditEntry
	for i := range n {
		e := &shield.AuditEntry{
			At:  time.Date(2026, 3, 4, 5, 6, 7+i, 891_234_567, time.UTC),
			Who: "ann", From: "192.0.2.1", Action: "create-target", Object: `target "<www>&é`, Result: shield.AuditDone,
		}
		e.Seal(before)
		all, before = append(all, e), e
	}
	return all
}

// verify returns the ID of the first entry that does not follow, or 0.
func verify(all []*shield.AuditEntry) (int64, error) {
	var before *shield.AuditEntry
	for _, e := range all {
		if err := e.Follows(before); err != nil {
			return e.ID, err
		}
		before = e
	}
	return 0, nil
}

// TestAuditSum holds the sum to what docs/formats.md says.
func TestAuditSum(t *testing.T) {
	all := auditChain(2)
	want := ""
	for n, e := range all {
		text := want + `{"action":"create-target","at":"2026-03-04T05:06:0` + string(rune('7'+n)) + `.891Z","from":"192.0.2.1","id":` +
			string(rune('1'+n)) + `,"object":"target \"<www>&é","result":"done","who":"ann"}`
		sum := sha256.Sum256([]byte(text))
		want = hex.EncodeToString(sum[:])
		if e.Sum != want {
			t.Errorf("entry %d has the sum %s, want %s", e.ID, e.Sum, want)
		}
	}
}

func TestAuditChainBreaks(t *testing.T) {
	if id, err := verify(auditChain(5)); err != nil {
		t.Fatalf("entry %d: %v", id, err)
	}
	change := func(f func(e *shield.AuditEntry)) func([]*shield.AuditEntry) []*shield.AuditEntry {
		return func(all []*shield.AuditEntry) []*shield.AuditEntry { f(all[2]); return all }
	}
	for _, test := range []struct {
		name  string
		spoil func([]*shield.AuditEntry) []*shield.AuditEntry
		at    int64
		text  string
	}{
		{"who", change(func(e *shield.AuditEntry) { e.Who = "bob" }), 3, "entry 3 was changed"},
		{"from", change(func(e *shield.AuditEntry) { e.From = "" }), 3, "entry 3 was changed"},
		{"time", change(func(e *shield.AuditEntry) { e.At = e.At.Add(time.Millisecond) }), 3, "entry 3 was changed"},
		{"action", change(func(e *shield.AuditEntry) { e.Action = "x" }), 3, "entry 3 was changed"},
		{"object", change(func(e *shield.AuditEntry) { e.Object = "x" }), 3, "entry 3 was changed"},
		{"result", change(func(e *shield.AuditEntry) { e.Result = "forbidden" }), 3, "entry 3 was changed"},
		{"sealed anew", change(func(e *shield.AuditEntry) {
			e.Who = "bob"
			e.Seal(&shield.AuditEntry{ID: 2, Sum: e.Before})
		}), 4, "entry 4 was not written behind"},
		{"removed", func(all []*shield.AuditEntry) []*shield.AuditEntry { return append(all[:1], all[2:]...) }, 3, "entry 2 is missing"},
		{"first removed", func(all []*shield.AuditEntry) []*shield.AuditEntry { return all[1:] }, 2, "entry 1 is missing"},
		{"twice", func(all []*shield.AuditEntry) []*shield.AuditEntry { return append(all[:2:2], all[1:]...) }, 2, "entry 3 is missing: 2 comes"},
	} {
		t.Run(test.name, func(t *testing.T) {
			id, err := verify(test.spoil(auditChain(5)))
			if id != test.at || shield.CodeOf(err) != shield.Corrupt || !strings.Contains(err.Error(), test.text) {
				t.Errorf("entry %d: %v, want entry %d and %q", id, err, test.at, test.text)
			}
		})
	}
}
