//go:build unix

package child_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugins-wasm/internal/child"
)

// program returns a program that is a script.
func program(t *testing.T, script string) *child.Program {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "tool"), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	return &child.Program{Name: "tool", Path: dir, Field: "tool", Package: "tools", Stall: time.Minute, Grace: 20 * time.Second}
}

// blocked is a reader that never gives anything.
type blocked struct{}

func (blocked) Read([]byte) (int, error) { select {} }

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func input(t *testing.T, r io.Reader) *child.Input {
	t.Helper()
	in := child.NewInput(r, nil)
	t.Cleanup(in.Close)
	return in
}

func TestRun(t *testing.T) {
	p := program(t, `cat; echo "$A $(cat ./secret)" >&2`)
	p.Env, p.Files, p.Secrets = []string{"A=a"}, map[string]string{"secret": "pssst"}, []string{"", "pssst"}
	var logged []string
	p.Log = func(line string) { logged = append(logged, line) }
	var out, sum bytes.Buffer
	in := child.NewInput(strings.NewReader("text"), &sum)
	defer in.Close()
	if err := p.Run(t.Context(), child.Run{Stdin: in, Stdout: &out}); err != nil {
		t.Fatal(err)
	}
	if out.String() != "text" || sum.String() != "text" || in.Read != 4 || !in.Ended() || len(logged) != 1 || logged[0] != "a [secret]" {
		t.Errorf("got %q, %q, %d, %v, %q", &out, &sum, in.Read, in.Ended(), logged)
	}
}

func TestRunFails(t *testing.T) {
	for name, c := range map[string]struct {
		script string
		status int
		text   string
	}{
		"status": {"for i in 1 2 3 4; do echo line $i >&2; done; exit 7", 7, "tool: exit status 7: line 2; line 3; line 4"},
		"signal": {"kill -9 $$", -1, "tool: signal: killed"},
		"holder": {"sleep 20 & exit 0", -1, "WaitDelay"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := program(t, c.script).Run(t.Context(), child.Run{Stdout: io.Discard})
			var f *child.Failure
			if !errors.As(err, &f) || f.Status != c.status || !strings.Contains(err.Error(), c.text) {
				t.Errorf("got %+v, want status %d and %q", err, c.status, c.text)
			}
		})
	}
}

func TestRunMissing(t *testing.T) {
	p := program(t, "")
	p.Path = t.TempDir()
	err := p.Run(t.Context(), child.Run{})
	if !errors.Is(err, shield.Invalid) || !strings.Contains(err.Error(), "Debian's package tools") {
		t.Error(err)
	}
	p.Name, p.Path = "no-such-program", ""
	if err = p.Run(t.Context(), child.Run{}); !errors.Is(err, shield.StoreFailed) || !strings.Contains(err.Error(), "Debian's package tools") {
		t.Error(err)
	}
	p.Path = filepath.Join(t.TempDir(), "plain")
	if err := os.WriteFile(p.Path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err = p.Run(t.Context(), child.Run{}); !errors.Is(err, shield.Invalid) || !strings.Contains(err.Error(), "not executable") {
		t.Error(err)
	}
}

// TestRunInterrupted checks that a program can clean up when it is told to
// end, whose input stays open meanwhile.
func TestRunInterrupted(t *testing.T) {
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		input io.Reader
		want  error
	}{
		"canceled":     {blocked{}, context.Canceled},
		"broken input": {failing{broken}, broken},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			begun, marks := filepath.Join(dir, "begun"), filepath.Join(dir, "marks")
			p := program(t, fmt.Sprintf(`
trap 'echo interrupted >>%[2]s; exit 1' INT
touch %[1]s
while read line; do :; done
echo ended >>%[2]s`, begun, marks))
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			r := c.input
			if c.want == broken {
				r = waiting{begun, r}
			} else {
				go func() { waiting{path: begun}.wait(); cancel() }()
			}
			r = io.MultiReader(strings.NewReader("x\n"), r)
			if err := p.Run(ctx, child.Run{Stdin: input(t, r)}); !errors.Is(err, c.want) {
				t.Errorf("got %v", err)
			}
			if b, _ := os.ReadFile(marks); string(b) != "interrupted\n" {
				t.Errorf("the program saw %q", b)
			}
		})
	}
}

