package agenthost_test

import (
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/agenthost"
	"github.com/shieldhq/shield/plugin"
)

// TestAllow checks what the operator of an agent can take from the daemon.
func TestAllow(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	inside, outside := filepath.Join(dir, "in", "deep"), filepath.Join(dir, "out")
	for _, d := range []string{inside, outside} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	link := filepath.Join(dir, "in", "link")
	if err := os.Symlink(outside, link); err != nil {
		t.Fatal(err)
	}
	r := plugin.NewRegistry()
	r.Replace("x", &plugin.Native{About: plugin.Info{
		Name: "x", Version: "1", Features: plugin.Features{Target: "yes", Store: "no"},
		Fields:       []plugin.Field{{Mode: plugin.RoleTarget, Name: "dir", Type: plugin.TypeAbsPath}},
		Capabilities: json.RawMessage(`{"read": ["{dir}"], "exec": ["pg_dump"]}`),
	}})
	for _, c := range []struct {
		name        string
		paths, deny []string
		folder      string
		text        string // of the refusal; empty: it is allowed
	}{
		{"no bounds", nil, nil, outside, ""},
		{"below", []string{filepath.Join(dir, "in")}, nil, inside, ""},
		{"the folder itself", []string{inside}, nil, inside, ""},
		{"beside", []string{filepath.Join(dir, "in")}, nil, outside, "--allow-path"},
		{"a longer name", []string{inside}, nil, inside + "er", "--allow-path"},
		{"by a symlink", []string{filepath.Join(dir, "in")}, nil, link, "--allow-path"},
		{"by a symlink to what is not there yet", []string{filepath.Join(dir, "in")}, nil, filepath.Join(link, "new", "deeper"), "--allow-path"},
		{"not there yet", []string{filepath.Join(dir, "in")}, nil, filepath.Join(inside, "new", "deeper"), ""},
		{"up and out", []string{filepath.Join(dir, "in")}, nil, filepath.Join(dir, "in") + "/../out", "--allow-path"},
		{"a command", nil, []string{"pg_dump"}, inside, "--deny-command"},
		{"another command", nil, []string{"psql"}, inside, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			h, err := agenthost.New(t.Context(), agenthost.Options{Own: r, Dir: t.TempDir(), AllowPaths: c.paths, DenyCommands: c.deny, Log: slog.New(slog.DiscardHandler)})
			if err != nil {
				t.Fatal(err)
			}
			defer h.Close()
			e, _ := json.Marshal(map[string]string{"dir": c.folder})
			err = h.Allow(t.Context(), r, plugin.RoleTarget, "x", shield.Endpoint(e))
			if c.text == "" && err != nil || c.text != "" && (!errors.Is(err, shield.Forbidden) || !strings.Contains(err.Error(), c.text)) {
				t.Errorf("%v, want %q", err, c.text)
			}
		})
	}
}
