//go:build linux

package rclone_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugins-wasm/rclone/rclone"
)

func TestEndpoints(t *testing.T) {
	dir := t.TempDir()
	here := filepath.Join(dir, "rclone.conf")
	must(t, os.WriteFile(here, nil, 0o600))
	for name, c := range map[string]struct {
		fields
		bad string // the field that is refused
	}{
		"path":                {fields{"remote": "/srv/backups"}, ""},
		"named":               {fields{"remote": "offsite:a/b", "config": "[offsite]\ntype=local"}, ""},
		"connection":          {fields{"remote": ":s3,env_auth=true,region=eu-west-1:bucket"}, ""},
		"comma in a path":     {fields{"remote": "/srv/a,password=x:y"}, ""},
		"file":                {fields{"remote": "x:", "config_file": here}, ""},
		"flags":               {fields{"remote": "x:", "flags": "--tpslimit=4 --fast-list"}, ""},
		"limit":               {fields{"remote": "x:", "bandwidth": "10M"}, ""},
		"timetable":           {fields{"remote": "x:", "bandwidth": "Mon-00:00,512 08:00,2M:1M 19:00,off"}, ""},
		"no remote":           {fields{}, "remote"},
		"relative":            {fields{"remote": "backups"}, "remote"},
		"secret in remote":    {fields{"remote": ":sftp,host=h,pass=abcdef:x"}, "remote"},
		"two configurations":  {fields{"remote": "x:", "config": "[x]", "config_file": here}, "config_file"},
		"missing file":        {fields{"remote": "x:", "config_file": filepath.Join(dir, "no")}, "config_file"},
		"unknown flag":        {fields{"remote": "x:", "flags": "--dry-run"}, "flags"},
		"flag with a command": {fields{"remote": "x:", "flags": "--password-command=id"}, "flags"},
		"single dash":         {fields{"remote": "x:", "flags": "-P"}, "flags"},
		"bare word":           {fields{"remote": "x:", "flags": "--tpslimit 4"}, "flags"},
		"open quotes":         {fields{"remote": "x:", "flags": `"`}, "flags"},
		"bad limit":           {fields{"remote": "x:", "bandwidth": "--fast"}, "bandwidth"},
		"no timeout":          {fields{"remote": "x:", "io_timeout": "0s"}, "io_timeout"},
		"short stall":         {fields{"remote": "x:", "stall_timeout": "1ms"}, "stall_timeout"},
		"retries":             {fields{"remote": "x:", "retries": 0}, "retries"},
		"checksum":            {fields{"remote": "x:", "checksum": "perhaps"}, "checksum"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := rclone.Plugin().OpenStore(t.Context(), endpoint(t, c.fields), nil)
			var e *shield.Error
			switch {
			case c.bad == "" && err != nil:
				t.Error(err)
			case c.bad != "" && (!errors.As(err, &e) || e.Code != shield.Invalid || e.Field != "endpoint."+c.bad):
				t.Errorf("got %v, want the field %s to be refused", err, c.bad)
			}
		})
	}
}

func TestKeys(t *testing.T) {
	s := open(t, endpoint(t, local(t.TempDir())))
	for _, bad := range []string{"", "/a", "a/", "a//b", "../a", "a/./b", "a\nb", "\xff", ".shield-parts/x", strings.Repeat("k", 1025)} {
		_, err := s.Put(t.Context(), bad, strings.NewReader("x"))
		wantError(t, err, shield.Invalid, "key")
		_, err = s.Get(t.Context(), bad)
		wantError(t, err, shield.Invalid, "key")
		wantError(t, s.Delete(t.Context(), bad), shield.Invalid, "key")
	}
}

// TestSays: what the real program says becomes the right code.
func TestSays(t *testing.T) {
	dir := t.TempDir()
	encrypted := "# Encrypted rclone configuration File\n\nRCLONE_ENCRYPT_V0:\n" + strings.Repeat("A", 100)
	for name, c := range map[string]struct {
		fields
		code shield.Code
		text string
	}{
		"unknown remote":  {fields{"remote": "nowhere:x"}, shield.Invalid, "didn't find section"},
		"unknown backend": {fields{"remote": "x:", "config": "[x]\ntype = nonsense"}, shield.Invalid, "didn't find backend"},
		"wrong password":  {fields{"remote": "x:", "config": encrypted, "password": "wrong one"}, shield.Unauthorized, "decrypt"},
		"refused":         {fields{"remote": "x:", "config": "[x]\ntype = webdav\nurl = http://127.0.0.1:1/", "retries": 1}, shield.Unavailable, "connection refused"},
		"below a file":    {fields{"remote": filepath.Join(dir, "file", "sub")}, shield.StoreFailed, "not a directory"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			must(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o600))
			s := open(t, endpoint(t, c.fields))
			_, err := s.Put(t.Context(), key, strings.NewReader("x"))
			wantError(t, err, c.code, c.text)
			if err != nil && strings.Contains(err.Error(), "wrong one") {
				t.Error("the error quotes the password")
			}
		})
	}
}

// TestPutAgain: a blob of the same size and time is replaced as well.
func TestPutAgain(t *testing.T) {
	s := open(t, endpoint(t, local(t.TempDir())))
	put(t, s, key, "one")
	put(t, s, key, "two")
	if got, err := get(t, s, key); got != "two" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestListOfNothing(t *testing.T) {
	s := open(t, endpoint(t, local(filepath.Join(t.TempDir(), "not", "yet"))))
	for _, prefix := range []string{"", "a", "a/b", "/", "../x"} {
		must(t, s.(plugin.Lister).List(t.Context(), prefix, func(o plugin.Object) error { t.Errorf("%q", o.Key); return nil }))
	}
	put(t, s, "a/b", "x")
	put(t, s, "a/c/d", "x")
	var keys []string
	must(t, s.(plugin.Lister).List(t.Context(), "a/", func(o plugin.Object) error { keys = append(keys, o.Key); return nil }))
	slices.Sort(keys)
	if !slices.Equal(keys, []string{"a/b", "a/c/d"}) {
		t.Errorf("keys %q", keys)
	}
}
