package exec_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugin/exec"
)

var quick = &exec.Options{Grace: 300 * time.Millisecond}

// within fails the test if fn takes longer than limit.
func within(t *testing.T, limit time.Duration, fn func()) {
	t.Helper()
	from := time.Now()
	fn()
	if took := time.Since(from); took > limit {
		t.Errorf("took %s, at most %s is allowed", took, limit)
	}
}

func TestBackup(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, body string
		code       shield.Code
		want       string // output, or a part of the error
	}{
		{"well", "echo hello; echo done >&2", "", "hello\n"},
		{"empty", "exit 0", "", ""},
		{"fails", "echo part; echo one >&2; echo two >&2; exit 4", shield.TargetFailed, "script backup: exit status 4: one; two"},
		{"fails with an original status", "echo bad field >&2; exit 13", shield.Invalid, "endpoint: exit status 13: bad field"},
		{"not supported", "exit 2", shield.PluginFailed, "exit status 2"},
		{"status 5 of the original protocol", "exit 5", shield.TargetFailed, "exit status 5"},
		{"signal", "kill -9 $$", shield.TargetFailed, "signal: killed"},
		{"reports", `echo 'shield-error: {"code":"unavailable","field":"endpoint.host","message":"no \u001b[1mroute"}' >&2; exit 4`, shield.Unavailable, "script backup: endpoint.host: no route"},
		{"reports too early", `echo 'shield-error: {"code":"unavailable","message":"x"}' >&2; echo more >&2; exit 4`, shield.TargetFailed, "; more"},
		{"reports what is not its to say", `echo 'shield-error: {"code":"canceled","message":"x"}' >&2; exit 4`, shield.TargetFailed, "exit status 4"},
		{"closes output early", "echo x; exec >&-; sleep 0.1; exit 4", shield.TargetFailed, "exit status 4"},
		{"leaves a child with the output, which ends", "(sleep 0.05; echo late) & exit 0", "", "late\n"},
		{"leaves a child with the output, which stays", "sleep 60 & exit 0", shield.PluginFailed, "still held its standard output"},
		{"leaves a child and fails", "sleep 60 & echo bad >&2; exit 4", shield.TargetFailed, "exit status 4: bad"},
		{"leaves a child with stderr only", "sleep 60 >/dev/null & echo good", "", "good\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := script(t, quick, legacyInfo, map[plugin.Action]string{"backup": tt.body})
			var out bytes.Buffer
			within(t, 5*time.Second, func() {
				err := target(t, p, `{}`, nil).Backup(t.Context(), &out)
				if tt.code != "" {
					wantError(t, err, tt.code, tt.want)
				} else if err != nil || out.String() != tt.want {
					t.Errorf("%q, %v; want %q", &out, err, tt.want)
				}
			})
		})
	}
}

// A sink takes everything by ReadFrom and notes how its source ended.
type sink struct {
	n   int64
	end error
}

func (s *sink) Write(p []byte) (int, error) { return 0, errors.New("Write was called") }

func (s *sink) ReadFrom(r io.Reader) (int64, error) {
	n, err := io.Copy(struct{ io.Writer }{io.Discard}, r)
	s.n, s.end = n, err
	return n, err
}

func TestBackupThatFailsAfterMuchHasNoEnd(t *testing.T) {
	t.Parallel()
	p := script(t, quick, legacyInfo, map[plugin.Action]string{"backup": "head -c 1073741824 /dev/zero; exit 1"})
	var s sink
	err := target(t, p, `{}`, nil).Backup(t.Context(), &s)
	wantError(t, err, shield.PluginFailed, "exit status 1")
	if s.n != 1<<30 || s.end == nil {
		t.Errorf("the writer got %d bytes and the end %v", s.n, s.end)
	}
}

type failingWriter struct{ left int }

func (f *failingWriter) Write(p []byte) (int, error) {
	if f.left -= len(p); f.left < 0 {
		return 0, io.ErrShortWrite
	}
	return len(p), nil
}

