//go:build linux

package restic_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugins-wasm/restic/restic"
)

func TestEndpoints(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	must(t, os.WriteFile(file, []byte("x"), 0o600))
	good := fields{"repository": "/srv/restic", "password": "x"}
	for name, c := range map[string]struct {
		fields
		bad string // the field that is refused
	}{
		"path":             {fields{}, ""},
		"rest":             {fields{"repository": "rest:https://h:8000/x", "rest_user": "u", "rest_password": "p"}, ""},
		"file":             {fields{"password": "", "password_file": file}, ""},
		"credentials":      {fields{"env": "# ours\nAWS_ACCESS_KEY_ID=a\n\nAWS_SECRET_ACCESS_KEY=b=c\nhttps_proxy=http://p\n"}, ""},
		"no repository":    {fields{"repository": ""}, "repository"},
		"flag":             {fields{"repository": "--repo=x"}, "repository"},
		"user in the URL":  {fields{"repository": "rest:https://u:p@h/x"}, "repository"},
		"no host":          {fields{"repository": "rest:x"}, "repository"},
		"user of a path":   {fields{"rest_user": "u"}, "rest_user"},
		"no password":      {fields{"password": ""}, "password"},
		"two passwords":    {fields{"password_file": file}, "password_file"},
		"missing file":     {fields{"password": "", "password_file": file + "2"}, "password_file"},
		"path of programs": {fields{"env": "PATH=/tmp"}, "env"},
		"preload":          {fields{"env": "LD_PRELOAD=/tmp/x"}, "env"},
		"command":          {fields{"env": "RESTIC_PASSWORD_COMMAND=id"}, "env"},
		"no value":         {fields{"env": "AWS_X"}, "env"},
		"tags":             {fields{"tag": "a,shield-archive"}, "tag"},
		"our tag":          {fields{"tag": "shield-archive"}, "tag"},
		"limit":            {fields{"upload_limit": -1}, "upload_limit"},
		"wait":             {fields{"lock_wait": "1ms"}, "lock_wait"},
		"stall":            {fields{"stall_timeout": "0s"}, "stall_timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := restic.Plugin().OpenStore(t.Context(), endpoint(t, good, c.fields), nil)
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
	s, err := restic.Plugin().OpenStore(t.Context(), endpoint(t, fields{"repository": "/x", "password": "x"}), nil)
	must(t, err)
	for _, bad := range []string{"", "/a", "a/", "a//b", "../a", "a/./b", "a\nb", "\xff", strings.Repeat("k", 1025)} {
		_, err := s.Put(t.Context(), bad, strings.NewReader("x"))
		wantError(t, err, shield.Invalid, "key")
		_, err = s.Get(t.Context(), bad)
		wantError(t, err, shield.Invalid, "key")
		wantError(t, s.Delete(t.Context(), bad), shield.Invalid, "key")
	}
}

func TestWantsRawStreams(t *testing.T) {
	info, err := restic.Plugin().Info(t.Context())
	if err != nil || info.Streams != plugin.StreamsRaw {
		t.Errorf("%+v, %v", info, err)
	}
}
