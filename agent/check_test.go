package agent_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/agent"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugin/plugintest"
)

func registry(t *testing.T) *plugin.Registry {
	t.Helper()
	r := plugin.NewRegistry()
	silent := &plugin.Native{
		About:  plugin.Info{Name: "silent", Version: "1", Features: plugin.Features{Target: "yes", Store: "no"}},
		Target: func(shield.Endpoint, plugin.Log) (plugin.Target, error) { return nil, nil },
	}
	if err := errors.Join(r.Register("memory", plugintest.NewMemory()), r.Register("silent", silent)); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestCheck(t *testing.T) {
	r := registry(t)
	discard := func(string) {}
	for _, c := range []struct {
		name, plugin, endpoint string
		role                   plugin.Role
		want                   error
		text                   string
	}{
		{"usable", "memory", `{"name":"x"}`, plugin.RoleStore, nil, ""},
		{"missing field", "memory", `{}`, plugin.RoleTarget, shield.Invalid, "endpoint.name"},
		{"unknown plugin", "oracle", `{}`, plugin.RoleTarget, shield.Invalid, "oracle"},
		{"wrong role", "silent", `{}`, plugin.RoleStore, shield.Invalid, "store"},
		{"no test", "silent", `{}`, plugin.RoleTarget, agent.ErrNoTest, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := agent.Check(t.Context(), r, c.plugin, c.role, shield.Endpoint(c.endpoint), discard)
			if !errors.Is(err, c.want) || (err != nil && !strings.Contains(err.Error(), c.text)) {
				t.Errorf("got %v, want %v with %q", err, c.want, c.text)
			}
		})
	}
}
