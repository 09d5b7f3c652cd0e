package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/shieldhq/shield"
)

// logServer answers with an audit log, in pages.
func logServer(t *testing.T, all []*shield.AuditEntry) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		behind, _ := strconv.ParseInt(req.FormValue("behind"), 10, 64)
		page := []*shield.AuditEntry{}
		for _, e := range all {
			if e.ID > behind && len(page) < auditPage {
				page = append(page, e)
			}
		}
		_ = json.NewEncoder(w).Encode(page)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// TestVerifyAudit reads a log of several pages.
func TestVerifyAudit(t *testing.T) {
	t.Parallel()
	const length = 2*auditPage + 1
	for _, test := range []struct {
		name   string
		spoil  func(all []*shield.AuditEntry) []*shield.AuditEntry
		status int
		text   string
	}{
		{"whole", func(all []*shield.AuditEntry) []*shield.AuditEntry { return all }, 0, "2001 entries, each follows"},
		{"empty", func([]*shield.AuditEntry) []*shield.AuditEntry { return nil }, 0, "0 entries"},
		{"changed", func(all []*shield.AuditEntry) []*shield.AuditEntry { all[1500].Who = "bob"; return all }, 1, "entry 1501 was changed"},
		{"removed at a page's end", func(all []*shield.AuditEntry) []*shield.AuditEntry {
			return append(all[:auditPage], all[auditPage+1:]...)
		}, 1, "entry 1001 is missing"},
		{"first removed", func(all []*shield.AuditEntry) []*shield.AuditEntry { return all[1:] }, 1, "entry 1 is missing"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var all []*shield.AuditEntry
			var before *shield.AuditEntry
			for range length {
				e := &shield.AuditEntry{At: time.Unix(1, 0), Who: "ann", Action: "login", Result: shield.AuditDone}
				e.Seal(before)
				all, before = append(all, e), e
			}
			var out, errOut bytes.Buffer
			args := []string{"--api", logServer(t, test.spoil(all)), "--config", filepath.Join(t.TempDir(), "none"), "audit", "verify"}
			if status := run(args, nil, &out, &errOut); status != test.status || !strings.Contains(out.String()+errOut.String(), test.text) {
				t.Errorf("status %d, %s%s, want %d and %q", status, &out, &errOut, test.status, test.text)
			}
		})
	}
}
