package server_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/server"
)

// secretWord is the password of every user of these tests.
const secretWord = "correct horse battery"

// user makes a user with a token, called like the user.
func (f *fixture) user(name string, role shield.Role) (*shield.User, *server.Client) {
	f.t.Helper()
	u, err := f.client.CreateUser(f.t.Context(), server.UserRequest{Name: name, Role: role, Password: secretWord})
	f.must(err)
	t, err := f.client.CreateToken(f.t.Context(), server.TokenRequest{Name: name, User: name, Role: role})
	f.must(err)
	return u, f.client.With(shield.Secret(t.Value))
}

// in sends a request with a header, or none, and no token.
func (f *fixture) in(method, path, body string, headers ...string) answer {
	f.t.Helper()
	req, err := http.NewRequest(method, f.url+path, strings.NewReader(body))
	f.must(err)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	return f.send(req)
}

// login returns the header and value of the cookie of a new session.
func (f *fixture) login(name, password string) (cookie string, a answer) {
	f.t.Helper()
	a = f.in("POST", "/v1/session", `{"name":"`+name+`","password":"`+password+`"}`)
	cookie, _, _ = strings.Cut(a.header.Get("Set-Cookie"), ";")
	return cookie, a
}

func TestSession(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.user("ann", shield.RoleOperator)
	cookie, a := f.login("ann", secretWord)
	if a.status != 200 || strings.TrimSpace(a.body) != `{"name":"ann","role":"operator"}` {
		t.Fatalf("login: %d %s", a.status, a.body)
	}
	set := a.header.Get("Set-Cookie")
	for _, want := range []string{"shield_session=shield_", "; Path=/", "; HttpOnly", "; SameSite=Strict", "; Max-Age=604800"} {
		if !strings.Contains(set, want) {
			t.Errorf("the cookie %q lacks %q", set, want)
		}
	}
	if strings.Contains(set, "Secure") {
		t.Errorf("the cookie %q would not be sent in the clear", set)
	}
	if _, a := f.secure("ann"); !strings.Contains(a.header.Get("Set-Cookie"), "; Secure") {
		t.Errorf("behind a proxy with TLS the cookie is %q", a.header.Get("Set-Cookie"))
	}
	if a := f.in("GET", "/v1/session", "", "Cookie", cookie); a.status != 200 || strings.TrimSpace(a.body) != `{"name":"ann","role":"operator"}` {
		t.Errorf("who am I: %d %s", a.status, a.body)
	}
	if a := f.in("GET", "/v1/targets", "", "Cookie", cookie); a.status != 200 {
		t.Errorf("a session lists targets: %d %s", a.status, a.body)
	}
	if a := f.in("POST", "/v1/targets", "{}", "Cookie", cookie); a.status != 403 {
		t.Errorf("an operator's session makes a target: %d %s", a.status, a.body)
	}
	a = f.in("DELETE", "/v1/session", "", "Cookie", cookie)
	if a.status != 204 || !strings.Contains(a.header.Get("Set-Cookie"), "Max-Age=0") {
		t.Errorf("logout: %d %s", a.status, a.header.Get("Set-Cookie"))
	}
	for _, headers := range [][]string{{}, {"Cookie", cookie}, {"Cookie", "shield_session="}, {"Cookie", "shield_session=x"}} {
		if a := f.in("GET", "/v1/session", "", headers...); a.status != 401 || a.header.Get("WWW-Authenticate") == "" {
			t.Errorf("%v: %d %s", headers, a.status, a.body)
		}
	}
	for _, value := range []string{cookie, secretWord} {
		_, value, _ := strings.Cut("x="+strings.TrimPrefix(value, "shield_session="), "=")
		if strings.Contains(f.stored(), value) || strings.Contains(f.log.String(), value) {
			t.Errorf("%q is in the catalog or the log", value)
		}
	}
}

// secure logs in as a browser does that speaks TLS to a proxy.
func (f *fixture) secure(name string) (string, answer) {
	f.t.Helper()
	a := f.in("POST", "/v1/session", `{"name":"`+name+`","password":"`+secretWord+`"}`, "X-Forwarded-Proto", "https")
	return "", a
}