func TestBackupWriterFails(t *testing.T) {
	t.Parallel()
	p := script(t, quick, legacyInfo, map[plugin.Action]string{"backup": "echo $$ >&2; yes"})
	var l logbook
	within(t, 5*time.Second, func() {
		err := target(t, p, `{}`, l.log).Backup(t.Context(), &failingWriter{1 << 20})
		if !errors.Is(err, io.ErrShortWrite) {
			t.Errorf("error is %v", err)
		}
	})
	wantDead(t, l.text())
}

type lazyWriter struct{}

func (lazyWriter) Write(p []byte) (int, error)               { return len(p), nil }
func (lazyWriter) ReadFrom(r io.Reader) (n int64, err error) { return 0, nil }

func TestBackupWriterReturnsEarly(t *testing.T) {
	t.Parallel()
	p := script(t, quick, legacyInfo, map[plugin.Action]string{"backup": "echo x"})
	err := target(t, p, `{}`, nil).Backup(t.Context(), lazyWriter{})
	wantError(t, err, shield.Internal, "before the stream had ended")
}

// A slow consumer must not be taken for a plugin that holds its output.
func TestBackupSlowWriter(t *testing.T) {
	t.Parallel()
	p := script(t, &exec.Options{Grace: 50 * time.Millisecond}, legacyInfo, map[plugin.Action]string{"backup": "head -c 900000 /dev/zero"})
	w := &slowWriter{}
	if err := target(t, p, `{}`, nil).Backup(t.Context(), w); err != nil || w.n != 900000 {
		t.Errorf("%d bytes, %v", w.n, err)
	}
}

type slowWriter struct{ n int }

func (s *slowWriter) Write(p []byte) (int, error) {
	time.Sleep(100 * time.Millisecond)
	s.n += len(p)
	return len(p), nil
}

func TestCancel(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, body string }{
		{"sleeps", "echo $$ >&2; sleep 60"},
		{"ignores SIGTERM", "trap '' TERM; echo $$ >&2; while :; do sleep 0.05; done"},
		{"writes", "echo $$ >&2; yes"},
		{"grandchild ignores SIGTERM", `sh -c 'trap "" TERM; echo $$ >&2; while :; do sleep 0.05; done'`},
		{"grandchild in the background", `sh -c 'trap "" TERM; echo $$ >&2; while :; do sleep 0.05; done' & wait`},
		{"output closed", "echo $$ >&2; exec >&-; sleep 60"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := script(t, quick, legacyInfo, map[plugin.Action]string{"backup": tt.body, "restore": tt.body})
			cause := shield.Errorf(shield.TimedOut, "", "no progress for 7s")
			for _, action := range []plugin.Action{"backup", "restore"} {
				ctx, cancel := context.WithCancelCause(t.Context())
				var l logbook
				log := func(line string) { l.log(line); time.AfterFunc(50*time.Millisecond, func() { cancel(cause) }) }
				tg := target(t, p, `{}`, log)
				within(t, 4*time.Second, func() {
					var err error
					if action == "backup" {
						err = tg.Backup(ctx, io.Discard)
					} else {
						r, w := io.Pipe()
						context.AfterFunc(ctx, func() { _ = w.Close() }) // an end that must not count
						err = tg.Restore(ctx, r)
					}
					wantError(t, err, shield.TimedOut, "stopped: no progress for 7s")
				})
				wantDead(t, l.text())
				cancel(nil)
			}
		})
	}
}

// wantDead fails unless the process whose number a plugin has logged is gone.
func wantDead(t *testing.T, logged string) {
	t.Helper()
	pid, _, _ := strings.Cut(strings.TrimSpace(logged), "\n")
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		stat, err := os.ReadFile("/proc/" + pid + "/stat")
		if err != nil || strings.Contains(string(stat), ") Z ") {
			return
		}
	}
	t.Errorf("process %s lives", pid)
}

