// Command hostile is a guest that does harm, as far as it can. What, the
// endpoint says.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugin/pdk"
)

func main() {
	pdk.Main(&plugin.Native{
		About: plugin.Info{
			Name: "hostile", Author: "tests", Version: "1.0.0",
			Features: plugin.Features{Target: "yes", Store: "no"},
			Fields: []plugin.Field{
				{Mode: plugin.RoleTarget, Name: "do", Type: plugin.TypeString, Required: true},
				{Mode: plugin.RoleTarget, Name: "addr", Type: plugin.TypeString},
				{Mode: plugin.RoleTarget, Name: "use", Type: plugin.TypeString},
				{Mode: plugin.RoleTarget, Name: "dir", Type: plugin.TypeAbsPath},
				{Mode: plugin.RoleTarget, Name: "shared", Type: plugin.TypeAbsPath},
				{Mode: plugin.RoleTarget, Name: "args", Type: plugin.TypeText},
				{Mode: plugin.RoleTarget, Name: "env", Type: plugin.TypeString},
			},
			Capabilities: json.RawMessage(`{"tcp":["{addr}"],"write":["{dir}"],"read":["{shared}"],"exec":["cat","sh"],"memory":"48MiB"}`),
		},
		Target: func(e shield.Endpoint, _ plugin.Log) (plugin.Target, error) {
			h := &hostile{}
			return h, e.Decode(h)
		},
	})
}

type hostile struct{ Do, Addr, Use, Dir, Shared, Args, Env string }

func (h *hostile) Restore(_ context.Context, r io.Reader) error {
	switch h.Do {
	case "deaf": // never reads, and says that all is well
		os.Exit(0)
	case "part":
		_, _ = io.ReadFull(r, make([]byte, 1000))
		os.Exit(0)
	case "sleep":
		time.Sleep(time.Hour)
	}
	_, err := io.Copy(io.Discard, r)
	return err
}

var keep [][]byte

func (h *hostile) Backup(ctx context.Context, w io.Writer) error {
	switch h.Do {
	case "loop":
		for x := 0; ; x++ {
			keep = keep[:0]
		}
	case "fib":
		return fmt.Errorf("fib(60) is %d", fib(60))
	case "alloc":
		for {
			b := make([]byte, 1<<20)
			for i := range b {
				b[i] = 1
			}
			keep = append(keep, b)
		}
	case "flood":
		line := strings.Repeat("a line that says nothing\n", 1000)
		for {
			io.WriteString(os.Stderr, line)
		}
	case "sleep":
		time.Sleep(time.Hour)
	case "input":
		_, err := os.Stdin.Read(make([]byte, 1))
		return fmt.Errorf("standard input: %w", err)
	case "endless":
		for {
			if _, err := w.Write(make([]byte, 1<<20)); err != nil {
				return err
			}
		}
	case "dial":
		_, err := pdk.Dial(ctx, "tcp", h.Use)
		return err
	case "handles":
		for {
			if _, err := pdk.Dial(ctx, "tcp", h.Addr); err != nil {
				return err
			}
		}
	case "exec":
		c := pdk.Command(ctx, h.Use)
		if h.Args != "" {
			c.Args = strings.Split(h.Args, "\n")
		}
		if h.Env != "" {
			c.Env = []string{h.Env}
		}
		c.Stdout = w
		return c.Run()
	case "read":
		b, err := os.ReadFile(h.Use)
		if err == nil {
			_, err = w.Write(b)
		}
		return err
	case "write":
		return os.WriteFile(h.Use, []byte("overwritten"), 0o666)
	case "escape":
		return h.escape()
	case "hardlink":
		return os.Link(h.Use, filepath.Join(h.Dir, "link"))
	case "borrow": // gets hold of what may only be read by a link into what may be written
		if err := os.Link(filepath.Join(h.Shared, "file"), filepath.Join(h.Dir, "link")); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(h.Dir, "link"), []byte("overwritten"), 0o666)
	case "race":
		return h.race(w)
	case "panic":
		panic("on purpose")
	case "exit":
		os.Exit(77)
	}
	return fmt.Errorf("what is %q?", h.Do)
}

// escape makes every kind of symlink that could lead out, and uses them.
func (h *hostile) escape() error {
	var errs []error
	for _, to := range []string{"/etc/hostname", "../../../../../../../../etc/hostname", "..", "../.."} {
		link := filepath.Join(h.Dir, "link")
		if err := os.Symlink(to, link); err != nil {
			errs = append(errs, err)
			continue
		}
		return fmt.Errorf("a link to %s was made", to)
	}
	return errors.Join(errs...)
}

// race reads through a folder that the test swaps for a symlink all the time.
func (h *hostile) race(w io.Writer) error {
	for over := time.Now().Add(time.Second); time.Now().Before(over); {
		if b, err := os.ReadFile(filepath.Join(h.Dir, "swap", "file")); err == nil {
			if _, err := w.Write(b); err != nil {
				return err
			}
		}
	}
	return nil
}

func fib(n uint64) uint64 {
	if n < 2 {
		return n
	}
	return fib(n-1) + fib(n-2)
}