// TestLoginTellsNothing: who does not get in does not learn why.
func TestLoginTellsNothing(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.user("ann", shield.RoleViewer)
	bob, _ := f.user("bob", shield.RoleViewer)
	_, err := f.client.Users().Edit(t.Context(), "bob", map[string]any{"disabled": true})
	f.must(err)
	_, first := f.login("ann", "wrong horse battery")
	if p := f.refused(first); p.Status != 401 {
		t.Fatalf("a wrong password: %+v", p)
	}
	for _, name := range []string{"nobody", "bob", bob.UUID, "", "admin", strings.Repeat("x", 10_000)} {
		_, a := f.login(name, secretWord)
		if a.status != first.status || a.body != first.body || a.header.Get("Set-Cookie") != "" {
			t.Errorf("%.40q: %d %s, want what a wrong password gets", name, a.status, a.body)
		}
	}
	for _, body := range []string{"", "{}", `{"name":5}`, `{"name":"ann","password":["` + secretWord + `"]}`, `{"name":"ann","secret":"` + secretWord + `"}`} {
		if a := f.in("POST", "/v1/session", body); a.status < 400 || strings.Contains(a.body, secretWord) {
			t.Errorf("%s: %d %s", body, a.status, a.body)
		}
	}
}

func TestLoginIsThrottled(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.user("ann", shield.RoleViewer)
	for _, name := range []string{"ann", "nobody"} {
		for range 3 {
			if _, a := f.login(name, "wrong horse battery"); a.status != 401 {
				t.Errorf("%s: %d %s", name, a.status, a.body)
			}
		}
		// A host that is slow needs longer for a try than the first waits are.
		var a answer
		for range 15 {
			if _, a = f.login(name, "wrong horse battery"); a.status == 429 {
				break
			}
		}
		if p := f.refused(a); p.Status != 429 || p.Code != "throttled" || a.header.Get("Retry-After") == "" || a.header.Get("Set-Cookie") != "" {
			t.Errorf("%s, after wrong passwords: %+v, %v", name, p, a.header)
		}
	}
	f.user("bob", shield.RoleViewer)
	if _, a := f.login("bob", secretWord); a.status != 200 {
		t.Errorf("somebody else: %d %s", a.status, a.body)
	}
}

func TestSessionsEnd(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	made, _ := f.user("ann", shield.RoleViewer)
	u, err := f.catalog.User(t.Context(), made.UUID) // with the hash
	f.must(err)
	now := time.Now()
	for _, test := range []struct {
		name                string
		made, seen, expires time.Duration
		status              int
	}{
		{"in use", -24 * time.Hour, -11 * time.Hour, time.Hour, 200},
		{"idle", -24 * time.Hour, -12 * time.Hour, time.Hour, 401},
		{"over", -24 * time.Hour, -time.Minute, -time.Second, 401},
	} {
		in := &shield.Session{User: u.UUID, Password: u.Password, Sum: sumOf(strings.ReplaceAll(test.name, " ", "-")), CreatedAt: now.Add(test.made), SeenAt: now.Add(test.seen), ExpiresAt: now.Add(test.expires)}
		f.must(f.catalog.CreateSession(t.Context(), in))
		if a := f.in("GET", "/v1/session", "", "Cookie", "shield_session="+strings.ReplaceAll(test.name, " ", "-")); a.status != test.status {
			t.Errorf("%s: %d %s, want %d", test.name, a.status, a.body, test.status)
		}
	}
}

