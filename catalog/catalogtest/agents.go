package catalogtest

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/shieldhq/shield"
)

func agentToken(name, digit string) *shield.AgentToken {
	return &shield.AgentToken{
		Name: name, Digest: strings.Repeat(digit, 64), Labels: map[string]string{"site": "a"},
		CreatedAt: epoch(), ExpiresAt: epoch().Add(time.Hour),
	}
}

func testAgents(t *testing.T, open func(t testing.TB) shield.Catalog) {
	f := newFixture(t, open)
	token := agentToken("web1", "1")
	must(t, f.CreateAgentToken(f.ctx, token))
	for _, c := range []struct {
		name, agent, digest string
		at                  time.Time
		text                string
	}{
		{"unknown", "web1", strings.Repeat("9", 64), epoch(), "unknown"},
		{"for another name", "web2", token.Digest, epoch(), "web2"},
		{"expired", "web1", token.Digest, token.ExpiresAt, "expired"},
	} {
		if _, err := f.EnrolAgent(f.ctx, c.agent, c.digest, "k1", c.at); !errors.Is(err, shield.Unauthorized) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v, want Unauthorized with %q", c.name, err, c.text)
		}
	}
	a, err := f.EnrolAgent(f.ctx, "web1", token.Digest, "k1", epoch())
	must(t, err)
	if a.Name != "web1" || a.Labels["site"] != "a" || !shield.IsUUID(a.UUID) || a.Version != 1 {
		t.Errorf("enrolled: %+v", a)
	}
	// The answer was lost: the same key asks again, even late.
	again, err := f.EnrolAgent(f.ctx, "web1", token.Digest, "k1", epoch().Add(2*time.Hour))
	if err != nil || again.UUID != a.UUID {
		t.Errorf("the same key again: %+v, %v", again, err)
	}
	if _, err := f.EnrolAgent(f.ctx, "web1", token.Digest, "k2", epoch()); !errors.Is(err, shield.Unauthorized) {
		t.Errorf("another key with a used token: %v, want Unauthorized", err)
	}
	if err := f.CreateAgentToken(f.ctx, agentToken("web1", "2")); !errors.Is(err, shield.Conflict) {
		t.Errorf("a token for a name that is taken: %v, want Conflict", err)
	}
	testAgentReport(t, f, a)
	testUnseen(t, f, a)
	must(t, f.DeleteAgent(f.ctx, "web1"))
	if _, err := f.Agent(f.ctx, a.UUID); !errors.Is(err, shield.NotFound) {
		t.Errorf("a deleted agent: %v, want NotFound", err)
	}
	if _, err := f.EnrolAgent(f.ctx, "web1", token.Digest, "k1", epoch()); !errors.Is(err, shield.Unauthorized) {
		t.Errorf("the token of a deleted agent: %v, want Unauthorized", err)
	}
	if err := f.DeleteAgent(f.ctx, "web1"); !errors.Is(err, shield.NotFound) {
		t.Errorf("deleting it twice: %v, want NotFound", err)
	}
	must(t, f.CreateAgentToken(f.ctx, agentToken("web1", "3")))
}

func testAgentReport(t *testing.T, f *fixture, a *shield.Agent) {
	t.Helper()
	a.Address, a.Release, a.OS, a.Plugins, a.Skew = "192.0.2.1:5", "v1.2.3", "linux/arm64", []string{"fs", "redis"}, -86400.5
	a.ExpiresAt, a.LastSeenAt, a.LastErrorAt, a.LastError = epoch().Add(time.Hour), epoch(), epoch(), "the link ended"
	must(t, f.ReportAgent(f.ctx, a))
	got, err := f.Agent(f.ctx, "web1")
	must(t, err)
	if diff := cmp.Diff(a, got); diff != "" {
		t.Errorf("reported and read (-want +got):\n%s", diff)
	}
	later := epoch().Add(time.Minute)
	must(t, f.SeeAgents(f.ctx, []string{a.UUID, uuid.NewString()}, later))
	all, err := f.Agents(f.ctx, shield.Filter{})
	if err != nil || len(all) != 1 || !all[0].LastSeenAt.Equal(later) {
		t.Errorf("seen: %+v, %v", all, err)
	}
	unknown := &shield.Agent{Meta: shield.Meta{UUID: uuid.NewString(), Name: "x"}}
	if err := f.ReportAgent(f.ctx, unknown); !errors.Is(err, shield.NotFound) {
		t.Errorf("reporting an unknown agent: %v, want NotFound", err)
	}
}

