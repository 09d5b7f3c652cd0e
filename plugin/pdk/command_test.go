//go:build unix

package pdk_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/shieldhq/shield/plugin/pdk"
)

// TestCommandInputFails checks that a program never sees the end of an input
// that has none: it might commit what it got.
func TestCommandInputFails(t *testing.T) {
	mark := t.TempDir() + "/committed"
	broken := errors.New("broken")
	c := pdk.Command(t.Context(), "sh", "-c", "cat >/dev/null; touch "+mark)
	c.Stdin = io.MultiReader(strings.NewReader("half"), iotest.ErrReader(broken))
	if err := c.Run(); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(mark); err == nil {
		t.Error("the program took a broken input for whole")
	}
}

func TestCommandStreams(t *testing.T) {
	var out, complaints bytes.Buffer
	c := pdk.Command(t.Context(), "sh", "-c", "cat f ./f; cat; pwd >&2; stat -c %a . f >&2")
	c.Files = map[string]string{"f": "file "}
	c.Stdin, c.Stdout, c.Stderr, c.Tail = pdk.Concat(strings.NewReader("one "), strings.NewReader("two")), &out, &complaints, 5
	if err := c.Run(); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); got != "file file one two" || string(c.LastOutput()) != "e two" {
		t.Errorf("got %q, and %q at its end", got, c.LastOutput())
	}
	dir, modes, _ := strings.Cut(complaints.String(), "\n")
	if modes != "700\n600\n" {
		t.Errorf("modes %q", modes)
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("folder %q: %v", dir, err)
	}
}

func TestCommandMissing(t *testing.T) {
	for _, folder := range []string{"", t.TempDir()} {
		c := pdk.Command(t.Context(), "no-such-program")
		c.Folder = folder
		if err := c.Run(); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("in %q: %v", folder, err)
		}
	}
}

func TestCommandCanceled(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	r, w := io.Pipe()
	defer w.Close()
	c := pdk.Command(ctx, "sh", "-c", "echo started; cat")
	c.Stdin = r
	why := errors.New("why")
	c.Stdout = writer(func(p []byte) { cancel(why) })
	if err := c.Run(); !errors.Is(err, why) {
		t.Errorf("got %v", err)
	}
}

type writer func([]byte)

func (w writer) Write(p []byte) (int, error) { w(p); return len(p), nil }

func TestCopyN(t *testing.T) {
	src := strings.NewReader("abcdef")
	var dst bytes.Buffer
	for _, want := range []error{nil, nil, io.EOF} {
		if _, err := pdk.CopyN(&dst, src, 3); err != want {
			t.Errorf("got %v, want %v", err, want)
		}
	}
	if dst.String() != "abcdef" {
		t.Errorf("got %q", dst.String())
	}
}
