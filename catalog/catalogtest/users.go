package catalogtest

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/shieldhq/shield"
)

func newUser(name string) *shield.User {
	return &shield.User{Meta: shield.Meta{Name: name, Summary: "somebody"}, Role: shield.RoleOperator, Password: "$argon2id$hash of " + shield.Secret(name)}
}

// sumOf is the hash of a token or cookie.
func sumOf(value string) string {
	sum := sha256.Sum256([]byte(value))
	return hex.EncodeToString(sum[:])
}

func newToken(name string) *shield.Token {
	return &shield.Token{Meta: shield.Meta{Name: name}, Role: shield.RoleViewer, Prefix: "shield_AB", Sum: sumOf(name), ExpiresAt: epoch(), UsedAt: epoch()}
}

func testUsers(t *testing.T, open func(t testing.TB) shield.Catalog) {
	t.Run("User", func(t *testing.T) {
		c := open(t)
		testNoun(t, methods[shield.User]{
			made: newUser, meta: func(u *shield.User) *shield.Meta { return &u.Meta },
			spoil: func(u *shield.User) { u.Role = "root" }, field: "role",
			create: c.CreateUser, get: c.User, list: c.Users, update: c.UpdateUser, remove: c.DeleteUser,
		})
		for _, name := range []string{shield.AdminName, shield.SystemName, "token x"} {
			wantCode(t, c.CreateUser(t.Context(), newUser(name)), shield.Invalid, "name")
		}
	})
	t.Run("Token", func(t *testing.T) {
		c := open(t)
		testNoun(t, methods[shield.Token]{
			made: newToken, meta: func(n *shield.Token) *shield.Meta { return &n.Meta },
			spoil: func(n *shield.Token) { n.Role = "" }, field: "role",
			create: c.CreateToken, get: c.Token, list: c.Tokens, update: c.UpdateToken, remove: c.DeleteToken,
		})
	})
	t.Run("TokensOfUsers", func(t *testing.T) { testTokensOfUsers(t, open(t)) })
	t.Run("Sessions", func(t *testing.T) { testSessions(t, open(t)) })
}

func testTokensOfUsers(t *testing.T, c shield.Catalog) {
	ctx := t.Context()
	ann, bob := newUser("ann"), newUser("bob")
	must(t, c.CreateUser(ctx, ann))
	must(t, c.CreateUser(ctx, bob))
	tok := newToken("laptop")
	tok.User = "ann"
	must(t, c.CreateToken(ctx, tok))
	must(t, c.CreateToken(ctx, newToken("robot")))
	if tok.User != ann.UUID || tok.UserName != "ann" {
		t.Errorf("the token is that of %q (%s)", tok.UserName, tok.User)
	}
	nobody := newToken("x")
	nobody.User = "carl"
	wantCode(t, c.CreateToken(ctx, nobody), shield.NotFound, "")
	nobody.User, nobody.Sum = "", "shield_the value itself"
	err := c.CreateToken(ctx, nobody)
	wantCode(t, err, shield.Invalid, "sum")
	if strings.Contains(err.Error(), "the value itself") {
		t.Errorf("the error shows the value: %v", err)
	}

	got, err := c.TokenBySum(ctx, sumOf("laptop"))
	must(t, err)
	wantSame(t, "token by its sum", got, tok)
	for _, sum := range []string{"", "laptop", sumOf("other"), sumOf("laptop") + "0", "x\x00"} {
		_, err := c.TokenBySum(ctx, sum)
		wantCode(t, err, shield.NotFound, "")
	}
	list, err := c.Tokens(ctx, shield.Filter{User: ann.UUID})
	wantSame(t, "tokens of ann", column(t, list, err, func(n *shield.Token) string { return n.Name }), []string{"laptop"})

	used := epoch().Add(time.Hour)
	must(t, c.UseToken(ctx, tok.UUID, used))
	wantCode(t, c.UseToken(ctx, unknownUUID(), used), shield.NotFound, "")
	// Whose it is and its value are not for those who change it.
	edit := *tok
	edit.Name, edit.Role, edit.User, edit.Sum, edit.Prefix, edit.UsedAt = "old laptop", shield.RoleOperator, bob.UUID, sumOf("other"), "x", time.Time{}
	must(t, c.UpdateToken(ctx, &edit))
	got, err = c.Token(ctx, "old laptop")
	must(t, err)
	if got.User != ann.UUID || got.Sum != tok.Sum || got.Prefix != tok.Prefix || !got.UsedAt.Equal(used) || got.Role != shield.RoleOperator {
		t.Errorf("after an edit: %+v", got)
	}

	must(t, c.DeleteUser(ctx, "ann"))
	_, err = c.Token(ctx, "old laptop")
	wantCode(t, err, shield.NotFound, "")
	list, err = c.Tokens(ctx, shield.Filter{})
	wantSame(t, "tokens that are left", column(t, list, err, func(n *shield.Token) string { return n.Name }), []string{"robot"})
}

