package server_test

import (
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/server"
)

func sumOf(value string) string {
	sum := sha256.Sum256([]byte(value))
	return hex.EncodeToString(sum[:])
}

// audit returns the log from the first entry on, after it has checked that
// each follows the one before.
func (f *fixture) audit() []*shield.AuditEntry {
	f.t.Helper()
	all, err := f.client.Audit(f.t.Context(), url.Values{"behind": {"0"}})
	f.must(err)
	var before *shield.AuditEntry
	for _, e := range all {
		f.must(e.Follows(before))
		before = e
	}
	return all
}

// said are the entries behind the first n, as who, action and result.
func (f *fixture) said(n int) []string {
	f.t.Helper()
	var lines []string
	for _, e := range f.audit()[n:] {
		lines = append(lines, e.Who+" "+e.Action+" "+e.Result)
		if e.From != "127.0.0.1" || e.At.IsZero() {
			f.t.Errorf("entry %d is from %q at %s", e.ID, e.From, e.At)
		}
	}
	return lines
}

func TestAudit(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.setUp("a")
	_, ann := f.user("ann", shield.RoleOperator)
	ctx := t.Context()
	n := len(f.audit())
	for _, step := range []struct {
		name string
		do   func() error
		want []string
	}{
		{"looking", func() error { _, err := ann.Targets().List(ctx, nil); return err }, nil},
		{"looking at the log", func() error { _, err := f.client.Audit(ctx, nil); return err }, nil},
		{"a change", func() error { _, err := f.client.Jobs().Edit(ctx, "a", map[string]any{"paused": true}); return err }, []string{"admin patchJob done"}},
		{"a change that fails", func() error {
			_, err := f.client.Jobs().Edit(ctx, "nowhere", map[string]any{"paused": true})
			return err
		}, []string{"admin patchJob not_found"}},
		{"what is forbidden", func() error { return ann.Jobs().Delete(ctx, "a") }, []string{"ann deleteJob forbidden"}},
		{"a backup", func() error { f.wait(ann.RunJob(ctx, "a")); return nil }, []string{"ann runJob done"}},
		{"a login", func() error { _, _, err := f.client.Login(ctx, "ann", secretWord); return err }, []string{"ann login done"}},
		{"a wrong password", func() error { _, _, err := f.client.Login(ctx, "ann", "wrong horse"); return err }, []string{"ann login unauthorized"}},
		{"a password for a name", func() error { _, _, err := f.client.Login(ctx, secretWord, ""); return err }, []string{" login unauthorized"}},
		{"a token", func() error { _, err := ann.CreateToken(ctx, server.TokenRequest{Name: "x"}); return err }, []string{"ann createToken done"}},
		{"a user", func() error {
			_, err := f.client.CreateUser(ctx, server.UserRequest{Name: "bob", Role: "viewer", Password: secretWord + "2"})
			return err
		}, []string{"admin createUser done"}},
		{"a password", func() error { return ann.ChangePassword(ctx, secretWord, secretWord+"3") }, []string{"ann changePassword done"}},
	} {
		_ = step.do()
		got := f.said(n)
		if strings.Join(got, ", ") != strings.Join(step.want, ", ") {
			t.Errorf("%s: the log says %q, want %q", step.name, got, step.want)
		}
		n += len(got)
	}
	testAuditSecrets(f)
}

// testAuditSecrets looks for passwords and tokens in the log.
func testAuditSecrets(f *fixture) {
	f.t.Helper()
	if text := f.do("GET", "/v1/audit", "").body; strings.Contains(text, secretWord) || strings.Contains(text, "wrong horse") || strings.Contains(text, "shield_") {
		f.t.Errorf("the log has a password or token: %s", text)
	}
}

func TestAuditNamesObjects(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.setUp("a")
	_, ann := f.user("ann", shield.RoleOperator)
	made := f.backup("a")
	restored := f.wait(ann.Restore(t.Context(), made.UUID, server.RestoreRequest{Confirm: "a"}))
	if restored.Owner != "ann" {
		t.Errorf("the owner of the restore is %q", restored.Owner)
	}
	target, err := f.client.Targets().Get(t.Context(), "a")
	f.must(err)
	f.do("DELETE", "/v1/targets/nowhere%2Fx", "")
	objects := map[string]string{}
	for _, e := range f.audit() {
		objects[e.Action] = e.Object
	}
	for action, want := range map[string]string{
		"createTarget":   "target a " + target.UUID,
		"restoreArchive": "restore task " + restored.UUID + ", archive " + made.UUID + ", target a, store a",
		"deleteTarget":   "target nowhere/x",
	} {
		if objects[action] != want {
			t.Errorf("%s was done to %q, want %q", action, objects[action], want)
		}
	}
}

func TestAuditLists(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.setUp("a")
	for _, test := range []struct {
		query string
		want  []int64
	}{
		{"", []int64{5, 4, 3, 2, 1}}, {"limit=2", []int64{5, 4}}, {"behind=3", []int64{4, 5}}, {"behind=0&limit=1", []int64{1}},
		{"who=nobody", nil}, {"before=20200101", nil},
	} {
		q, err := url.ParseQuery(test.query)
		f.must(err)
		all, err := f.client.Audit(t.Context(), q)
		f.must(err)
		var ids []int64
		for _, e := range all {
			ids = append(ids, e.ID)
		}
		if len(ids) != len(test.want) || len(ids) > 0 && (ids[0] != test.want[0] || ids[len(ids)-1] != test.want[len(ids)-1]) {
			t.Errorf("%s: %v, want %v", test.query, ids, test.want)
		}
	}
	if p := f.refused(f.do("GET", "/v1/audit?behind=x", "")); p.Field != "behind" {
		t.Errorf("%+v", p)
	}
	if !strings.Contains(f.do("GET", "/v1/audit?who=nobody", "").body, "[]") {
		t.Error("an empty list is not []")
	}
}

// TestAuditFails: what cannot be written to the log is said loudly, and a
// change that is not in the log is not made.
func TestAuditFails(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.must(f.exec(`CREATE TRIGGER no_log BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'no'); END`))
	a := f.do("POST", "/v1/retention", `{"name":"a","expiry":1}`)
	if a.status < 400 {
		t.Errorf("a change without an entry is made: %d %s", a.status, a.body)
	}
	if all, err := f.client.Policies().List(t.Context(), nil); err != nil || len(all) != 0 {
		t.Errorf("a change that failed is made: %v, %v", all, err)
	}
	if !strings.Contains(f.log.String(), "NOT IN THE AUDIT LOG") || !strings.Contains(f.log.String(), "createPolicy") {
		t.Errorf("the log does not say so: %s", f.log)
	}
}

// exec changes the catalog behind its back.
func (f *fixture) exec(statement string) error {
	db, err := sql.Open("sqlite", filepath.Join(f.data, "catalog.db")+"?_pragma=busy_timeout(5000)")
	if err != nil {
		return err
	}
	defer db.Close()
	_, err = db.ExecContext(f.t.Context(), statement)
	return err
}
