package plugin_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
)

func everyType() plugin.Info {
	return plugin.Info{
		Name: "sample", Version: "1", Features: plugin.Features{Target: "yes", Store: "yes"},
		Fields: []plugin.Field{
			{Mode: plugin.RoleBoth, Name: "host", Type: plugin.TypeString, Required: true, Title: "Host", Example: "db.example"},
			{Mode: plugin.RoleBoth, Name: "port", Type: plugin.TypePort, Default: "5432"},
			{Mode: plugin.RoleTarget, Name: "tls", Type: plugin.TypeBool},
			{Mode: plugin.RoleTarget, Name: "mode", Type: plugin.TypeEnum, Enum: []string{"fast", "safe"}},
			{Mode: plugin.RoleTarget, Name: "jobs", Type: plugin.TypeInteger},
			{Mode: plugin.RoleTarget, Name: "wait", Type: plugin.TypeDuration},
			{Mode: plugin.RoleTarget, Name: "part", Type: plugin.TypeBytes},
			{Mode: plugin.RoleTarget, Name: "dir", Type: plugin.TypeAbsPath},
			{Mode: plugin.RoleTarget, Name: "url", Type: plugin.TypeURL},
			{Mode: plugin.RoleTarget, Name: "password", Type: plugin.TypePassword},
			{Mode: plugin.RoleTarget, Name: "ca", Type: plugin.TypePEM},
		},
	}
}

const pemText = "-----BEGIN X-----\nAAAA\n-----END X-----\n"

func TestResolve(t *testing.T) {
	info := everyType()
	pemJSON, err := json.Marshal(pemText)
	if err != nil {
		t.Fatal(err)
	}
	for in, want := range map[string]string{
		`{"host":"h"}`:                              `{"host":"h","port":5432}`,
		`{"host":"h","port":"1"}`:                   `{"host":"h","port":1}`,
		`{"host":"h","port":65535,"tls":"y"}`:       `{"host":"h","port":65535,"tls":true}`,
		`{"host":"h","tls":0,"mode":"safe"}`:        `{"host":"h","mode":"safe","port":5432,"tls":false}`,
		`{"host":"h","jobs":"4","wait":"90s"}`:      `{"host":"h","jobs":4,"port":5432,"wait":"90s"}`,
		`{"host":"h","part":"64MiB"}`:               `{"host":"h","part":67108864,"port":5432}`,
		`{"host":"h","dir":"/a/../b/"}`:             `{"dir":"/b","host":"h","port":5432}`,
		`{"host":"h","url":"https://x:1/y"}`:        `{"host":"h","port":5432,"url":"https://x:1/y"}`,
		`{"host":"h","mode":"","ca":null}`:          `{"host":"h","port":5432}`,
		`{"host":"h","ca":` + string(pemJSON) + `}`: `{"ca":` + string(pemJSON) + `,"host":"h","port":5432}`,
	} {
		got, err := info.Resolve(plugin.RoleTarget, shield.Endpoint(in))
		if err != nil || string(got) != want {
			t.Errorf("%s: got %s, %v, want %s", in, []byte(got), err, want)
		}
	}
}

func TestResolveErrors(t *testing.T) {
	info := everyType()
	const secret = "hunter2"
	for in, want := range map[string]string{
		`{}`:                                         "endpoint.host: is missing: a value of type string is wanted (Host), like db.example",
		`{"host":7}`:                                 "endpoint.host: is 7: it must be a string, not a number",
		`{"host":"h","hots":"x"}`:                    "endpoint.hots: is not a field of sample as a target: host, port",
		`{"host":"h","port":0}`:                      "endpoint.port: is 0: it must be a port, 1 to 65535",
		`{"host":"h","port":65536}`:                  "1 to 65535",
		`{"host":"h","port":1.5}`:                    "1 to 65535",
		`{"host":"h","tls":"maybe"}`:                 "true or false",
		`{"host":"h","mode":"slow"}`:                 "one of fast, safe",
		`{"host":"h","jobs":1e300}`:                  "whole number",
		`{"host":"h","wait":"-1s"}`:                  "duration",
		`{"host":"h","wait":5}`:                      "duration",
		`{"host":"h","part":"1 parsec"}`:             "number of bytes",
		`{"host":"h","part":"99999999TiB"}`:          "number of bytes",
		`{"host":"h","dir":"relative"}`:              `endpoint.dir: is "relative": it must be an absolute path`,
		`{"host":"h","url":"nowhere"}`:               "URL",
		`{"host":"a\u0000b"}`:                        "NUL",
		`{"host":"h","ca":"` + secret + `"}`:         "endpoint.ca: must be a PEM text",
		`{"host":"h","password":["` + secret + `"]}`: "endpoint.password: must be a string, not a list",
	} {
		_, err := info.Resolve(plugin.RoleTarget, shield.Endpoint(in))
		if !errors.Is(err, shield.Invalid) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: got %v, want Invalid with %q", in, err, want)
		}
	}
	if _, err := info.Resolve(plugin.RoleStore, shield.Endpoint(`{"host":"h","tls":true}`)); !errors.Is(err, shield.Invalid) {
		t.Errorf("a target's field for a store: %v", err)
	}
	info.Features.Store = "no"
	if _, err := info.Resolve(plugin.RoleStore, shield.Endpoint(`{"host":"h"}`)); !errors.Is(err, shield.Invalid) {
		t.Errorf("a plugin that is no store as one: %v", err)
	}
	if got := info.Secrets(plugin.RoleTarget); strings.Join(got, " ") != "password ca" {
		t.Errorf("secrets are %q", got)
	}
}

