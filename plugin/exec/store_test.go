package exec_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
)

func TestPut(t *testing.T) {
	t.Parallel()
	digest := "sha256:" + strings.Repeat("a", 64)
	for _, tt := range []struct {
		name, body string
		want       plugin.Stored
		code       shield.Code
		text       string
	}{
		{"original answer", `cat >/dev/null; echo '{"key":"k","archive_size":7}'`, plugin.Stored{Key: "k", Size: 7}, "", ""},
		{"no size", `cat >/dev/null; echo '{"key":"k"}'`, plugin.Stored{Key: "k", Size: -1}, "", ""},
		{"all", `cat >/dev/null; echo '{"key":"k","size":5,"archive_size":7,"digest":"` + digest + `","more":1}'`, plugin.Stored{Key: "k", Size: 5, Digest: digest}, "", ""},
		{"nothing", "cat >/dev/null", plugin.Stored{}, shield.PluginFailed, "nothing was printed"},
		{"no JSON", "cat >/dev/null; echo fine", plugin.Stored{}, shield.PluginFailed, "not the JSON object"},
		{"two answers", `cat >/dev/null; echo '{"key":"a"}{"key":"b"}'`, plugin.Stored{}, shield.PluginFailed, "not the JSON object"},
		{"huge answer", "cat >/dev/null; head -c 1000000 /dev/zero", plugin.Stored{}, shield.PluginFailed, "more than 65536 bytes"},
		{"no key", "cat >/dev/null; echo '{}'", plugin.Stored{}, shield.PluginFailed, "the key is empty"},
		{"key with a new line", `cat >/dev/null; printf '{"key":"a\\nb"}'`, plugin.Stored{}, shield.PluginFailed, "control characters"},
		{"long key", `cat >/dev/null; printf '{"key":"%02000d"}' 1`, plugin.Stored{}, shield.PluginFailed, "at most 1024"},
		{"negative size", `cat >/dev/null; echo '{"key":"k","size":-3}'`, plugin.Stored{}, shield.PluginFailed, "size is -3"},
		{"strange digest", `cat >/dev/null; echo '{"key":"k","digest":"md5:1"}'`, plugin.Stored{}, shield.PluginFailed, "digest is"},
		{"answer, then failure", `cat >/dev/null; echo '{"key":"k"}'; echo full >&2; exit 4`, plugin.Stored{}, shield.StoreFailed, "exit status 4: full"},
		{"answer without reading", `echo '{"key":"k"}'`, plugin.Stored{}, shield.PluginFailed, "stopped reading after 0 bytes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := script(t, quick, legacyInfo, map[plugin.Action]string{"store": tt.body})
			got, err := store(t, p, `{}`, nil).Put(t.Context(), "wanted", strings.NewReader("content"))
			if tt.code != "" {
				wantError(t, err, tt.code, tt.text)
			} else if diff := cmp.Diff(tt.want, got); err != nil || diff != "" {
				t.Errorf("%v\n%s", err, diff)
			}
		})
	}
}

func TestArguments(t *testing.T) {
	t.Parallel()
	show := `{ printf '<%s>' "$@"; echo; } >&2; [ "$1" != store ] || { cat >/dev/null; echo '{"key":"k"}'; }`
	actions := map[plugin.Action]string{"probe": show + "; echo '{}'", "inspect": show + "; cat >/dev/null; echo '{}'", "store": show, "purge": show, "list": show, "test": show, "validate": show, "retrieve": show, "backup": show, "restore": show}
	const odd = "-k it's; $x\"*"
	calls := []struct {
		want string
		call func(ctx context.Context, s plugin.Store, tg plugin.Target) error
	}{
		{"<store><--name><" + odd + ">", func(ctx context.Context, s plugin.Store, _ plugin.Target) error {
			_, err := s.Put(ctx, odd, strings.NewReader(""))
			return err
		}},
		{"<store>", func(ctx context.Context, s plugin.Store, _ plugin.Target) error {
			_, err := s.Put(ctx, "", strings.NewReader(""))
			return err
		}},
		{"<store><--name><k><--until><2026-11-22T10:00:01Z>", func(ctx context.Context, s plugin.Store, _ plugin.Target) error {
			until := time.Date(2026, 11, 22, 11, 0, 0, 1, time.FixedZone("CET", 3600))
			_, err := s.(plugin.Keeper).PutUntil(ctx, "k", strings.NewReader(""), until)
			return err
		}},
		{"<probe>", func(ctx context.Context, _ plugin.Store, tg plugin.Target) error {
			_, err := tg.(plugin.Prober).Probe(ctx)
			return err
		}},
		{"<inspect>", func(ctx context.Context, _ plugin.Store, tg plugin.Target) error {
			_, err := tg.(plugin.Inspector).Inspect(ctx, strings.NewReader("x"))
			return err
		}},
		{"<retrieve><--key><" + odd + ">", func(ctx context.Context, s plugin.Store, _ plugin.Target) error {
			r, err := s.Get(ctx, odd)
			if err != nil {
				return err
			}
			return r.Close()
		}},
		{"<purge><--key><" + odd + ">", func(ctx context.Context, s plugin.Store, _ plugin.Target) error { return s.Delete(ctx, odd) }},
		{"<list><--prefix><p/>", func(ctx context.Context, s plugin.Store, _ plugin.Target) error {
			return s.(plugin.Lister).List(ctx, "p/", nil)
		}},
		{"<test><--role><store>", func(ctx context.Context, s plugin.Store, _ plugin.Target) error {
			return s.(plugin.Tester).Test(ctx)
		}},
		{"<test><--role><target>", func(ctx context.Context, _ plugin.Store, tg plugin.Target) error {
			return tg.(plugin.Tester).Test(ctx)
		}},
		{"<validate><--role><target>", func(ctx context.Context, _ plugin.Store, tg plugin.Target) error {
			return tg.(plugin.Validator).Validate(ctx)
		}},
		{"<backup>", func(ctx context.Context, _ plugin.Store, tg plugin.Target) error { return tg.Backup(ctx, io.Discard) }},
		{"<restore>", func(ctx context.Context, _ plugin.Store, tg plugin.Target) error {
			return tg.Restore(ctx, strings.NewReader(""))
		}},
	}
	p := script(t, quick, fdInfo, actions)
	for _, tt := range calls {
		var l logbook
		if err := tt.call(t.Context(), store(t, p, `{}`, l.log), target(t, p, `{}`, l.log)); err != nil {
			t.Errorf("%s: %v", tt.want, err)
		}
		if l.text() != tt.want {
			t.Errorf("arguments are %s, want %s", l.text(), tt.want)
		}
	}
	t.Run("original protocol", func(t *testing.T) {
		var l logbook
		p := script(t, quick, legacyInfo, actions)
		if _, err := store(t, p, `{"a":"b"}`, l.log).Put(t.Context(), "unheard", strings.NewReader("")); err != nil {
			t.Fatal(err)
		}
		if want := `<store><--endpoint><{"a":"b"}>`; l.text() != want {
			t.Errorf("arguments are %s, want %s", l.text(), want)
		}
	})
}