// testUnseen checks that each change is told once.
func testUnseen(t *testing.T, f *fixture, a *shield.Agent) {
	t.Helper()
	seen := epoch().Add(time.Minute)
	for _, c := range []struct {
		since time.Time
		want  shield.EventKind
	}{
		{seen, ""}, {seen.Add(time.Second), shield.EventAgentUnseen}, {seen.Add(time.Second), ""}, {seen, shield.EventAgentSeen}, {seen, ""},
	} {
		told, err := f.UnseenAgents(f.ctx, c.since, c.since.Add(time.Minute))
		must(t, err)
		switch {
		case c.want == "" && len(told) == 0:
		case len(told) == 1 && told[0].Kind == c.want && told[0].Subject == a.UUID && told[0].ID > 0:
		default:
			t.Errorf("since %s: %+v, want one %q", c.since, told, c.want)
		}
	}
}

func testAgentTokens(t *testing.T, open func(t testing.TB) shield.Catalog) {
	f := newFixture(t, open)
	must(t, f.CreateAgentToken(f.ctx, agentToken("b", "1")))
	dialled := agentToken("a", "2")
	dialled.Dial = "192.0.2.1:7644"
	must(t, f.CreateAgentToken(f.ctx, dialled))
	must(t, f.CreateAgentToken(f.ctx, agentToken("b", "3"))) // in place of the first
	got, err := f.AgentTokens(f.ctx, epoch())
	must(t, err)
	if diff := cmp.Diff([]*shield.AgentToken{dialled, agentToken("b", "3")}, got); diff != "" {
		t.Errorf("open tokens (-want +got):\n%s", diff)
	}
	if _, err := f.EnrolAgent(f.ctx, "b", strings.Repeat("1", 64), "k", epoch()); !errors.Is(err, shield.Unauthorized) {
		t.Errorf("a token that was replaced: %v, want Unauthorized", err)
	}
	_, err = f.EnrolAgent(f.ctx, "b", strings.Repeat("3", 64), "k", epoch())
	must(t, err)
	if got, err = f.AgentTokens(f.ctx, epoch()); err != nil || len(got) != 1 {
		t.Errorf("after one was used: %+v, %v", got, err)
	}
	if got, err = f.AgentTokens(f.ctx, dialled.ExpiresAt); err != nil || len(got) != 0 {
		t.Errorf("after they expired: %+v, %v", got, err)
	}
	for name, bad := range map[string]func(*shield.AgentToken){
		"no name": func(a *shield.AgentToken) { a.Name = "" }, "daemon": func(a *shield.AgentToken) { a.Name = "daemon" },
		"address as name": func(a *shield.AgentToken) { a.Name = "host:1" }, "no digest": func(a *shield.AgentToken) { a.Digest = "" },
		"bad address": func(a *shield.AgentToken) { a.Dial = "host" }, "bad label": func(a *shield.AgentToken) { a.Labels = map[string]string{"": "x"} },
		"name that is no text": func(a *shield.AgentToken) { a.Name = "\xff" },
	} {
		token := agentToken("c", "4")
		bad(token)
		if err := f.CreateAgentToken(f.ctx, token); !errors.Is(err, shield.Invalid) {
			t.Errorf("%s: %v, want Invalid", name, err)
		}
	}
	if _, err := f.EnrolAgent(f.ctx, "x", "\x00", "k", epoch()); !errors.Is(err, shield.Unauthorized) {
		t.Errorf("a digest that is no text: %v, want Unauthorized", err)
	}
}