func TestOtherSites(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.user("ann", shield.RoleEngineer)
	cookie, _ := f.login("ann", secretWord)
	login := `{"name":"ann","password":"` + secretWord + `"}`
	for _, test := range []struct {
		name, method, path, body string
		headers                  []string
		status                   int
	}{
		{"a page of another site", "POST", "/v1/retention", `{"name":"a","expiry":1}`, []string{"Cookie", cookie, "Sec-Fetch-Site", "cross-site"}, 403},
		{"another host of this site", "DELETE", "/v1/session", "", []string{"Cookie", cookie, "Sec-Fetch-Site", "same-site"}, 403},
		{"an old browser elsewhere", "POST", "/v1/retention", `{"name":"a","expiry":1}`, []string{"Cookie", cookie, "Origin", "https://evil.example"}, 403},
		{"a login for an unwitting visitor", "POST", "/v1/session", login, []string{"Origin", "https://evil.example"}, 403},
		{"shield's own page", "POST", "/v1/retention", `{"name":"a","expiry":1}`, []string{"Cookie", cookie, "Sec-Fetch-Site", "same-origin"}, 201},
		{"shield's own page in an old browser", "POST", "/v1/retention", `{"name":"b","expiry":1}`, []string{"Cookie", cookie, "Origin", f.url}, 201},
		{"a program", "POST", "/v1/retention", `{"name":"c","expiry":1}`, []string{"Authorization", "Bearer " + token, "Origin", "https://evil.example"}, 201},
		{"a wrong token does not fall back on the cookie", "GET", "/v1/session", "", []string{"Cookie", cookie, "Authorization", "Bearer x"}, 401},
		{"a token of another kind", "GET", "/v1/session", "", []string{"Cookie", cookie, "Authorization", "Basic " + token}, 401},
	} {
		if a := f.in(test.method, test.path, test.body, test.headers...); a.status != test.status {
			t.Errorf("%s: %d %s, want %d", test.name, a.status, a.body, test.status)
		}
	}
}

func TestChangePassword(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	_, ann := f.user("ann", shield.RoleViewer)
	cookie, _ := f.login("ann", secretWord)
	other, _ := f.login("ann", secretWord)
	change := func(old, fresh string) answer {
		return f.in("POST", "/v1/session/password", `{"old":"`+old+`","new":"`+fresh+`"}`, "Cookie", cookie)
	}
	if p := f.refused(change("wrong horse battery", "a new password")); p.Status != 400 || p.Field != "old" {
		t.Errorf("a wrong password: %+v", p)
	}
	if p := f.refused(change(secretWord, "short")); p.Status != 400 || p.Field != "new" {
		t.Errorf("a short password: %+v", p)
	}
	a := change(secretWord, "a new password")
	fresh, _, _ := strings.Cut(a.header.Get("Set-Cookie"), ";")
	if a.status != 204 || fresh == "" {
		t.Fatalf("%d %s", a.status, a.body)
	}
	for c, want := range map[string]int{cookie: 401, other: 401, fresh: 200} {
		if a := f.in("GET", "/v1/session", "", "Cookie", c); a.status != want {
			t.Errorf("after a new password: %d, want %d", a.status, want)
		}
	}
	if _, a := f.login("ann", secretWord); a.status != 401 {
		t.Errorf("the old password: %d", a.status)
	}
	f.must(ann.ChangePassword(t.Context(), "a new password", secretWord)) // with a token
	if _, a := f.login("ann", secretWord); a.status != 200 {
		t.Errorf("the newest password: %d %s", a.status, a.body)
	}
	want(t, f.client.ChangePassword(t.Context(), "x", secretWord), shield.Conflict, "", "is no user")
	want(t, f.client.Logout(t.Context()), shield.Conflict, "", "admin token is not revoked")
}

func TestUsers(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	u, client := f.user("ann", shield.RoleViewer)
	ctx := t.Context()
	if u.Password != shield.Redacted || strings.Contains(f.do("GET", "/v1/users", "").body, "argon2") {
		t.Errorf("the hash of a password is shown: %v", u.Password.Reveal())
	}
	// What was read can be sent back whole, and keeps the password.
	a := f.do("GET", "/v1/users/ann", "")
	if a := f.do("PATCH", "/v1/users/ann", a.body); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
	if _, a := f.login("ann", secretWord); a.status != 200 {
		t.Errorf("the password is not kept: %d %s", a.status, a.body)
	}
	edit := func(patch map[string]any) {
		t.Helper()
		_, err := f.client.Users().Edit(ctx, "ann", patch)
		f.must(err)
	}
	edit(map[string]any{"password": "another password"})
	if _, a := f.login("ann", "another password"); a.status != 200 {
		t.Errorf("a new password: %d %s", a.status, a.body)
	}
	edit(map[string]any{"disabled": true})
	_, err := client.Whoami(ctx)
	want(t, err, shield.Unauthorized, "", "a valid token")
	edit(map[string]any{"disabled": false})
	_, err = client.Whoami(ctx)
	f.must(err)
	f.must(f.client.Users().Delete(ctx, "ann"))
	_, err = client.Whoami(ctx)
	want(t, err, shield.Unauthorized, "", "a valid token")
	for _, c := range []struct{ body, field string }{
		{`{"name":"x","role":"root","password":"` + secretWord + `"}`, "role"},
		{`{"name":"x","password":"` + secretWord + `"}`, "role"},
		{`{"name":"x","role":"viewer"}`, "password"},
		{`{"name":"x","role":"viewer","password":"short"}`, "password"},
		{`{"name":"x","role":"viewer","password":"********"}`, "password"},
		{`{"name":"admin","role":"viewer","password":"` + secretWord + `"}`, "name"},
		{`{"name":"x","role":"viewer","password":{"` + secretWord + `":1}}`, "password"},
	} {
		a := f.do("POST", "/v1/users", c.body)
		if p := f.refused(a); p.Status != 400 || p.Field != c.field || strings.Contains(a.body, secretWord) {
			t.Errorf("%s: %s", c.body, a.body)
		}
	}
	if strings.Contains(f.stored(), secretWord) {
		t.Error("a password is in the catalog's files")
	}
}

