package catalogtest

import (
	"errors"
	"testing"

	"github.com/shieldhq/shield"
)

// testPrefix finds things by the beginning of their UUIDs, unless that is a
// name, or the beginning of several.
func testPrefix(t *testing.T, open func(t testing.TB) shield.Catalog) {
	f := newFixture(t, open)
	target := func(name, uuid string) {
		t.Helper()
		if err := f.CreateTarget(f.ctx, &shield.Target{Meta: shield.Meta{UUID: uuid, Name: name}, Plugin: "fs", Endpoint: shield.Endpoint("{}")}); err != nil {
			t.Fatal(err)
		}
	}
	const one, two = "abcd1234-0000-4000-8000-000000000001", "abcd1234-0000-4000-8000-000000000002"
	target("one", one)
	target("two", two)
	target("abcd", "00000000-0000-4000-8000-00000000000a")
	for ref, want := range map[string]string{
		one: one, one[:35]: "", "abcd1": "", "abcd1234-0000-4000-8000-00000000000": "",
		"abcd": "abcd", "one": "one", "0000": "00000000-0000-4000-8000-00000000000a", "000": "000",
		"abce": "abce", "ABCD1": "ABCD1", "abcd1234_": "abcd1234_", "": "", "g000": "g000",
	} {
		got, err := f.Expand(f.ctx, "target", ref)
		if want == "" && ref != "" {
			if !errors.Is(err, shield.Invalid) {
				t.Errorf("%q is %q, %v: it begins two", ref, got, err)
			}
		} else if err != nil || got != want {
			t.Errorf("%q is %q, %v: want %q", ref, got, err, want)
		}
	}
	for kind, uuid := range map[string]string{
		"store": f.store.UUID, "schedule": f.schedule.UUID, "retention policy": f.policy.UUID, "job": f.job.UUID,
	} {
		if got, err := f.Expand(f.ctx, kind, uuid[:13]); err != nil || got != uuid {
			t.Errorf("%s %q is %q, %v", kind, uuid[:13], got, err)
		}
	}
	if got, err := f.Expand(f.ctx, "plugin", "abcd1"); err != nil || got != "abcd1" {
		t.Errorf("of a plugin it is %q, %v", got, err)
	}
}