func testSessions(t *testing.T, c shield.Catalog) {
	ctx := t.Context()
	ann := newUser("ann")
	must(t, c.CreateUser(ctx, ann))
	open := func(value string) *shield.Session {
		t.Helper()
		s := &shield.Session{User: "ann", Password: ann.Password, Sum: sumOf(value), From: "192.0.2.1", CreatedAt: epoch(), ExpiresAt: epoch().Add(time.Hour)}
		must(t, c.CreateSession(ctx, s))
		return s
	}
	there := func(value string) bool {
		t.Helper()
		_, err := c.Session(ctx, sumOf(value))
		if err != nil {
			wantCode(t, err, shield.NotFound, "")
		}
		return err == nil
	}
	s := open("a")
	if s.User != ann.UUID || !shield.IsUUID(s.UUID) || !s.SeenAt.Equal(epoch()) {
		t.Errorf("made %+v", s)
	}
	must(t, c.SeeSession(ctx, s.UUID, epoch().Add(time.Minute)))
	s.SeenAt = epoch().Add(time.Minute)
	got, err := c.Session(ctx, s.Sum)
	must(t, err)
	wantSame(t, "session", got, s)
	wantCode(t, c.SeeSession(ctx, unknownUUID(), epoch()), shield.NotFound, "")

	wantCode(t, c.CreateSession(ctx, &shield.Session{User: "bob", Sum: sumOf("b"), CreatedAt: epoch(), ExpiresAt: epoch().Add(1e9)}), shield.NotFound, "")
	wantCode(t, c.CreateSession(ctx, &shield.Session{User: "ann", Sum: "b", CreatedAt: epoch(), ExpiresAt: epoch().Add(1e9)}), shield.Invalid, "sum")
	wantCode(t, c.CreateSession(ctx, &shield.Session{User: "ann", Sum: sumOf("b"), CreatedAt: epoch(), ExpiresAt: epoch()}), shield.Invalid, "expires_at")

	must(t, c.DeleteSession(ctx, s.UUID))
	wantCode(t, c.DeleteSession(ctx, s.UUID), shield.NotFound, "")
	if there("a") {
		t.Error("a deleted session is there")
	}
	testSessionsEnd(t, c, ann, open, there)
}

// testSessionsEnd checks what ends sessions but their deletion.
func testSessionsEnd(t *testing.T, c shield.Catalog, u *shield.User, open func(string) *shield.Session, there func(string) bool) {
	ctx := t.Context()
	for _, step := range []struct {
		name   string
		change func(u *shield.User)
		ends   bool
	}{
		{"role", func(u *shield.User) { u.Role = shield.RoleViewer }, false},
		{"password", func(u *shield.User) { u.Password = "$other" }, true},
		{"disabled", func(u *shield.User) { u.Disabled = true }, true},
	} {
		open(step.name)
		step.change(u)
		must(t, c.UpdateUser(ctx, u))
		if there(step.name) == step.ends {
			t.Errorf("%s: the session is there: %v", step.name, !step.ends)
		}
	}
	for _, refused := range []shield.Secret{u.Password, "$argon2id$hash of ann"} {
		s := &shield.Session{User: "ann", Password: refused, Sum: sumOf("refused"), CreatedAt: epoch(), ExpiresAt: epoch().Add(time.Hour)}
		wantCode(t, c.CreateSession(ctx, s), shield.Conflict, "") // disabled; another password, too
	}
	u.Disabled = false
	must(t, c.UpdateUser(ctx, u))
	old := &shield.Session{User: "ann", Password: "$argon2id$hash of ann", Sum: sumOf("old"), CreatedAt: epoch(), ExpiresAt: epoch().Add(time.Hour)}
	wantCode(t, c.CreateSession(ctx, old), shield.Conflict, "")
	open("last")
	late := &shield.Session{User: "ann", Password: u.Password, Sum: sumOf("late"), CreatedAt: epoch().Add(time.Hour), ExpiresAt: epoch().Add(2 * time.Hour)}
	must(t, c.CreateSession(ctx, late))
	if there("last") || !there("late") {
		t.Error("an expired session outlives the making of another")
	}
	must(t, c.DeleteUser(ctx, "ann"))
	if there("late") {
		t.Error("a session outlives its user")
	}
}
