package google_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugins-wasm/google/google"
)

func TestValidation(t *testing.T) {
	t.Parallel()
	s := newService(t)
	const tokenURL = "https://oauth2.googleapis.com/token"
	for name, c := range map[string]struct {
		change map[string]any
		field  string // that is wrong; empty if it is good
		says   string
	}{
		"good":                   {nil, "", ""},
		"class":                  {map[string]any{"storage_class": "nearline"}, "", ""},
		"no bucket":              {map[string]any{"bucket": ""}, "endpoint.bucket", "is missing"},
		"bad bucket":             {map[string]any{"bucket": "My Bucket"}, "endpoint.bucket", "lower-case"},
		"no key":                 {map[string]any{"json_key": ""}, "endpoint.json_key", "is missing"},
		"two kinds of keys":      {map[string]any{"access_id": "GOOG1", "secret": "x"}, "endpoint.access_id", "one of them"},
		"secret alone":           {map[string]any{"json_key": nil, "secret": "x"}, "endpoint.access_id", "is missing"},
		"access ID alone":        {map[string]any{"json_key": nil, "access_id": "GOOG1"}, "endpoint.secret", "is missing"},
		"retention by HMAC key":  {map[string]any{"json_key": nil, "access_id": "GOOG1", "secret": "x", "retention_mode": "locked"}, "endpoint.retention_mode", "json_key"},
		"HMAC key":               {map[string]any{"json_key": nil, "access_id": "GOOG1", "secret": "x"}, "", ""},
		"key that is no JSON":    {map[string]any{"json_key": "hunter2"}, "endpoint.json_key", "whole text of a key file"},
		"key of a user":          {map[string]any{"json_key": `{"type":"authorized_user"}`}, "endpoint.json_key", "service account"},
		"key without address":    {map[string]any{"json_key": `{"type":"service_account"}`}, "endpoint.json_key", "client_email"},
		"key without key":        {map[string]any{"json_key": `{"type":"service_account","client_email":"a@b","private_key":"hunter2"}`}, "endpoint.json_key", "PEM"},
		"key that is none":       {map[string]any{"json_key": `{"type":"service_account","client_email":"a@b","private_key":"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"}`}, "endpoint.json_key", "RSA"},
		"another token URL":      {map[string]any{"json_key": s.jsonKey(t, "https://tokens.example/token")}, "endpoint.token_url", "https://tokens.example/token"},
		"endpoint with a path":   {map[string]any{"endpoint": "https://storage.example/x"}, "endpoint.endpoint", "only a host"},
		"endpoint with a slash":  {map[string]any{"endpoint": "https://storage.example/"}, "endpoint.endpoint", "slash"},
		"endpoint with password": {map[string]any{"endpoint": "https://a:hunter2@storage.example"}, "endpoint.endpoint", "more than a host"},
		"bad class":              {map[string]any{"storage_class": "cold"}, "endpoint.storage_class", "coldline"},
		"bad prefix":             {map[string]any{"prefix": "a//b"}, "endpoint.prefix", "empty segment"},
		"bad retries":            {map[string]any{"retries": 1000}, "endpoint.retries", "0 to 100"},
		"unknown field":          {map[string]any{"colour": "red"}, "endpoint.colour", "is not a field"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fields := map[string]any{"bucket": bucket, "json_key": s.jsonKey(t, tokenURL)}
			for k, v := range c.change {
				fields[k] = v
			}
			b, err := json.Marshal(fields)
			if err != nil {
				t.Fatal(err)
			}
			_, err = google.Plugin().OpenStore(t.Context(), b, nil)
			if c.field == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantCode(t, err, shield.Invalid, c.field, c.says)
			if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "PRIVATE") {
				t.Errorf("%q has what is secret", err)
			}
		})
	}
}

// TestCapabilities: a call reaches its bucket and where tokens come from, and
// nothing else.
func TestCapabilities(t *testing.T) {
	t.Parallel()
	info, err := google.Plugin().Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	wanted, err := plugin.ParseCapabilities(info.Capabilities)
	if err != nil {
		t.Fatal(err)
	}
	e, err := info.Resolve(plugin.RoleStore, shield.Endpoint(`{"bucket":"b-1","json_key":"x"}`))
	if err != nil {
		t.Fatal(err)
	}
	c, err := wanted.Resolve(e)
	want := []string{
		"https://storage.googleapis.com/storage/v1/b/b-1", "https://storage.googleapis.com/upload/storage/v1/b/b-1",
		"https://storage.googleapis.com/b-1",
		"https://oauth2.googleapis.com/token",
	}
	if diff := cmp.Diff(want, c.HTTP); diff != "" || err != nil {
		t.Errorf("(-want +got): %s%v", diff, err)
	}
}

// TestChunks: all chunks but the last are multiples of 256 KiB, and three fit
// into the memory of an upload: one on its way, one held, one being read.
func TestChunks(t *testing.T) {
	t.Parallel()
	for n := 1; n < 20; n++ {
		size := google.SlabsOf(n) * google.SlabSize
		if size%(256<<10) != 0 || google.SlabsOf(n) > google.PoolSlabs/2 {
			t.Errorf("chunk %d has %d bytes", n, size)
		}
	}
	if google.PoolSlabs*google.SlabSize > 40<<20 {
		t.Errorf("an upload has %d bytes of memory", google.PoolSlabs*google.SlabSize)
	}
}

func FuzzRange(f *testing.F) {
	for _, text := range []string{"", "bytes=0-262143", "bytes=0-", "bytes=5-9", "bytes=0-99999999999999999999"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if n, err := google.ParseRange(text); err == nil && n < 0 {
			t.Errorf("%q is %d bytes", text, n)
		}
	})
}

func FuzzKey(f *testing.F) {
	f.Add(`{"type":"service_account","client_email":"a@b","private_key":"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"}`)
	f.Add(`{"type":"service_account","client_email":"a@b","private_key":1}`)
	f.Fuzz(func(t *testing.T, text string) { _ = google.ParseKey(text, "https://oauth2.googleapis.com/token") })
}

func FuzzPage(f *testing.F) {
	f.Add([]byte(`{"nextPageToken":"x","items":[{"name":"a","size":"1","updated":"2026-01-31T00:00:00Z"}]}`))
	f.Add([]byte(`{"items":[{"size":1}]}`))
	f.Fuzz(func(t *testing.T, body []byte) { _ = google.ParsePage(body) })
}