func TestGet(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, info, body string
		code             shield.Code
		text             string
		early            bool // the error is Get's own
	}{
		{"whole", legacyInfo, "printf hello", "", "hello", false},
		{"empty", legacyInfo, "exit 0", "", "", false},
		{"fails at once", legacyInfo, "echo down >&2; exit 4", shield.StoreFailed, "exit status 4: down", true},
		{"fails midway", legacyInfo, "head -c 3000000 /dev/zero; exit 4", shield.StoreFailed, "exit status 4", false},
		{"missing", fdInfo, "exit 5", shield.NotFound, "exit status 5", true},
		{"missing, as reported", legacyInfo, `echo 'shield-error: {"code":"not_found","message":"no such blob"}' >&2; exit 1`, shield.NotFound, "no such blob", true},
		{"status 5 of the original protocol", legacyInfo, "exit 5", shield.StoreFailed, "exit status 5", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := script(t, quick, tt.info, map[plugin.Action]string{"retrieve": tt.body})
			r, err := store(t, p, `{}`, nil).Get(t.Context(), "k")
			if tt.early {
				wantError(t, err, tt.code, tt.text)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(r)
			if tt.code != "" {
				wantError(t, err, tt.code, tt.text)
			} else if err != nil || string(b) != tt.text {
				t.Errorf("%q, %v", b, err)
			}
			if err := r.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		})
	}
}

func TestGetClosedEarly(t *testing.T) {
	t.Parallel()
	p := script(t, quick, legacyInfo, map[plugin.Action]string{"retrieve": "trap '' TERM; echo $$ >&2; yes"})
	var l logbook
	r, err := store(t, p, `{}`, l.log).Get(t.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	within(t, 3*time.Second, func() {
		if err := errors.Join(r.Close(), r.Close()); err != nil {
			t.Error(err)
		}
	})
	wantDead(t, l.text())
	if n, err := io.Copy(io.Discard, r); err == nil {
		t.Errorf("a closed reader gave %d bytes and a clean end", n)
	}
}

func TestDelete(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, info, body string
		code             shield.Code
	}{
		{"well", legacyInfo, "exit 0", ""},
		{"missing", fdInfo, "exit 5", ""},
		{"status 5 of the original protocol is a failure", legacyInfo, "exit 5", shield.StoreFailed},
		{"fails", fdInfo, "exit 4", shield.StoreFailed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := script(t, quick, tt.info, map[plugin.Action]string{"purge": tt.body})
			if err := store(t, p, `{}`, nil).Delete(t.Context(), "k"); shield.CodeOf(err) != tt.code {
				t.Errorf("error is %v", err)
			}
		})
	}
	p := script(t, quick, legacyInfo, nil)
	for _, key := range []string{"", "a\x00b", "a\nb", strings.Repeat("x", 2000)} {
		err := store(t, p, `{}`, nil).Delete(t.Context(), key)
		wantError(t, err, shield.Invalid, "key")
	}
}

