package exec_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/able"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugin/exec"
)

const (
	legacyInfo = `{"name":"script","author":"a","version":"1","features":{"target":"yes","store":"yes"}}`
	fdInfo     = `{"name":"script","author":"a","version":"1","features":{"target":"yes","store":"yes"},"endpoint":"fd","naming":true,
		"keeping":true,"actions":["list","test","validate","probe","inspect"],
		"fields":[{"mode":"both","name":"password","type":"password"},{"mode":"both","name":"dir","type":"abspath"}]}`
)

// script opens a plugin in POSIX shell: a body for each action.
func script(t *testing.T, opts *exec.Options, info string, actions map[plugin.Action]string) *exec.Plugin {
	t.Helper()
	p, err := exec.Open(scriptFile(t, info, actions), opts)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func scriptFile(t *testing.T, info string, actions map[plugin.Action]string) string {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "#!/bin/sh\ncase \"$1\" in\ninfo) cat <<'END'\n%s\nEND\n;;\n", info)
	for a, body := range actions {
		fmt.Fprintf(&b, "%s)\n%s\n;;\n", a, body)
	}
	b.WriteString("*) echo \"no action $1\" >&2; exit 2;;\nesac\n")
	path := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(path, []byte(b.String()), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// A logbook collects what a plugin logs.
type logbook struct {
	mu    sync.Mutex
	lines []string
}

func (l *logbook) log(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, line)
}

func (l *logbook) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.lines, "\n")
}

func target(t *testing.T, p *exec.Plugin, e string, log plugin.Log) plugin.Target {
	t.Helper()
	tg, err := p.OpenTarget(t.Context(), shield.Endpoint(e), log)
	if err != nil {
		t.Fatal(err)
	}
	return tg
}

func store(t *testing.T, p *exec.Plugin, e string, log plugin.Log) plugin.Store {
	t.Helper()
	s, err := p.OpenStore(t.Context(), shield.Endpoint(e), log)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// wantError checks the code of err and a part of its text.
func wantError(t *testing.T, err error, code shield.Code, text string) {
	t.Helper()
	if shield.CodeOf(err) != code || !strings.Contains(fmt.Sprint(err), text) {
		t.Fatalf("error is %v (%s), want %s with %q", err, shield.CodeOf(err), code, text)
	}
}

func TestOpen(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, path, want string }{
		{"missing", filepath.Join(dir, "none"), "there is no such file"},
		{"directory", dir, "is a directory"},
		{"not executable", plain, "is not executable"},
		{"device", os.DevNull, "is not a regular file"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := exec.Open(tt.path, nil)
			wantError(t, err, shield.PluginFailed, tt.path+": "+tt.want)
		})
	}
}

func TestStartErrors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, content, want string }{
		{"other machine", "\x7fELF\x02\x01\x01\x00 of another machine", "is not a program for"},
		{"no interpreter", "#!/no/such/shell\n", "interpreter"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "bad")
			if err := os.WriteFile(path, []byte(tt.content), 0o755); err != nil {
				t.Fatal(err)
			}
			p, err := exec.Open(path, nil)
			if err != nil {
				t.Fatal(err)
			}
			_, err = p.Info(t.Context())
			wantError(t, err, shield.PluginFailed, tt.want)
			wantError(t, err, shield.PluginFailed, path)
		})
	}
	t.Run("busy", func(t *testing.T) {
		t.Parallel()
		program, err := os.ReadFile("/bin/true")
		if err != nil {
			t.Skip(err) // needs a binary to copy
		}
		path := filepath.Join(t.TempDir(), "busy")
		f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o755)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = f.Close() }()
		if _, err := f.Write(program); err != nil {
			t.Fatal(err)
		}
		p, err := exec.Open(path, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = p.Info(t.Context())
		wantError(t, err, shield.PluginFailed, "text file busy")
	})
	t.Run("endpoint too long for argv", func(t *testing.T) {
		t.Parallel()
		p := script(t, nil, legacyInfo, map[plugin.Action]string{"backup": "exit 0"})
		err := target(t, p, `{"x":"`+strings.Repeat("y", 300_000)+`"}`, nil).Backup(t.Context(), io.Discard)
		wantError(t, err, shield.PluginFailed, "endpoint is too long")
	})
}

