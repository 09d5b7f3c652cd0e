package plugin_test

import (
	"encoding/json"
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
)

func parse(t testing.TB, text string) plugin.Capabilities {
	t.Helper()
	c, err := plugin.ParseCapabilities(json.RawMessage(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestParseCapabilitiesRefuses(t *testing.T) {
	for _, text := range []string{
		`[]`, `{"tcp":"x"}`, `{"tcp":["host"]}`, `{"tcp":[":1"]}`, `{"http":["ftp://x"]}`, `{"read":["relative"]}`,
		`{"exec":["/bin/sh"]}`, `{"exec":["../sh"]}`, `{"exec":[""]}`, `{"memory":"lots"}`, `{"memory":-1}`,
	} {
		if _, err := plugin.ParseCapabilities(json.RawMessage(text)); shield.CodeOf(err) != shield.PluginFailed {
			t.Errorf("%s: %v", text, err)
		}
	}
	if c := parse(t, `{"new":{"things":1}}`); !c.Empty() {
		t.Errorf("an unknown key became %+v", c)
	}
}

func TestWords(t *testing.T) {
	got := parse(t, `{"tcp":["{host}:{port}","{host}:5432","*:443","*:*","{servers}","db:1"],"http":["{url}","https://{bucket}.s3/"],
		"read":["{base_dir}"],"write":["/srv/{name}"],"exec":["pg_dump"],"memory":"64MiB"}`).Words()
	want := []string{
		"may connect to the host and port of its endpoint",
		"may connect to port 5432 of the host of its endpoint",
		"may connect to port 443 of any host",
		"may connect to any address",
		"may connect to the servers of its endpoint",
		"may connect to db:1",
		"may make HTTP requests to the url of its endpoint",
		"may make HTTP requests to https://{bucket}.s3/ (bucket is a field of its endpoint)",
		"may read the folder base_dir of its endpoint",
		"may write in the folder /srv/{name} (name is a field of its endpoint)",
		"may run pg_dump",
		"may use 64MiB of memory",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestResolveCapabilities(t *testing.T) {
	c := parse(t, `{"tcp":["{host}:{port}","{servers}","{gone}:1"],"http":["{url}"],"read":["{dir}/sub"]}`)
	got, err := c.Resolve(shield.Endpoint(`{"host":"::1","port":5432,"servers":"a:1, redis://b/0","url":"https://u:p@h/x?q","dir":"/srv/../etc/."}`))
	if err != nil {
		t.Fatal(err)
	}
	want := plugin.Capabilities{TCP: []string{"[::1]:5432", "a:1", "b:6379"}, HTTP: []string{"https://h/x"}, Read: []string{"/etc/sub"}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	for _, e := range []string{`{"url":"ftp://x"}`, `{"dir":"relative"}`, `{"servers":"a"}`} {
		if _, err := c.Resolve(shield.Endpoint(e)); shield.CodeOf(err) != shield.Invalid {
			t.Errorf("%s: %v", e, err)
		}
	}
}

// A host with a colon in it must not move the border between host and port.
func TestResolveCapabilitiesInjection(t *testing.T) {
	c, err := parse(t, `{"tcp":["{host}:5432"]}`).Resolve(shield.Endpoint(`{"host":"evil:22"}`))
	if err != nil || c.MayDial("evil:22") || c.MayDial("evil:5432") {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestMayRequest(t *testing.T) {
	c := plugin.Capabilities{HTTP: []string{"https://s3.example/bucket", "https://*.cdn.example/"}}
	for text, want := range map[string]bool{
		"https://s3.example/bucket":             true,
		"https://s3.example/bucket/key?x=1":     true,
		"https://S3.example:443/bucket/k":       true,
		"https://s3.example/bucket2":            false,
		"https://s3.example/":                   false,
		"http://s3.example/bucket":              false,
		"https://s3.example:444/bucket":         false,
		"https://s3.example/bucket/../other":    false,
		"https://s3.example/bucket/%2e%2e/x":    false,
		"https://s3.example/bucket/..%2fother":  false,
		"https://s3.example.evil/bucket":        false,
		"https://s3.example@evil/bucket":        false,
		"https://a.cdn.example/x":               true,
		"https://cdn.example/x":                 false,
		"https://evilcdn.example/x":             false,
		"https://a.cdn.example.evil/.cdn.exam/": false,
	} {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.MayRequest(u); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

func TestMayRead(t *testing.T) {
	c := plugin.Capabilities{Read: []string{"/srv/a"}, Write: []string{"/srv/b"}}
	for p, want := range map[string]bool{"/srv/a": true, "/srv/a/x": true, "/srv/ab": false, "/srv": false, "/srv/b/x": true} {
		if _, got := c.MayRead(p); got != want {
			t.Errorf("%s: %v", p, got)
		}
	}
	if _, ok := c.MayWrite("/srv/a/x"); ok {
		t.Error("what may be read may be written")
	}
}

func TestDiff(t *testing.T) {
	a := parse(t, `{"tcp":["{host}:1"],"exec":["cat"],"memory":"64MiB"}`)
	b := parse(t, `{"tcp":["{host}:1","{host}:2"],"read":["{dir}"],"memory":"1GiB"}`)
	want := plugin.Capabilities{TCP: []string{"{host}:2"}, Read: []string{"{dir}"}, Memory: 1 << 30}
	if d := cmp.Diff(want, plugin.Diff(a, b)); d != "" {
		t.Error(d)
	}
	if d := plugin.Diff(a, a); !d.Empty() {
		t.Errorf("%+v", d)
	}
}

func TestGrantJSON(t *testing.T) {
	const text = `{"tcp":["{host}:{port}"],"exec":{"pg_dump":{"path":"/usr/bin/pg_dump","deny":["-f"]}},"memory":"256MiB","timeout":"6h0m0s","isolation":"process"}`
	g, err := plugin.ParseGrant([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(g)
	if err != nil || string(b) != text {
		t.Errorf("%s, %v", b, err)
	}
	for _, bad := range []string{
		`{"tpc":[]}`, `{"isolation":"vm"}`, `{"timeout":"-1s"}`, `{"exec":{"x":{"path":"bin/x"}}}`,
		`{"exec":{"x":{"deny":["f"]}}}`, `{"exec":{"a/b":{}}}`, `{"memory":"1x"}`,
	} {
		if _, err := plugin.ParseGrant([]byte(bad)); shield.CodeOf(err) != shield.Invalid {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func FuzzParseCapabilities(f *testing.F) {
	f.Add([]byte(`{"name":"x","author":"a","version":"1","features":{"target":"yes","store":"no"},"capabilities":{"tcp":["{host}:{port}"]}}`))
	f.Add([]byte(`{"name":"x","features":{"target":"yes","store":"no"},"fields":[{"mode":"both","name":"a","type":"enum","enum":["x"]}],"capabilities":[]}`))
	f.Fuzz(func(_ *testing.T, data []byte) {
		i, err := plugin.ParseInfo(data)
		if err != nil {
			return
		}
		c, err := plugin.ParseCapabilities(i.Capabilities)
		if err != nil {
			return
		}
		c.Words()
		_, _ = c.Resolve(shield.Endpoint(`{"host":"a","port":1}`))
	})
}