func TestInfoCheck(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*plugin.Info)
		want   string
	}{
		{"good", func(*plugin.Info) {}, ""},
		{"no name", func(i *plugin.Info) { i.Name = "" }, "name"},
		{"features", func(i *plugin.Info) { i.Features.Target = "maybe" }, `features.target is "maybe"`},
		{"no role", func(i *plugin.Info) { i.Features = plugin.Features{Target: "no", Store: "no"} }, "neither"},
		{"delivery", func(i *plugin.Info) { i.Endpoint = "post" }, `endpoint is "post"`},
		{"field name", func(i *plugin.Info) { i.Fields[0].Name = "a b" }, "fields[0]"},
		{"field mode", func(i *plugin.Info) { i.Fields[0].Mode = "all" }, "mode"},
		{"field type", func(i *plugin.Info) { i.Fields[0].Type = "blob" }, "unknown"},
		{"enum without values", func(i *plugin.Info) { i.Fields[3].Enum = nil }, "enum"},
		{"bad default", func(i *plugin.Info) { i.Fields[1].Default = "x" }, "default"},
		{"twice", func(i *plugin.Info) { i.Fields[2].Name = "host" }, "twice"},
	} {
		t.Run(c.name, func(t *testing.T) {
			info := everyType()
			c.change(&info)
			data, err := json.Marshal(info)
			if err != nil {
				t.Fatal(err)
			}
			_, err = plugin.ParseInfo(data)
			if c.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if !errors.Is(err, shield.PluginFailed) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want PluginFailed with %q", err, c.want)
			}
		})
	}
	for _, text := range []string{"", "null", "[]", "{", strings.Repeat(" ", plugin.InfoLimit+1)} {
		if _, err := plugin.ParseInfo([]byte(text)); !errors.Is(err, shield.PluginFailed) {
			t.Errorf("%.20q: %v, want PluginFailed", text, err)
		}
	}
}

func TestRegistry(t *testing.T) {
	ctx := context.Background()
	r := plugin.NewRegistry()
	info := everyType()
	if err := r.Register("sample", &plugin.Native{About: info}); err != nil {
		t.Fatal(err)
	}
	if err := r.Register("sample", &plugin.Native{About: info}); !errors.Is(err, shield.Conflict) {
		t.Errorf("registering twice: %v", err)
	}
	if _, err := r.Info(ctx, "simple"); !errors.Is(err, shield.Invalid) || !strings.Contains(err.Error(), "this host has sample") {
		t.Errorf("an unknown plugin: %v", err)
	}
	if _, _, err := r.OpenTarget(ctx, "sample", shield.Endpoint(`{"host":"h"}`), nil); !errors.Is(err, shield.Invalid) {
		t.Errorf("a native plugin without targets: %v", err)
	}
	if _, _, err := r.OpenStore(ctx, "sample", shield.Endpoint(`{}`), nil); !errors.Is(err, shield.Invalid) || !strings.Contains(err.Error(), "host") {
		t.Errorf("an endpoint that lacks a field: %v", err)
	}
}

func FuzzParseInfo(f *testing.F) {
	data, err := json.Marshal(everyType())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data, []byte(`{"host":"h"}`))
	f.Add([]byte(`{"name":"x","features":{"target":"yes","store":"no"}}`), []byte(`{}`))
	f.Fuzz(func(t *testing.T, data, endpoint []byte) {
		info, err := plugin.ParseInfo(data)
		if err != nil {
			return
		}
		e, err := info.Resolve(plugin.RoleTarget, endpoint)
		if err != nil {
			return
		}
		if again, err := info.Resolve(plugin.RoleTarget, e); err != nil || string(again) != string(e) {
			t.Errorf("%q resolves to %q, and that to %q, %v", endpoint, []byte(e), []byte(again), err)
		}
	})
}

func TestOffers(t *testing.T) {
	r := plugin.NewRegistry()
	about := plugin.Info{Name: "A", Version: "1", Features: plugin.Features{Target: "yes", Store: "no"}}
	for name, o := range map[string]plugin.Opener{"good": &plugin.Native{About: about}, "broken": mute{}} {
		if err := r.Register(name, o); err != nil {
			t.Fatal(err)
		}
	}
	got := plugin.Offers(t.Context(), r, func(err error) string { return "because: " + err.Error() })
	want := []plugin.Offer{{Name: "broken", Error: "because: mute"}, {Name: "good", Info: &about}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got := plugin.Offers(t.Context(), plugin.NewRegistry(), error.Error); got == nil || len(got) != 0 {
		t.Errorf("of nothing: %v, want a list that JSON shows as one", got)
	}
}

// mute is a plugin that cannot describe itself.
type mute struct{ plugin.Opener }

func (mute) Info(context.Context) (plugin.Info, error) { return plugin.Info{}, errors.New("mute") }