func TestInfo(t *testing.T) {
	t.Parallel()
	counter := filepath.Join(t.TempDir(), "asked")
	path := filepath.Join(t.TempDir(), "p")
	write := func(version string) {
		text := fmt.Sprintf("#!/bin/sh\necho x >>%s\necho '{\"name\":\"p\",\"version\":\"%s\",\"features\":{\"target\":\"yes\",\"store\":\"no\"},\"greeting\":1}'\n", counter, version)
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write("1")
	p, err := exec.Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(version string) plugin.Info {
		t.Helper()
		info, err := p.Info(t.Context())
		if err != nil || info.Version != version || !strings.HasPrefix(info.Digest, "sha256:") {
			t.Fatalf("info is %+v, %v", info, err)
		}
		return info
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() { _, _ = p.Info(t.Context()) })
	}
	wg.Wait()
	first := ask("1")
	if b, _ := os.ReadFile(counter); len(b) != 2 {
		t.Errorf("the plugin was asked %d times, want once", len(b)/2)
	}
	write("2.0")
	if second := ask("2.0"); second.Digest == first.Digest {
		t.Error("another program has the same digest")
	}
	_, err = p.OpenStore(t.Context(), shield.Endpoint(`{}`), nil)
	wantError(t, err, shield.Invalid, "cannot be used as a store")
}

func TestInfoErrors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, body string
		code       shield.Code
		want       string
	}{
		{"hangs", "sleep 60", shield.TimedOut, "no answer within 300ms"},
		{"ignores SIGTERM", "trap '' TERM; while :; do sleep 0.05; done", shield.TimedOut, "no answer"},
		{"says nothing", "exit 0", shield.PluginFailed, "not the JSON object"},
		{"floods", "yes", shield.PluginFailed, "more than 65536 bytes"},
		{"fails", "echo broken >&2; exit 4", shield.PluginFailed, "script info: exit status 4: broken"},
		{"is neither", `echo '{"name":"x","features":{"target":"no","store":"no"}}'`, shield.PluginFailed, "neither a target nor a store"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "script")
			if err := os.WriteFile(path, []byte("#!/bin/sh\n"+tt.body+"\n"), 0o755); err != nil {
				t.Fatal(err)
			}
			opts := &exec.Options{Grace: 200 * time.Millisecond, InfoTimeout: 10 * time.Second}
			if tt.code == shield.TimedOut {
				opts.InfoTimeout = 300 * time.Millisecond
			}
			p, err := exec.Open(path, opts)
			if err != nil {
				t.Fatal(err)
			}
			_, err = p.Info(t.Context())
			wantError(t, err, tt.code, tt.want)
		})
	}
}

func TestAbilitiesAreThoseDeclared(t *testing.T) {
	t.Parallel()
	all := []plugin.Action{plugin.ActionList, plugin.ActionTest, plugin.ActionValidate, plugin.ActionProbe, plugin.ActionInspect}
	for set := range 1 << (len(all) + 1) {
		declared := []plugin.Action{}
		for n, a := range all {
			if set&(1<<n) != 0 {
				declared = append(declared, a)
			}
		}
		has := func(n int) bool { return set&(1<<n) != 0 }
		keeps := has(len(all))
		t.Run(fmt.Sprint(declared, keeps), func(t *testing.T) {
			t.Parallel()
			list, err := json.Marshal(declared)
			if err != nil {
				t.Fatal(err)
			}
			p := script(t, nil, strings.Replace(legacyInfo, "{", fmt.Sprintf(`{"actions":%s,"keeping":%v,`, list, keeps), 1), nil)
			s := able.StoreAbilitiesOf(store(t, p, `{}`, nil))
			tg := able.TargetAbilitiesOf(target(t, p, `{}`, nil))
			got := []bool{s.Lister != nil, s.Tester != nil, s.Validator != nil, s.Keeper != nil,
				tg.Prober != nil, tg.Inspector != nil, tg.Tester != nil, tg.Validator != nil}
			want := []bool{has(0), has(1), has(2), keeps, has(3), has(4), has(1), has(2)}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("abilities are %v, want %v", got, want)
			}
		})
	}
}