func TestList(t *testing.T) {
	t.Parallel()
	one := `{"key":"p/1","size":3,"modified_at":"2026-01-02T03:04:05Z"}`
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, tt := range []struct {
		name, body string
		want       []plugin.Object
		code       shield.Code
		text       string
	}{
		{"two", "echo '" + one + "'; echo; printf '%s' '" + strings.Replace(one, "p/1", "p/2", 1) + "'",
			[]plugin.Object{{Key: "p/1", Size: 3, ModifiedAt: at}, {Key: "p/2", Size: 3, ModifiedAt: at}}, "", ""},
		{"none", "exit 0", nil, "", ""},
		{"fails after one", "echo '" + one + "'; exit 4", []plugin.Object{{Key: "p/1", Size: 3, ModifiedAt: at}}, shield.StoreFailed, "exit status 4"},
		{"no JSON", "echo p/1", nil, shield.PluginFailed, "not the JSON object"},
		{"long line", "head -c 100000 /dev/zero | tr '\\0' x", nil, shield.PluginFailed, "more than 16384 bytes"},
		{"other prefix", `echo '{"key":"q"}'`, nil, shield.PluginFailed, `only keys beginning with "p/"`},
		{"bad key", `printf '{"key":"p/\\n"}\n'`, nil, shield.PluginFailed, "control characters"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := script(t, quick, fdInfo, map[plugin.Action]string{"list": tt.body})
			var got []plugin.Object
			err := store(t, p, `{}`, nil).(plugin.Lister).List(t.Context(), "p/", func(o plugin.Object) error {
				got = append(got, o)
				return nil
			})
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
			if tt.code != "" {
				wantError(t, err, tt.code, tt.text)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}

func TestDiagnostics(t *testing.T) {
	t.Parallel()
	const endpoint = `{"password":"hunter2/secret"}`
	for _, tt := range []struct{ name, body, want string }{
		{"lines", "printf 'one\\n\\ntwo' >&2", "one\ntwo"},
		{"escapes", `printf '\033[31mred\033[0m \033]0;title\007x\033]8;;u\033\\y\a\b\n' >&2`, "red xy"},
		{"escapes cut short", `printf 'a\033[\nb\033\nc\033]x\n' >&2`, "a\nb\nc"},
		{"progress", `printf '10%%\r20%%\r30%%\r\n' >&2`, "30%"},
		{"invalid UTF-8", `printf 'a\377\376b\200\n' >&2`, "a\uFFFDb\uFFFD"},
		{"direction", `printf 'a\342\200\256b\n' >&2`, "ab"},
		{"NUL and tab", `printf 'a\000b\tc\n' >&2`, "ab c"},
		{"secret", `echo 'login hunter2/secret or hunter2%2Fsecret failed' >&2`, "login ******** or ******** failed"},
		{"long line", `head -c 100000 /dev/zero | tr '\0' x >&2; echo >&2; echo end >&2`, strings.Repeat("x", 4096) + " ... cut\nend"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var l logbook
			p := script(t, quick, fdInfo, map[plugin.Action]string{"backup": tt.body})
			if err := target(t, p, endpoint, l.log).Backup(t.Context(), io.Discard); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, l.text()); diff != "" {
				t.Error(diff)
			}
		})
	}
	t.Run("flood", func(t *testing.T) {
		t.Parallel()
		var l logbook
		p := script(t, quick, fdInfo, map[plugin.Action]string{"backup": "yes 'a line of diagnostics' | head -c 20000000 >&2; echo the reason >&2; exit 4"})
		err := target(t, p, endpoint, l.log).Backup(t.Context(), io.Discard)
		wantError(t, err, shield.TargetFailed, "the reason")
		if n := len(l.text()); n < 1<<20 || n > 1200<<10 || !strings.HasSuffix(l.text(), "more than 1 MiB of diagnostics") {
			t.Errorf("%d bytes were logged", n)
		}
	})
	t.Run("a secret in an error", func(t *testing.T) {
		t.Parallel()
		body := `echo 'shield-error: {"code":"invalid","field":"endpoint.password","message":"hunter2/secret is refused"}' >&2; exit 13`
		p := script(t, quick, fdInfo, map[plugin.Action]string{"backup": body})
		err := target(t, p, endpoint, nil).Backup(t.Context(), io.Discard)
		wantError(t, err, shield.Invalid, "endpoint.password: ******** is refused")
	})
}

func TestConcurrentCalls(t *testing.T) {
	t.Parallel()
	p := script(t, nil, fdInfo, map[plugin.Action]string{"retrieve": `printf '%s' "$3"`})
	s := store(t, p, `{}`, nil)
	done := make(chan error)
	const calls = 24
	for n := range calls {
		go func() {
			key := fmt.Sprintf("key-%d", n)
			r, err := s.Get(t.Context(), key)
			if err != nil {
				done <- err
				return
			}
			b, err := io.ReadAll(r)
			if err == nil && !bytes.Equal(b, []byte(key)) {
				err = fmt.Errorf("%q for %q", b, key)
			}
			done <- errors.Join(err, r.Close())
		}()
	}
	for range calls {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}
