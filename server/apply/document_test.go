package apply_test

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/server/apply"
)

// job is a document with a job that has one more line.
func job(line string) string {
	return "jobs:\n  j:\n    target: t\n    store: s\n    schedule: c\n    retention_policy: r\n    " + line + "\n"
}

func TestReadErrors(t *testing.T) {
	for _, c := range []struct{ doc, want string }{
		{"jobs: [", "f.yml:1:7: "},
		{"jobs:\n\t- x", "f.yml:2:1: "},
		{"jbos: {}", "f.yml:1:1: jbos is not known: schedules, retention_policies, stores, targets, jobs are"},
		{"[1, 2]", "f.yml:1:1: "},
		{"just text", "f.yml:1:1: "},
		{"jobs: [a]", "f.yml:1:7: jobs must be a mapping from names to jobs"},
		{"jobs:\n  j: 5", "f.yml:2:6: jobs.j must be a mapping with the fields of a job"},
		{"jobs:\n  j: {target: t}", "f.yml:2:6: jobs.j has no store: the store that archives go into"},
		{"jobs:\n  \"a\\u0000\": {}", "control character"},
		{job("priority: high"), "f.yml:7:15: jobs.j.priority must be a whole number"},
		{job("priority: 1.5"), "must be a whole number"},
		{job("priority: 200"), "f.yml:7:15: jobs.j.priority is 200"},
		{job("priority: 99999999999999999999999"), "must be a whole number"},
		{job("paused: maybe"), "f.yml:7:13: jobs.j.paused must be true or false"},
		{job("rpo: soon"), `f.yml:7:10: jobs.j.rpo "soon" is no time`},
		{job("rpo: -1"), "jobs.j.rpo"},
		{job("rpo: [1]"), "must be a number of seconds, or a time like 30d"},
		{job("overlap: both"), `jobs.j.overlap is "both": it must be one of skip, queue, replace`},
		{job("summary: 5"), "must be text: put it in quotes"},
		{"stores:\n  s:\n    plugin: fs\n    endpoint: /srv", "f.yml:4:15: stores.s.endpoint must be a mapping"},
		{"stores:\n  s:\n    plugin: fs\n    endpoint: {}\n    limit: 5", "must be a rate like 20MiB, or a mapping"},
		{"stores:\n  s:\n    plugin: fs\n    endpoint: {}\n    limit: fast", "stores.s.limit"},
		{"stores:\n  s:\n    plugin: fs\n    endpoint: {}\n    limit: {upp: 5MiB}", `unknown field "upp"`},
		{"stores:\n  s:\n    plugin: fs\n    endpoint: {}\n    limit: {timezone: Mars/Base}", "Mars/Base"},
		{"stores:\n  s:\n    plugin: fs\n    endpoint: {password: {from_env: SHIELD_NOT_SET}}", "f.yml:4:26: stores.s.endpoint.password is to be the environment variable \"SHIELD_NOT_SET\", which is not set"},
		{"stores:\n  s:\n    plugin: fs\n    endpoint: {password: {from_file: nowhere}}", "nowhere: no such file"},
		{"stores:\n  s:\n    plugin: fs\n    endpoint: {password: {from: x}}", "must be a plain value, or one of {from_env: NAME} and {from_file: PATH}"},
		{"stores:\n  s:\n    plugin: fs\n    endpoint: {password: {from_env: A, from_file: b}}", "must be a plain value, or one of"},
		{"schedules:\n  s:\n    timespec: every 4 hours from 5:30", "f.yml:3:15: schedules.s.timespec"},
		{"schedules:\n  s:\n    timespec: hourly\n    timezone: Mars/Base", "Mars/Base"},
		{"schedules:\n  s:\n    timespec: hourly\n    blackout: sundays", "must be a list of texts"},
		{"retention_policies:\n  r:\n    expiry: 0", "f.yml:3:13: retention_policies.r.expiry"},
		{"retention_policies:\n  r: {expiry: 1d}\n---\nretention_policies:\n  r: {expiry: 2d}", "f.yml:5:6: retention_policies.r is described in f.yml:2:6 already"},
	} {
		_, err := apply.Read(apply.File{Name: "f.yml", Data: []byte(c.doc)})
		if !errors.Is(err, shield.Invalid) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q:\n is %v\n want %s", c.doc, err, c.want)
		}
	}
}

// What is no YAML may hold a secret, which the error must not repeat.
func TestReadKeepsSecrets(t *testing.T) {
	for _, doc := range []string{
		"stores:\n  s:\n    plugin: s3\n    endpoint: {password: hunter2, : ]}",
		"stores:\n  s:\n    plugin: s3\n    endpoint: {password: \"hunter2}",
		"stores:\n  s:\n    plugin: s3\n    endpoint: {password: hunter2, password: hunter2}",
		"stores:\n  s:\n    plugin: s3\n    endpoint: hunter2",
		"stores:\n  s:\n    plugin: s3\n    endpoint: {password: {from_env: [hunter2]}}",
	} {
		_, err := apply.Read(apply.File{Name: "f.yml", Data: []byte(doc)})
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v", doc, err)
		}
	}
}

func TestReadElsewhere(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("SHIELD_TEST_SECRET", "from the environment")
	if err := os.WriteFile(filepath.Join(dir, "secret"), []byte("from a file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	doc := "x: &e {from_env: SHIELD_TEST_SECRET}\n"
	_, err := apply.Read(apply.File{Name: filepath.Join(dir, "f.yml"), Data: []byte(
		"stores:\n  s:\n    plugin: fs\n    endpoint: {a: {from_env: SHIELD_TEST_SECRET}, b: {from_file: secret}}")})
	if err != nil {
		t.Error(err)
	}
	if _, err := apply.Read(apply.File{Name: "f.yml", Data: []byte(doc)}); err == nil {
		t.Error("an unknown key with an anchor is taken")
	}
}

func FuzzRead(f *testing.F) {
	example, err := os.ReadFile("../../examples/shield.yml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(example)
	f.Add([]byte("a: &x [*x]"))
	f.Add([]byte("stores: {s: {plugin: fs, endpoint: {? [a] : b}}}"))
	f.Fuzz(func(t *testing.T, doc []byte) {
		if _, err := apply.Read(apply.File{Name: "f.yml", Data: doc}); err != nil && !errors.Is(err, shield.Invalid) {
			t.Errorf("%v is not about the input", err)
		}
	})
}

// What can be set of a noun can be described.
func TestFieldsAreComplete(t *testing.T) {
	for key, v := range map[string]any{
		"targets": shield.Target{}, "stores": shield.Store{}, "schedules": shield.Schedule{},
		"retention_policies": shield.Policy{}, "jobs": shield.Job{},
	} {
		known := strings.Join(apply.Fields(key), " ") + " uuid name version created_at updated_at target_uuid store_uuid schedule_uuid retention_uuid last_success next_due breached "
		for _, f := range reflect.VisibleFields(reflect.TypeOf(v)) {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if name != "" && !strings.Contains(known, name+" ") {
				t.Errorf("%s: %s of the API is not known", key, name)
			}
		}
	}
}
