package agenthost

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
)

// TestDeniedBehindOtherNames: a command is denied by the program that it leads
// to, whatever the daemon calls it.
func TestDeniedBehindOtherNames(t *testing.T) {
	dir := t.TempDir()
	program, link := filepath.Join(dir, "pg_restore"), filepath.Join(dir, "innocent")
	if err := os.WriteFile(program, []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(program, link); err != nil {
		t.Fatal(err)
	}
	h := &Host{opts: Options{DenyCommands: []string{"pg_restore"}}}
	g := h.narrow(plugin.Grant{Exec: map[string]plugin.Command{
		"pg_restore": {}, "x": {Path: program}, "y": {Path: link}, "{dir}/pg_restore": {}, "pg_dump": {}, "z": {Path: filepath.Join(dir, "psql")},
	}})
	if _, dump := g.Exec["pg_dump"]; len(g.Exec) != 2 || !dump {
		t.Errorf("what is left is %v", g.Exec)
	}
}

// TestGrantBounds: what a module says of itself comes from the daemon, so that
// its grant has to be within what the agent allows, too.
func TestGrantBounds(t *testing.T) {
	h := &Host{opts: Options{AllowPaths: []string{"/srv"}, Log: slog.New(slog.DiscardHandler)}}
	for folder, allowed := range map[string]bool{"/": false, "/srv/www": true, "{dir}": true} {
		r := plugin.NewRegistry()
		info := plugin.Info{
			Name: "x", Version: "1", Features: plugin.Features{Target: "yes", Store: "no"},
			Fields: []plugin.Field{{Mode: plugin.RoleTarget, Name: "dir", Type: plugin.TypeAbsPath}},
		}
		r.Replace("x", described{&plugin.Native{About: info}, info, plugin.Grant{Own: []string{folder}}})
		err := h.Allow(t.Context(), r, plugin.RoleTarget, "x", shield.Endpoint(`{"dir":"/srv/data"}`))
		if allowed != (err == nil) || err != nil && !strings.Contains(err.Error(), "--allow-path") {
			t.Errorf("a grant of %s: %v", folder, err)
		}
	}
}