func TestTokens(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	_, ann := f.user("ann", shield.RoleOperator)
	_, bob := f.user("bob", shield.RoleEngineer)
	ctx := t.Context()
	made, err := ann.CreateToken(ctx, server.TokenRequest{Name: "ci", Summary: "x", Role: shield.RoleViewer, ExpiresAt: time.Now().Add(time.Hour)})
	f.must(err)
	if made.UserName != "ann" || !strings.HasPrefix(made.Value, made.Prefix) || len(made.Prefix) != len("shield_")+4 || strings.Contains(f.stored(), made.Value) {
		t.Errorf("made %+v", made)
	}
	ci := f.client.With(shield.Secret(made.Value))
	if who, err := ci.Whoami(ctx); err != nil || who.Name != "ann" || who.Role != shield.RoleViewer {
		t.Errorf("the token is of %+v, %v", who, err)
	}
	got, err := ann.Tokens().Get(ctx, "ci")
	if err != nil || got.Value != "" || got.UsedAt.IsZero() {
		t.Errorf("read again: %+v, %v", got, err)
	}
	_, err = ann.CreateToken(ctx, server.TokenRequest{Name: "more", Role: shield.RoleAdmin})
	want(t, err, shield.Forbidden, "", "no more than that")
	_, err = ann.CreateToken(ctx, server.TokenRequest{Name: "more", User: "bob"})
	want(t, err, shield.Forbidden, "", "for admins")
	_, err = ann.CreateToken(ctx, server.TokenRequest{Name: "old", ExpiresAt: time.Now().Add(-time.Hour)})
	want(t, err, shield.Invalid, "expires_at", "is over")
	_, err = ci.CreateToken(ctx, server.TokenRequest{Name: "longer"})
	want(t, err, shield.Forbidden, "", "expires at")
	_, err = ci.CreateToken(ctx, server.TokenRequest{Name: "shorter", ExpiresAt: time.Now().Add(time.Minute)})
	f.must(err)
	testTokensOfOthers(f, ann, bob)
	_, err = ann.Tokens().Edit(ctx, "ci", map[string]any{"role": "engineer"})
	want(t, err, shield.Forbidden, "", "no more than that")
	for _, patch := range []map[string]any{{"user_uuid": ""}, {"prefix": "x"}, {"value": "x"}} {
		if _, err := ann.Tokens().Edit(ctx, "ci", patch); shield.CodeOf(err) != shield.Invalid {
			t.Errorf("%v: %v", patch, err)
		}
	}
	// What the user may not do any more, the token may not either.
	_, err = ann.Tokens().Edit(ctx, "ci", map[string]any{"role": "operator"})
	f.must(err)
	_, err = f.client.Users().Edit(ctx, "ann", map[string]any{"role": "viewer"})
	f.must(err)
	if who, err := ci.Whoami(ctx); err != nil || who.Role != shield.RoleViewer {
		t.Errorf("after its user is a viewer only: %+v, %v", who, err)
	}
	f.must(ci.Logout(ctx))
	_, err = ci.Whoami(ctx)
	want(t, err, shield.Unauthorized, "", "a valid token")
}

