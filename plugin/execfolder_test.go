package plugin_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
)

// TestExecFolder checks commands of a folder that the endpoint names.
func TestExecFolder(t *testing.T) {
	c, err := plugin.ParseCapabilities(json.RawMessage(`{"exec":["psql","{bindir}/psql"]}`))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := c.Words(), []string{"may run psql", "may run psql of the bindir of its endpoint"}; !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	for endpoint, want := range map[string][]string{
		`{}`:                    {"psql"},
		`{"bindir":"/opt/pg/"}`: {"psql", "/opt/pg/psql"},
	} {
		got, err := c.Resolve(shield.Endpoint(endpoint))
		if err != nil || !slices.Equal(got.Exec, want) {
			t.Errorf("%s: got %q, %v", endpoint, got.Exec, err)
		}
	}
	if _, err := c.Resolve(shield.Endpoint(`{"bindir":"opt"}`)); shield.CodeOf(err) != shield.Invalid {
		t.Errorf("a relative folder: %v", err)
	}
	for _, bad := range []string{"/bin/sh", "{a}", "{a}/", "{a}/b/c", "{a}{b}/c", "x{a}/c", "{a}/../c"} {
		raw, _ := json.Marshal(map[string]any{"exec": []string{bad}})
		if _, err := plugin.ParseCapabilities(raw); err == nil {
			t.Errorf("%s is taken", bad)
		}
	}
	g := plugin.Grant{Exec: map[string]plugin.Command{"{a}/sh": {Path: "/bin/sh"}}}
	if err := g.Check(); shield.CodeOf(err) != shield.Invalid {
		t.Errorf("a path beside a field: %v", err)
	}
}
