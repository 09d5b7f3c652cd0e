package exec_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
)

func TestProbe(t *testing.T) {
	t.Parallel()
	good := plugin.Probe{Counts: map[string]int64{"rows": 7}, Versions: map[string]string{"server": "PostgreSQL 15.18"}}
	for _, tt := range []struct {
		name, body string
		want       plugin.Probe
		code       shield.Code
		text       string
	}{
		{"all", `echo '{"counts":{"rows":7},"versions":{"server":"PostgreSQL 15.18"},"more":1}'`, good, "", ""},
		{"nothing to say", `echo '{}'`, plugin.Probe{}, "", ""},
		{"nothing", `true`, plugin.Probe{}, shield.PluginFailed, "nothing was printed"},
		{"no JSON", `echo seven`, plugin.Probe{}, shield.PluginFailed, "not the JSON object"},
		{"two answers", `echo '{}{}'`, plugin.Probe{}, shield.PluginFailed, "not the JSON object"},
		{"a text for a number", `echo '{"counts":{"rows":"7"}}'`, plugin.Probe{}, shield.PluginFailed, "not the JSON object"},
		{"negative", `echo '{"counts":{"rows":-7}}'`, plugin.Probe{}, shield.PluginFailed, "counts.rows is -7"},
		{"no name", `echo '{"counts":{"":7}}'`, plugin.Probe{}, shield.PluginFailed, "text on one line"},
		{"version of two lines", `printf '{"versions":{"server":"a\\nb"}}'`, plugin.Probe{}, shield.PluginFailed, "text on one line"},
		{"huge", `head -c 1000000 /dev/zero`, plugin.Probe{}, shield.PluginFailed, "more than 65536 bytes"},
		{"answer, then failure", `echo '{"counts":{"rows":7}}'; echo gone >&2; exit 4`, plugin.Probe{}, shield.TargetFailed, "exit status 4: gone"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := script(t, quick, fdInfo, map[plugin.Action]string{"probe": tt.body})
			got, err := target(t, p, `{}`, nil).(plugin.Prober).Probe(t.Context())
			if tt.code != "" {
				wantError(t, err, tt.code, tt.text)
			} else if diff := cmp.Diff(tt.want, got); err != nil || diff != "" {
				t.Errorf("%v\n%s", err, diff)
			}
		})
	}
}

func TestInspect(t *testing.T) {
	t.Parallel()
	inspect := func(body string, r io.Reader) (plugin.Probe, error) {
		p := script(t, quick, fdInfo, map[plugin.Action]string{"inspect": body})
		return target(t, p, `{}`, nil).(plugin.Inspector).Inspect(t.Context(), r)
	}
	got, err := inspect(`n=$(wc -c); echo '{"counts":{"bytes":'$n'}}'`, strings.NewReader("content"))
	if diff := cmp.Diff(plugin.Probe{Counts: map[string]int64{"bytes": 7}}, got); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	_, err = inspect(`cat >/dev/null; echo 'shield-error: {"code":"corrupt","message":"it ends too early"}' >&2; exit 4`, strings.NewReader("cont"))
	wantError(t, err, shield.Corrupt, "it ends too early")
	_, err = inspect(`echo '{}'`, strings.NewReader("content"))
	wantError(t, err, shield.PluginFailed, "stopped reading after 0 bytes")
	broken := errors.New("broken")
	if _, err = inspect(`cat >/dev/null; echo '{}'`, io.MultiReader(strings.NewReader("x"), iotest.ErrReader(broken))); !errors.Is(err, broken) {
		t.Errorf("got %v, want the reader's error", err)
	}
}

// TestLocked: the code and the time of an error line come through.
func TestLocked(t *testing.T) {
	t.Parallel()
	until := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	for body, want := range map[string]time.Time{
		`echo 'shield-error: {"code":"locked","message":"kept","until":"2030-01-02T03:04:05Z"}' >&2; exit 4`: until,
		`echo 'shield-error: {"code":"locked","message":"kept"}' >&2; exit 4`:                                {},
	} {
		p := script(t, quick, fdInfo, map[plugin.Action]string{"purge": body})
		err := store(t, p, `{}`, nil).Delete(t.Context(), "k")
		wantError(t, err, shield.Locked, "kept")
		if got := shield.UntilOf(err); !got.Equal(want) {
			t.Errorf("until is %s, want %s", got, want)
		}
	}
}

// TestUntilIsForKeepers: a plugin without keeping never gets the flag.
func TestUntilIsForKeepers(t *testing.T) {
	t.Parallel()
	p := script(t, quick, legacyInfo, map[plugin.Action]string{"store": `echo "$@" >&2; cat >/dev/null; echo '{"key":"k"}'`})
	var l logbook
	s := store(t, p, `{}`, l.log)
	if _, ok := s.(plugin.Keeper); ok {
		t.Error("a plugin without keeping is a Keeper")
	}
	if _, err := s.Put(context.WithoutCancel(t.Context()), "k", strings.NewReader("")); err != nil || strings.Contains(l.text(), "until") {
		t.Errorf("%v: %s", err, l.text())
	}
}