func TestSigtermLetsThePluginCleanUp(t *testing.T) {
	t.Parallel()
	mark := filepath.Join(t.TempDir(), "mark")
	body := "trap 'echo clean >" + mark + "; exit 1' TERM; echo ready >&2; while :; do sleep 0.02; done"
	p := script(t, &exec.Options{Grace: 5 * time.Second}, legacyInfo, map[plugin.Action]string{"backup": body})
	ctx, cancel := context.WithCancel(t.Context())
	err := target(t, p, `{}`, func(string) { cancel() }).Backup(ctx, io.Discard)
	wantError(t, err, shield.Canceled, "stopped")
	if b, _ := os.ReadFile(mark); string(b) != "clean\n" {
		t.Errorf("the plugin did not clean up: %q", b)
	}
}

type failingReader struct {
	left int
	err  error
}

func (f *failingReader) Read(p []byte) (int, error) {
	if f.left <= 0 {
		return 0, f.err
	}
	n := min(f.left, len(p))
	f.left -= n
	return n, nil
}

func TestRestore(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, body string
		size       int
		code       shield.Code
		want       string
	}{
		{"reads all", "cat >/dev/null", 5 << 20, "", ""},
		{"reads all and no more", "head -c 5242880 >/dev/null", 5 << 20, "", ""},
		{"empty", "cat >/dev/null", 0, "", ""},
		{"reads nothing of little", "exit 0", 1000, shield.PluginFailed, "stopped reading after 0 bytes"},
		{"reads nothing of much", "exit 0", 5 << 20, shield.PluginFailed, "stopped reading after 0 bytes"},
		{"reads a part", "dd bs=1000 count=1 iflag=fullblock of=/dev/null 2>/dev/null", 5 << 20, shield.PluginFailed, "stopped reading after 1000 bytes"},
		{"closes its input and goes on", "exec <&-; sleep 60", 5 << 20, shield.PluginFailed, "stopped reading after"},
		{"fails", "echo no space >&2; exit 4", 5 << 20, shield.TargetFailed, "exit status 4: no space"},
		{"prints much", "cat >/dev/null; head -c 5000000 /dev/zero", 1000, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := script(t, quick, legacyInfo, map[plugin.Action]string{"restore": tt.body})
			within(t, 5*time.Second, func() {
				err := target(t, p, `{}`, nil).Restore(t.Context(), &failingReader{tt.size, io.EOF})
				if tt.code != "" {
					wantError(t, err, tt.code, tt.want)
				} else if err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// The plugin notes an end of its input. It must not see one.
func TestFailedInputHasNoEnd(t *testing.T) {
	t.Parallel()
	broken := errors.New("the archive is damaged")
	for _, tt := range []struct{ name, trap string }{
		{"ends by SIGTERM", ""},
		{"ignores SIGTERM", "trap '' TERM;"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			mark := filepath.Join(t.TempDir(), "mark")
			body := tt.trap + "cat >/dev/null; echo end >" + mark + "; echo '{\"key\":\"k\"}'"
			p := script(t, quick, legacyInfo, map[plugin.Action]string{"restore": body, "store": body})
			for _, size := range []int{0, 10, 3 << 20} {
				err := target(t, p, `{}`, nil).Restore(t.Context(), &failingReader{size, broken})
				if !errors.Is(err, broken) {
					t.Errorf("restore: %v", err)
				}
				_, err = store(t, p, `{}`, nil).Put(t.Context(), "", &failingReader{size, broken})
				if !errors.Is(err, broken) {
					t.Errorf("store: %v", err)
				}
			}
			if _, err := os.Stat(mark); err == nil {
				t.Error("the plugin saw a clean end of a failed stream")
			}
		})
	}
}

// A plugin that fails is reported although the reader gives nothing.
func TestRestoreFailsWhileReaderWaits(t *testing.T) {
	t.Parallel()
	p := script(t, quick, legacyInfo, map[plugin.Action]string{"restore": "echo bad >&2; exit 4"})
	r, w := io.Pipe()
	defer func() { _ = w.Close() }()
	within(t, 3*time.Second, func() {
		wantError(t, target(t, p, `{}`, nil).Restore(t.Context(), r), shield.TargetFailed, "exit status 4: bad")
	})
}
