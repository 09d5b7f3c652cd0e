//go:build !wasip1

package pdk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// waitDelay is how long what a program has left behind may hold its output
// open.
const waitDelay = 2 * time.Second

// Run runs the program to its end. The error has an *exec.ExitError if the
// program has failed, and is fs.ErrNotExist if there is none.
func (c *Cmd) Run() error {
	ctx, stop := context.WithCancelCause(c.ctx)
	defer stop(nil)
	cmd := exec.CommandContext(ctx, c.path(), c.Args...)
	cmd.Env, cmd.WaitDelay = append(os.Environ(), c.Env...), waitDelay
	if err := c.settle(cmd); err != nil {
		return err
	}
	if cmd.Dir != "" {
		defer func() { _ = os.RemoveAll(cmd.Dir) }()
	}
	stdin, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if errors.Is(err, exec.ErrNotFound) {
		return fmt.Errorf("%s: %w on PATH", c.Name, fs.ErrNotExist)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", c.Name, err)
	}
	fed := make(chan error, 1)
	go func() { fed <- c.feed(stdin, stop) }()
	err = cmd.Wait()
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return cause
	}
	if err != nil {
		return fmt.Errorf("%s: %w", c.Name, err)
	}
	return <-fed
}

func (c *Cmd) path() string {
	if c.Folder == "" {
		return c.Name
	}
	return filepath.Join(c.Folder, c.Name)
}

// settle makes the streams and the folder of the program.
func (c *Cmd) settle(cmd *exec.Cmd) error {
	cmd.Stdout, cmd.Stderr = c.Stdout, c.Stderr
	if c.Stderr == nil {
		cmd.Stderr = os.Stderr
	}
	if c.Tail > 0 {
		cmd.Stdout = &tailWriter{c}
	}
	if len(c.Files) == 0 {
		return nil
	}
	dir, err := os.MkdirTemp("", "shield-plugin-")
	if err != nil {
		return err
	}
	for name, content := range c.Files {
		if name != filepath.Base(name) {
			err = fmt.Errorf("%q is not the name of a file", name)
		} else {
			err = os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600)
		}
		if err != nil {
			return errors.Join(err, os.RemoveAll(dir))
		}
	}
	cmd.Dir = dir
	return nil
}

// feed ends the program if its input fails, before it can take what it got
// for the whole.
func (c *Cmd) feed(stdin io.WriteCloser, stop context.CancelCauseFunc) error {
	if c.Stdin != nil {
		_, err := Copy(stdin, c.Stdin)
		if errors.Is(err, syscall.EPIPE) || errors.Is(err, os.ErrClosed) {
			return nil // what a program does not read is its own affair
		}
		if err != nil {
			stop(err)
			return err
		}
	}
	_ = stdin.Close() // the program may have ended already
	return nil
}

// A tailWriter keeps the end of what passes.
type tailWriter struct{ c *Cmd }

// Write implements io.Writer.
func (t *tailWriter) Write(p []byte) (int, error) {
	t.keep(p)
	if t.c.Stdout == nil {
		return len(p), nil
	}
	return t.c.Stdout.Write(p)
}

// ReadFrom leaves a Stdout with a ReadFrom of its own to it.
func (t *tailWriter) ReadFrom(r io.Reader) (int64, error) {
	if t.c.Stdout == nil {
		return Copy(struct{ io.Writer }{t}, r)
	}
	return Copy(t.c.Stdout, &tailReader{t, r})
}

func (t *tailWriter) keep(p []byte) {
	last := p[max(0, len(p)-t.c.Tail):]
	if len(t.c.last)+len(last) > 2*t.c.Tail { // seldom: programs write little at once
		t.c.last = t.c.last[:copy(t.c.last, t.c.LastOutput())]
	}
	t.c.last = append(t.c.last, last...)
}

type tailReader struct {
	t *tailWriter
	r io.Reader
}

// Read implements io.Reader.
func (r *tailReader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	r.t.keep(p[:n])
	return n, err
}