// testTokensOfOthers checks that tokens are for their users, and for admins.
func testTokensOfOthers(f *fixture, ann, bob *server.Client) {
	f.t.Helper()
	t, ctx := f.t, f.t.Context()
	names := func(c *server.Client, q url.Values) []string {
		t.Helper()
		all, err := c.Tokens().List(ctx, q)
		f.must(err)
		var names []string
		for _, one := range all {
			names = append(names, one.Name)
		}
		return names
	}
	if got := names(bob, nil); !slices.Equal(got, []string{"bob"}) {
		t.Errorf("bob sees %v", got)
	}
	if got := names(f.client, nil); !slices.Equal(got, []string{"ann", "bob", "ci", "shorter"}) {
		t.Errorf("an admin sees %v", got)
	}
	if got := names(f.client, url.Values{"user": {"ann"}}); !slices.Equal(got, []string{"ann", "ci", "shorter"}) {
		t.Errorf("those of ann are %v", got)
	}
	if got := names(ann, url.Values{"user": {"ann"}}); !slices.Equal(got, []string{"ann", "ci", "shorter"}) {
		t.Errorf("those of ann, says ann, are %v", got)
	}
	_, err := bob.Tokens().List(ctx, url.Values{"user": {"ann"}})
	want(t, err, shield.Forbidden, "", "for admins")
	_, err = bob.Tokens().Get(ctx, "ci")
	want(t, err, shield.NotFound, "", "there is no token")
	_, err = bob.Tokens().Edit(ctx, "ci", map[string]any{"name": "x"})
	want(t, err, shield.NotFound, "", "there is no token")
	want(t, bob.Tokens().Delete(ctx, "ci"), shield.NotFound, "", "there is no token")
	free, err := f.client.CreateToken(ctx, server.TokenRequest{Name: "robot", Role: shield.RoleOperator})
	f.must(err)
	robot := f.client.With(shield.Secret(free.Value))
	if who, err := robot.Whoami(ctx); err != nil || who.Name != "token robot" || who.Role != shield.RoleOperator {
		t.Errorf("a token of nobody is %+v, %v", who, err)
	}
	if got := names(robot, nil); !slices.Equal(got, []string{"robot"}) {
		t.Errorf("a token of nobody sees %v", got)
	}
	f.must(f.client.Tokens().Delete(ctx, "robot"))
}

// TestRoutesByRole asks for every route with a token and a session of each
// role, with what does not work any more, and as nobody.
func TestRoutesByRole(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	type who struct {
		name    string
		role    shield.Role // empty: nobody
		headers []string
	}
	all := []who{{"nobody", "", nil}, {"the admin token", shield.RoleAdmin, []string{"Authorization", "Bearer " + token}}}
	for _, role := range shield.Roles {
		f.user(string(role)+"s", role)
		made, err := f.client.CreateToken(t.Context(), server.TokenRequest{Name: "weak " + string(role), User: string(role) + "s", Role: shield.RoleViewer})
		f.must(err)
		cookie, _ := f.login(string(role)+"s", secretWord)
		all = append(all, who{"a session of " + string(role), role, []string{"Cookie", cookie}},
			who{"a viewer's token of " + string(role), shield.RoleViewer, []string{"Authorization", "Bearer " + made.Value}})
	}
	gone, err := f.client.CreateToken(t.Context(), server.TokenRequest{Name: "gone", Role: shield.RoleAdmin})
	f.must(err)
	f.must(f.client.Tokens().Delete(t.Context(), "gone"))
	all = append(all, who{"a revoked token", "", []string{"Authorization", "Bearer " + gone.Value}})
	for _, r := range routesOf(f.handler.(*server.Server).OpenAPI()) {
		if r.role() == "" {
			continue
		}
		for _, w := range all {
			// A parameter that no operation has ends the request behind the door.
			a := f.in(r.Method, strings.Replace(r.Path, "{ref}", "x", 1)+"?no-such-parameter=", "", w.headers...)
			switch p := f.refused(a); {
			case w.role == "" && p.Status != 401, w.role != "" && !w.role.Allows(r.role()) && p.Status != 403, w.role.Allows(r.role()) && p.Field != "no-such-parameter":
				t.Errorf("%s as %s: %+v", r, w.name, p)
			}
		}
	}
}