func TestDelivery(t *testing.T) {
	t.Parallel()
	const endpoint = `{"password":"hunter2-secret"}`
	read := map[string]string{"argv": `printf %s "$3"`, "fd": "cat <&3", "env": `printf %s "$SHIELD_ENDPOINT"`}
	for delivery, body := range read {
		t.Run(delivery, func(t *testing.T) {
			t.Parallel()
			info := strings.Replace(fdInfo, `"endpoint":"fd"`, `"endpoint":"`+delivery+`"`, 1)
			p := script(t, nil, info, map[plugin.Action]string{"backup": body + "; tr '\\0' ' ' </proc/$$/cmdline >&2"})
			var l logbook
			var out bytes.Buffer
			if err := target(t, p, endpoint, l.log).Backup(t.Context(), &out); err != nil {
				t.Fatal(err)
			}
			if out.String() != endpoint {
				t.Errorf("the plugin got %q", &out)
			}
			public := strings.Contains(l.text(), "--endpoint")
			warned := strings.Contains(l.text(), "warning: script takes its endpoint on the command line")
			if public != (delivery == "argv") || warned != public || strings.Contains(l.text(), "hunter2") {
				t.Errorf("public %v, warned %v, log:\n%s", public, warned, l.text())
			}
		})
	}
	t.Run("refused", func(t *testing.T) {
		t.Parallel()
		info := strings.Replace(fdInfo, `"endpoint":"fd"`, `"endpoint":"argv"`, 1)
		p := script(t, &exec.Options{RefuseArgvSecrets: true}, info, nil)
		_, err := p.OpenStore(t.Context(), shield.Endpoint(endpoint), nil)
		wantError(t, err, shield.Forbidden, "command line")
		if _, err := p.OpenStore(t.Context(), shield.Endpoint(`{"dir":"/x"}`), nil); err != nil {
			t.Errorf("an endpoint without secrets: %v", err)
		}
	})
	t.Run("sealed", func(t *testing.T) {
		t.Parallel()
		p := script(t, nil, fdInfo, map[plugin.Action]string{"backup": "(echo x >/proc/self/fd/3) 2>/dev/null && exit 9; cat <&3"})
		var out bytes.Buffer
		if err := target(t, p, endpoint, nil).Backup(t.Context(), &out); err != nil || out.String() != endpoint {
			t.Errorf("%q, %v", &out, err)
		}
	})
	t.Run("large", func(t *testing.T) {
		t.Parallel()
		large := `{"password":"` + strings.Repeat("x", 900_000) + `"}`
		p := script(t, nil, fdInfo, map[plugin.Action]string{"backup": "cat <&3"})
		var out bytes.Buffer
		if err := target(t, p, large, nil).Backup(t.Context(), &out); err != nil || out.String() != large {
			t.Errorf("%d bytes, %v", out.Len(), err)
		}
	})
}

func TestEnvironment(t *testing.T) {
	t.Setenv("SHIELD_TEST_SECRET", "of the daemon")
	p := script(t, &exec.Options{Env: []string{"EXTRA=1", "TZ=UTC", "TZ=CET"}}, legacyInfo, map[plugin.Action]string{
		"backup": `env; echo "in $(pwd)"; ls -a | wc -l; touch left; ls -l /proc/self/fd >&2; read x; echo "input: $? $x"`,
	})
	var out bytes.Buffer
	var l logbook
	if err := target(t, p, `{}`, l.log).Backup(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	got := out.String()
	for _, want := range []string{"EXTRA=1\n", "TZ=CET\n", "PATH=", "input: 1 \n"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in\n%s", want, got)
		}
	}
	if strings.Contains(got, "SHIELD_TEST_SECRET") || strings.Contains(got, "TZ=UTC") {
		t.Errorf("too much in\n%s", got)
	}
	_, dir, _ := strings.Cut(got, "in ")
	dir, _, _ = strings.Cut(dir, "\n")
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) || !strings.Contains(got, "TMPDIR="+dir) {
		t.Errorf("working directory %q is left behind, or TMPDIR is another: %v", dir, err)
	}
}

func TestCanceledBeforeStart(t *testing.T) {
	t.Parallel()
	p := script(t, nil, legacyInfo, map[plugin.Action]string{"backup": "echo x"})
	tg := target(t, p, `{}`, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	wantError(t, tg.Backup(ctx, io.Discard), shield.Canceled, "script backup: stopped: context canceled")
}

// A program written for the original protocol declares types that have other
// names now, and reads its ports as strings.
func TestOriginalProgram(t *testing.T) {
	t.Parallel()
	p := script(t, nil, `{"name":"MySQL Backup Plugin","author":"a","version":"1.0.0",
		"features":{"target":"yes","store":"no"},
		"example":"{}","defaults":"{}",
		"fields":[
			{"mode":"target","name":"mysql_port","type":"port","title":"Port","default":"3306","required":true},
			{"mode":"target","name":"ca","type":"pem-x509"},
			{"mode":"target","name":"mysql_databases","type":"wslist"}]}`,
		map[plugin.Action]string{"backup": `printf '%s %s' "$2" "$3"`})
	info, err := p.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	e, err := info.Resolve(plugin.RoleTarget, shield.Endpoint(`{"mysql_databases":"a b"}`))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := target(t, p, string(e), nil).Backup(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	if want := `--endpoint {"mysql_databases":"a b","mysql_port":"3306"}`; out.String() != want {
		t.Errorf("the plugin got %s, want %s", &out, want)
	}
}