// TestRunEarly: a program is neither started for a stream that is broken from
// the beginning, nor interrupted before it has begun to read.
func TestRunEarly(t *testing.T) {
	broken := errors.New("broken")
	marks := filepath.Join(t.TempDir(), "marks")
	p := program(t, fmt.Sprintf(`echo begun >>%[1]s
sleep 0.3
trap 'echo interrupted >>%[1]s; exit 1' INT
while read line; do :; done`, marks))
	if err := p.Run(t.Context(), child.Run{Stdin: input(t, failing{broken})}); !errors.Is(err, broken) {
		t.Error(err)
	}
	if _, err := os.Stat(marks); err == nil {
		t.Error("the program was started")
	}
	r := io.MultiReader(strings.NewReader("x\n"), failing{broken})
	if err := p.Run(t.Context(), child.Run{Stdin: input(t, r)}); !errors.Is(err, broken) {
		t.Error(err)
	}
	if b, _ := os.ReadFile(marks); string(b) != "begun\ninterrupted\n" {
		t.Errorf("the program saw %q", b)
	}
}

// waiting is a reader that waits until there is a file.
type waiting struct {
	path string
	io.Reader
}

func (w waiting) wait() {
	for range 6000 {
		if _, err := os.Stat(w.path); err == nil {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (w waiting) Read(p []byte) (int, error) {
	w.wait()
	return w.Reader.Read(p)
}

// TestRunEndAfterCancel: an end that is read after the cancellation is none.
func TestRunEndAfterCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	mark := filepath.Join(t.TempDir(), "mark")
	p := program(t, "cat && echo ended >"+mark)
	p.Grace = 0
	if err := p.Run(ctx, child.Run{Stdin: input(t, canceling{cancel})}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _, err := os.Stat(mark); err == nil {
		t.Error("the program saw the end of its input")
	}
}

type canceling struct{ cancel func() }

func (c canceling) Read([]byte) (int, error) {
	c.cancel()
	return 0, io.EOF
}

// TestRunHangs: a program that neither reads nor ends is killed, even if it
// does not listen to the interrupt.
func TestRunHangs(t *testing.T) {
	p := program(t, "trap '' INT; echo alive >&2; while :; do sleep 1; done")
	p.Stall, p.Grace = 300*time.Millisecond, 10*time.Millisecond
	err := p.Run(t.Context(), child.Run{Stdin: input(t, io.LimitReader(zeros{}, 10<<20))})
	if !errors.Is(err, shield.Unavailable) || !strings.Contains(err.Error(), "tool hangs: it moved no byte for 300ms: alive") {
		t.Error(err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// TestRewind: what a program that ended at once was given goes to the next.
func TestRewind(t *testing.T) {
	in := input(t, strings.NewReader(strings.Repeat("x", 100_000)))
	if err := program(t, "exit 11").Run(t.Context(), child.Run{Stdin: in}); err == nil {
		t.Fatal("no error")
	}
	if !in.Rewind() {
		t.Fatal("the beginning is not there any more")
	}
	var out bytes.Buffer
	if err := program(t, "cat").Run(t.Context(), child.Run{Stdin: in, Stdout: &out}); err != nil || out.Len() != 100_000 {
		t.Errorf("%d bytes, %v", out.Len(), err)
	}
	in = input(t, io.LimitReader(zeros{}, 5<<20))
	if err := program(t, "cat >/dev/null; exit 11").Run(t.Context(), child.Run{Stdin: in}); err == nil || in.Rewind() {
		t.Errorf("a stream that is long cannot be given again: %v", err)
	}
}

func TestStream(t *testing.T) {
	p := program(t, "echo text; exit $STATUS")
	for status, want := range map[string]bool{"0": true, "1": false} {
		r := child.Stream(t.Context(), func(ctx context.Context, w io.Writer) error {
			return p.Run(ctx, child.Run{Env: []string{"STATUS=" + status}, Stdout: w})
		})
		got, err := io.ReadAll(r)
		if string(got) != "text\n" || (err == nil) != want {
			t.Errorf("status %s: %q, %v", status, got, err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestStreamClosedEarly(t *testing.T) {
	p := program(t, "cat /dev/zero")
	r := child.Stream(t.Context(), func(ctx context.Context, w io.Writer) error { return p.Run(ctx, child.Run{Stdout: w}) })
	if _, err := io.CopyN(io.Discard, r, 100_000); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if n, err := r.Read(make([]byte, 1)); err == nil {
		t.Errorf("%d bytes after the close", n)
	}
}
