package server_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/server"
)

// TestStrangersWriteNothing: what is refused before a password is looked at does
// not fill the audit log, nor does a name of any length stay in memory.
func TestStrangersWriteNothing(t *testing.T) {
	f := newFixture(t)
	entries := func() int {
		all, err := f.client.Audit(t.Context(), nil)
		f.must(err)
		return len(all)
	}
	before := entries()
	for _, body := range []string{"x", `{"name":5,"password":"b"}`, strings.Repeat("y", 20_000)} {
		if a := f.in("POST", "/v1/session", body); a.status < 400 {
			t.Errorf("%.20q: %d", body, a.status)
		}
	}
	f.in("POST", "/v1/session?none=such", `{"name":"a","password":"b"}`)
	f.in("POST", "/v1/session", `{"name":"a","password":"b"}`, "Sec-Fetch-Site", "cross-site", "Origin", "https://elsewhere.example")
	if n := entries(); n != before {
		t.Errorf("%d entries were written", n-before)
	}
	f.in("POST", "/v1/session", `{"name":"`+strings.Repeat("n", 10_000)+`","password":"b"}`)
	if n := entries(); n != before+1 {
		t.Errorf("%d entries were written for a wrong password, one is wanted", n-before)
	}
}

// TestWeakTokenChangesNoStrongerOne of the same user.
func TestWeakTokenChangesNoStrongerOne(t *testing.T) {
	f := newFixture(t)
	_, ann := f.user("ann", shield.RoleEngineer)
	soon := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	strong, err := ann.CreateToken(t.Context(), server.TokenRequest{Name: "strong", ExpiresAt: soon})
	f.must(err)
	weak, err := ann.CreateToken(t.Context(), server.TokenRequest{Name: "weak", Role: shield.RoleViewer})
	f.must(err)
	for _, r := range []struct{ method, body string }{{"PATCH", `{"expires_at":"0001-01-01T00:00:00Z"}`}, {"DELETE", ""}} {
		a := f.in(r.method, "/v1/tokens/"+strong.UUID, r.body, "Authorization", "Bearer "+weak.Value)
		if p := f.refused(a); p.Status != 403 {
			t.Errorf("%s: %+v", r.method, p)
		}
	}
	if a := f.in("DELETE", "/v1/tokens/"+weak.UUID, "", "Authorization", "Bearer "+weak.Value); a.status != 204 {
		t.Errorf("it cannot revoke itself: %d %s", a.status, a.body)
	}
}

// TestRefusedDownloadIsAudited, unlike looking.
func TestRefusedDownloadIsAudited(t *testing.T) {
	f := newFixture(t)
	f.setUp("a")
	a := f.backup("a")
	_, ann := f.user("ann", shield.RoleViewer)
	if _, err := ann.Content(t.Context(), a.UUID, true); shield.CodeOf(err) != shield.Forbidden {
		t.Error(err)
	}
	all, err := f.client.Audit(t.Context(), nil)
	f.must(err)
	if e := all[0]; e.Who != "ann" || e.Action != "getContent" || e.Result != string(shield.Forbidden) {
		t.Errorf("the newest entry is %+v", e)
	}
}

// TestTokensComeInPages, of which none is lost to those of others.
func TestTokensComeInPages(t *testing.T) {
	f := newFixture(t)
	_, ann := f.user("ann", shield.RoleViewer)
	_, bob := f.user("bob", shield.RoleViewer)
	for n := range 5 {
		for who, c := range map[string]*server.Client{"ann": ann, "bob": bob} {
			_, err := c.CreateToken(t.Context(), server.TokenRequest{Name: who + "-" + string(rune('a'+n))})
			f.must(err)
		}
	}
	for who, c := range map[string]*server.Client{"bob": bob, "ann": ann} {
		all, err := c.Tokens().List(t.Context(), url.Values{"limit": {"2"}})
		f.must(err)
		if len(all) != 2 || !strings.HasPrefix(all[0].Name, who) {
			t.Errorf("the first of %s are %+v", who, all)
		}
		if all, err = c.Tokens().List(t.Context(), nil); err != nil || len(all) != 6 {
			t.Errorf("%s has %d tokens, %v: six are wanted", who, len(all), err)
		}
	}
	if all, err := f.client.Tokens().List(t.Context(), nil); err != nil || len(all) != 12 {
		t.Errorf("there are %d tokens, %v", len(all), err)
	}
}
