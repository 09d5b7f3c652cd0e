package apply_test

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/shieldhq/shield/server/apply"
)

// The schema takes the example, refuses what Read refuses, and is the one that
// editors are pointed to.
func TestSchema(t *testing.T) {
	have, err := os.ReadFile("../../docs/shield.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, apply.Schema()) {
		t.Error("docs/shield.schema.json is not what shield export --schema prints")
	}
	parsed, err := jsonschema.UnmarshalJSON(bytes.NewReader(have))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("shield.schema.json", parsed); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("shield.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	example, err := os.ReadFile("../../examples/shield.yml")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Validate(value(t, string(example))); err != nil {
		t.Error(err)
	}
	if err := s.Validate(value(t, "stores:\n  s: {plugin: s3, endpoint: {key: {from_env: KEY}}, limit: {up: 5MiB, windows: [{from: '8:00', to: '9:00'}]}}\n")); err != nil {
		t.Error(err)
	}
	for _, doc := range []string{"jbos: {}", job("rpo: soon"), job("overlap: both"), job("priority: x"), "jobs: {j: {target: t}}",
		"stores: {s: {plugin: s3, endpoint: {key: {from: KEY}}}}"} {
		if s.Validate(value(t, doc)) == nil {
			t.Errorf("the schema takes %q", doc)
		}
		if _, err := apply.Read(apply.File{Name: "f.yml", Data: []byte(doc)}); err == nil {
			t.Errorf("Read takes %q", doc)
		}
	}
}

// value is a YAML document as JSON has it.
func value(t *testing.T, doc string) any {
	t.Helper()
	b, err := yaml.YAMLToJSON([]byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(string(b)))
	if err != nil {
		t.Fatal(err)
	}
	return v
}
