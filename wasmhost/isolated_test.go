package wasmhost_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/wasmhost"
)

// What a module in a process of its own tries beyond its grant reaches the
// audit of the host as that of any other does.
func TestAuditIsolated(t *testing.T) {
	audit := func(isolation plugin.Isolation) []wasmhost.Event {
		var j journal
		h := newHost(t, &wasmhost.Options{Program: isolator(t), Audit: j.add})
		grant := grantAll(t, h, guest(t, "probe"))
		grant.Isolation = isolation
		o := open(t, h, "probe", &grant)
		for _, fields := range []map[string]any{
			{"do": "ignore", "addr": "127.0.0.1:1", "use": "127.0.0.1:2"}, {"do": "exec", "use": "id"},
			{"do": "get", "url": "http://127.0.0.1:1/a", "use": "http://127.0.0.1:1/b"},
		} {
			_, err := backup(t, t.Context(), o, fields)
			wantError(t, err, shield.Forbidden, "the capability")
		}
		if out, err := backup(t, t.Context(), o, map[string]any{"do": "exec", "use": "missing"}); err == nil {
			t.Errorf("a missing program gave %q", out)
		}
		return j.events
	}
	want := audit(plugin.IsolationNone)
	if len(want) != 3 || want[0].Plugin != "probe" || want[0].Op != "probe backup" || want[0].Capability != "tcp" {
		t.Fatalf("without isolation the audit has %v", want)
	}
	if diff := cmp.Diff(want, audit(plugin.IsolationProcess)); diff != "" {
		t.Error(diff)
	}
}

// The programs that the guest runs get no descriptor of the host.
func TestIsolatedDescriptors(t *testing.T) {
	var j journal
	h := newHost(t, &wasmhost.Options{Program: isolator(t), Audit: j.add})
	descriptors := func(isolation plugin.Isolation) string {
		grant := plugin.Grant{Isolation: isolation, Exec: map[string]plugin.Command{"sh": {Args: []string{"-c", "ls /proc/self/fd"}}}}
		out, err := backup(t, t.Context(), open(t, h, "probe", &grant), map[string]any{"do": "exec", "use": "sh"})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	if none, process := descriptors(plugin.IsolationNone), descriptors(plugin.IsolationProcess); none != process {
		t.Errorf("the program has the descriptors %q, and without isolation %q", process, none)
	}
}
