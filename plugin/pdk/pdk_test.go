//go:build unix

package pdk_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugin/pdk"
	"github.com/shieldhq/shield/plugin/plugintest"
)

// A result is what one run of a plugin has shown.
type result struct {
	status         int
	stdout, stderr string
}

func run(o plugin.Opener, stdin string, env map[string]string, args ...string) result {
	var stdout, stderr bytes.Buffer
	getenv := func(name string) string { return env[name] }
	status := pdk.Run(context.Background(), o, args, strings.NewReader(stdin), &stdout, &stderr, getenv)
	return result{status, stdout.String(), stderr.String()}
}

func memory() *plugintest.Memory {
	m := plugintest.NewMemory()
	m.SetTarget("t", []byte("content"))
	m.SetBlob("s", "k", []byte("blob"))
	return m
}

func TestRun(t *testing.T) {
	t.Parallel()
	target, store := `{"name":"t"}`, `{"name":"s"}`
	for _, tt := range []struct {
		name   string
		args   []string
		stdin  string
		status int
		stdout string // the whole
		stderr string // a part
	}{
		{"backup", []string{"backup", "--endpoint", target}, "", 0, "content", ""},
		{"short flags", []string{"backup", "-e", target}, "", 0, "content", ""},
		{"flags first", []string{"--endpoint=" + target, "backup"}, "", 0, "content", ""},
		{"original flag", []string{"backup", "--text", "-e", target}, "", 0, "content", ""},
		{"restore", []string{"restore", "-e", target}, "new", 0, "", ""},
		{"retrieve", []string{"retrieve", "-e", store, "-k", "k"}, "", 0, "blob", ""},
		{"retrieve of what is missing", []string{"retrieve", "-e", store, "-k", "x"}, "", 5, "", `shield-error: {"code":"not_found","message":"memory.Get: there is no blob`},
		{"purge", []string{"purge", "-e", store, "--key", "x"}, "", 0, "", ""},
		{"list of nothing", []string{"list", "-e", store, "--prefix", "zz"}, "", 0, "", ""},
		{"test", []string{"test", "--role", "store", "-e", store}, "", 0, "", ""},
		{"validate", []string{"validate", "-e", store}, "", 0, "", ""},
		{"no action", nil, "", 1, "", "one action is wanted"},
		{"two actions", []string{"backup", "restore"}, "", 1, "", "one action is wanted"},
		{"unknown flag", []string{"backup", "--verbose"}, "", 1, "", "verbose"},
		{"no endpoint", []string{"backup"}, "", 1, "", "needs its endpoint"},
		{"unknown action", []string{"melt", "-e", target}, "", 2, "", `the action \"melt\" is not supported`},
		{"bad JSON", []string{"backup", "-e", "{"}, "", 10, "", `"code":"invalid","field":"endpoint"`},
		{"no key", []string{"retrieve", "-e", store}, "", 11, "", "retrieve needs --key KEY"},
		{"missing field", []string{"backup", "-e", "{}"}, "", 12, "", `"field":"endpoint.name"`},
		{"bad field", []string{"backup", "-e", `{"name":7}`}, "", 13, "", `"field":"endpoint.name"`},
		{"no time", []string{"store", "-e", store, "--until", "tomorrow"}, "", 1, "", "tomorrow"},
		{"failure", []string{"backup", "-e", `{"name":"unknown"}`}, "", 4, "", `shield-error: {"code":"target_failed"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := run(memory(), tt.stdin, nil, tt.args...)
			if got.status != tt.status || got.stdout != tt.stdout || !strings.Contains(got.stderr, tt.stderr) || tt.stderr == "" && got.stderr != "" {
				t.Errorf("got %+v, want status %d, %q and %q", got, tt.status, tt.stdout, tt.stderr)
			}
		})
	}
}

func TestStore(t *testing.T) {
	t.Parallel()
	m := memory()
	got := run(m, "12345", nil, "store", "-e", `{"name":"s"}`, "--name", "n")
	want := `{"key":"n","size":5,"archive_size":5,"digest":"blake3:`
	if got.status != 0 || !strings.HasPrefix(got.stdout, want) {
		t.Errorf("got %+v, want %s", got, want)
	}
	if b, _ := m.Blob("s", "n"); string(b) != "12345" {
		t.Errorf("%q was stored", b)
	}
}

// TestKept stores a blob until a time and tries to purge it.
func TestKept(t *testing.T) {
	t.Parallel()
	m := memory()
	until := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	const endpoint = `{"name":"s","lock":true}`
	if got := run(m, "12345", nil, "store", "-e", endpoint, "--name", "n", "--until", until.Format(time.RFC3339)); got.status != 0 {
		t.Fatalf("got %+v", got)
	}
	got := run(m, "", nil, "purge", "-e", endpoint, "--key", "n")
	err := pdk.ParseError(strings.TrimSpace(got.stderr))
	if got.status != 4 || err == nil || err.Code != shield.Locked || !err.Until.Equal(until) {
		t.Errorf("got %+v, want locked until %s", got, until)
	}
	bare := &plugin.Native{About: plugin.Info{Name: "bare", Features: plugin.Features{Target: "no", Store: "yes"}}}
	bare.Store = func(shield.Endpoint, plugin.Log) (plugin.Store, error) { return struct{ plugin.Store }{}, nil }
	if got := run(bare, "", nil, "store", "-e", "{}", "--until", until.Format(time.RFC3339)); got.status != 2 || !strings.Contains(got.stderr, "cannot keep") {
		t.Errorf("got %+v, want that it cannot", got)
	}
}

func TestProbeAndInspect(t *testing.T) {
	t.Parallel()
	m := memory()
	endpoint := `{"name":"t"}`
	m.SetTarget("t", []byte("12345"))
	want := `{"counts":{"bytes":5},"versions":{"memory":"1.0.0"}}` + "\n"
	if got := run(m, "", nil, "probe", "-e", endpoint); got.status != 0 || got.stdout != want {
		t.Errorf("got %+v, want %s", got, want)
	}
	stream := run(m, "", nil, "backup", "-e", endpoint).stdout
	if got := run(m, stream, nil, "inspect", "-e", endpoint); got.status != 0 || got.stdout != `{"counts":{"bytes":5}}`+"\n" {
		t.Errorf("got %+v", got)
	}
	if got := run(m, stream[1:], nil, "inspect", "-e", endpoint); got.status != 4 || !strings.Contains(got.stderr, `"code":"corrupt"`) || got.stdout != "" {
		t.Errorf("got %+v", got)
	}
}

func TestInfo(t *testing.T) {
	t.Parallel()
	m := memory()
	got := run(m, "", nil, "info")
	info, err := plugin.ParseInfo([]byte(got.stdout))
	if err != nil || got.status != 0 {
		t.Fatal(got, err)
	}
	want, err := m.Info(t.Context())
	if diff := cmp.Diff(want, info); err != nil || diff != "" {
		t.Error(diff, err)
	}
	if got := run(&plugin.Native{}, "", nil, "info"); got.status != 4 || got.stdout != "" {
		t.Errorf("a plugin without a name: %+v", got)
	}
}

func TestList(t *testing.T) {
	t.Parallel()
	var o plugin.Object
	got := run(memory(), "", nil, "list", "-e", `{"name":"s"}`)
	if err := json.Unmarshal([]byte(got.stdout), &o); err != nil || o.Key != "k" || o.Size != 4 {
		t.Errorf("%+v: %+v, %v", got, o, err)
	}
}

func TestEndpointSources(t *testing.T) {
	t.Parallel()
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(`{"name":"t"}`); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	dup := duplicate(t, f)
	for _, tt := range []struct {
		name   string
		env    map[string]string
		args   []string
		status int
	}{
		{"descriptor", map[string]string{"SHIELD_ENDPOINT_FD": dup}, nil, 0},
		{"environment", map[string]string{"SHIELD_ENDPOINT": `{"name":"t"}`}, nil, 0},
		{"the flag wins", map[string]string{"SHIELD_ENDPOINT": `{"name":"unknown"}`}, []string{"-e", `{"name":"t"}`}, 0},
		{"no number", map[string]string{"SHIELD_ENDPOINT_FD": "x"}, nil, 1},
		{"closed", map[string]string{"SHIELD_ENDPOINT_FD": "60000"}, nil, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := run(memory(), "", tt.env, append([]string{"backup"}, tt.args...)...)
			if got.status != tt.status || (tt.status == 0) != (got.stdout == "content") {
				t.Errorf("got %+v, want status %d", got, tt.status)
			}
		})
	}
}

// duplicate returns the number of another descriptor of f, for Run to close.
func duplicate(t *testing.T, f *os.File) string {
	t.Helper()
	fd, err := syscall.Dup(int(f.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	return strconv.Itoa(fd)
}

// broken is a plugin whose calls all go wrong in the way that fn does.
func broken(fn func(ctx context.Context, r io.Reader, w io.Writer, log plugin.Log) error) *plugin.Native {
	return &plugin.Native{
		About: plugin.Info{Name: "broken", Features: plugin.Features{Target: "yes", Store: "no"}},
		Target: func(_ shield.Endpoint, log plugin.Log) (plugin.Target, error) {
			return brokenTarget{fn, log}, nil
		},
	}
}

type brokenTarget struct {
	fn  func(ctx context.Context, r io.Reader, w io.Writer, log plugin.Log) error
	log plugin.Log
}

func (b brokenTarget) Backup(ctx context.Context, w io.Writer) error { return b.fn(ctx, nil, w, b.log) }
func (b brokenTarget) Restore(ctx context.Context, r io.Reader) error {
	return b.fn(ctx, r, nil, b.log)
}

type childError struct{}

func (childError) Error() string { return "exit status 7" }
func (childError) ExitCode() int { return 7 }

func TestFailures(t *testing.T) {
	t.Parallel()
	type fn = func(context.Context, io.Reader, io.Writer, plugin.Log) error
	for _, tt := range []struct {
		name, action string
		fn           fn
		status       int
		stderr       string
	}{
		{"panic", "backup", func(context.Context, io.Reader, io.Writer, plugin.Log) error { panic("ouch") }, 4, `shield-error: {"code":"plugin_failed","message":"panic: ouch"}`},
		{"child process", "backup", func(context.Context, io.Reader, io.Writer, plugin.Log) error {
			return fmt.Errorf("pg_dump: %w", childError{})
		}, 3, `{"code":"target_failed","message":"pg_dump: exit status 7"}`},
		{"code kept", "backup", func(context.Context, io.Reader, io.Writer, plugin.Log) error {
			return fmt.Errorf("connecting: %w", shield.Errorf(shield.Unavailable, "", "refused"))
		}, 4, `{"code":"unavailable","message":"connecting: refused"}`},
		{"does not read its input", "restore", func(context.Context, io.Reader, io.Writer, plugin.Log) error { return nil }, 4, "stopped reading after 0 bytes"},
		{"reads a part", "restore", func(_ context.Context, r io.Reader, _ io.Writer, _ plugin.Log) error {
			_, err := io.CopyN(io.Discard, r, 3)
			return err
		}, 4, "stopped reading after 3 bytes"},
		{"reads all but the end", "restore", func(_ context.Context, r io.Reader, _ io.Writer, _ plugin.Log) error {
			_, err := io.CopyN(io.Discard, r, 5)
			return err
		}, 0, ""},
		{"logs lines", "backup", func(_ context.Context, _ io.Reader, _ io.Writer, log plugin.Log) error {
			log("one\ntwo")
			return errors.New("bad")
		}, 4, "one\ntwo\nshield-error: {\"code\":\"target_failed\",\"message\":\"bad\"}\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := run(broken(tt.fn), "input", nil, tt.action, "-e", "{}")
			if got.status != tt.status || !strings.Contains(got.stderr, tt.stderr) {
				t.Errorf("got %+v, want status %d and %q", got, tt.status, tt.stderr)
			}
		})
	}
}

// Whatever a plugin makes of its streams, a failed stream or a cancellation
// is a failure.
func TestDroppedErrors(t *testing.T) {
	t.Parallel()
	careless := broken(func(_ context.Context, r io.Reader, w io.Writer, _ plugin.Log) error {
		if r != nil {
			_, _ = io.Copy(io.Discard, r)
		} else {
			_, _ = w.Write([]byte("x"))
		}
		return nil
	})
	none := func(string) string { return "" }
	args := func(a string) []string { return []string{a, "-e", "{}"} }
	failing := io.MultiReader(strings.NewReader("x"), failer{})
	if got := pdk.Run(t.Context(), careless, args("restore"), failing, io.Discard, io.Discard, none); got != 4 {
		t.Errorf("broken input: status %d", got)
	}
	if got := pdk.Run(t.Context(), careless, args("backup"), nil, failer{}, io.Discard, none); got != 4 {
		t.Errorf("broken output: status %d", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, action := range []string{"backup", "restore"} {
		if got := pdk.Run(ctx, careless, args(action), strings.NewReader(""), io.Discard, io.Discard, none); got != 4 {
			t.Errorf("canceled %s: status %d", action, got)
		}
	}
}

type failer struct{}

func (failer) Read([]byte) (int, error)  { return 0, io.ErrUnexpectedEOF }
func (failer) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestErrorLine(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é", 3000)
	for _, e := range []*shield.Error{
		shield.FieldErrorf("endpoint.host", "has a <tag> & \"quotes\"\nand lines"),
		shield.Errorf(shield.NotFound, "", "no blob"),
		shield.Errorf(shield.StoreFailed, "", "%s", long),
		{Code: shield.Locked, Message: "kept", Until: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)},
	} {
		line := pdk.FormatError(e)
		got := pdk.ParseError(line)
		if got == nil || got.Code != e.Code || got.Field != e.Field || !got.Until.Equal(e.Until) || !strings.HasPrefix(e.Message, strings.TrimRight(got.Message, "\uFFFD")) {
			t.Errorf("%s became %+v", line, got)
		}
		if len(line) > 4096 || strings.Contains(line, "\n") {
			t.Errorf("the line has %d bytes", len(line))
		}
	}
	for _, line := range []string{"", "shield-error:", "shield-error: {}", "shield-error: x", "error: {\"code\":\"invalid\"}"} {
		if e := pdk.ParseError(line); e != nil {
			t.Errorf("%q became %+v", line, e)
		}
	}
}
