package pdk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"

	"github.com/shieldhq/shield"
)

// An ExitError is the failure of a program.
type ExitError struct {
	Code  int
	State string // in words
}

// Error implements error.
func (e *ExitError) Error() string { return e.State }

// ExitCode returns the exit status, -1 for a program that a signal has ended.
func (e *ExitError) ExitCode() int { return e.Code }

// Run runs the program to its end. The error is an *ExitError if the program
// has failed; what it had to say of that is in the log.
func (c *Cmd) Run() error {
	env := map[string]string{}
	for _, v := range c.Env {
		name, value, _ := strings.Cut(v, "=")
		env[name] = value
	}
	h, err := openHandle(map[string]any{"exec": map[string]any{
		"cmd": c.Name, "folder": c.Folder, "args": c.Args, "env": env,
		"files": c.Files, "stderr": c.Stderr != nil, "tail": c.Tail,
	}})
	if err != nil {
		return err
	}
	s := newStream(h)
	defer s.Close()
	defer context.AfterFunc(c.ctx, func() { _ = s.Close() })()
	complaints, err := c.listen(h)
	if err != nil {
		return err
	}
	fed := make(chan error, 1)
	go func() { fed <- c.feed(s) }()
	stdout := c.Stdout
	if stdout == nil {
		stdout = io.Discard
	}
	_, err = Copy(stdout, s)
	if c.ctx.Err() != nil {
		return context.Cause(c.ctx)
	}
	if errors.Is(err, os.ErrClosed) { // by feed, which knows why
		err = shield.FirstError(<-fed, err)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", c.Name, err)
	}
	err = c.ended(s)
	if lost := <-complaints; err == nil {
		err = lost
	}
	if err != nil {
		return err
	}
	return <-fed
}

// listen hands on what the program with handle h complains of, and tells when
// that was all.
func (c *Cmd) listen(h int32) (<-chan error, error) {
	end := make(chan error, 1)
	if c.Stderr == nil {
		end <- nil
		return end, nil
	}
	e, err := openHandle(map[string]any{"stderr": map[string]any{"of": h}})
	if err != nil {
		return nil, err
	}
	s := newStream(e)
	go func() {
		defer s.Close()
		_, err := Copy(c.Stderr, s)
		end <- err
	}()
	return end, nil
}

// feed closes the handle, and so ends the program, if the input fails: it
// must not take what it got for the whole.
func (c *Cmd) feed(s *hostStream) error {
	if c.Stdin != nil {
		if _, err := Copy(s, c.Stdin); errors.Is(err, syscall.EPIPE) {
			return nil // what a program does not read is its own affair
		} else if err != nil {
			_ = s.Close()
			return err
		}
	}
	if err := s.CloseWrite(); err != nil && !errors.Is(err, syscall.EPIPE) {
		return err
	}
	return nil
}

func (c *Cmd) ended(s *hostStream) error {
	await(s.h, pollStat, s.closed)
	text, err := statText(s.h)
	if err != nil {
		return err
	}
	var info struct {
		Exit  int    `json:"exit"`
		State string `json:"state"`
		Tail  []byte `json:"tail"`
	}
	if err := json.Unmarshal([]byte(text), &info); err != nil {
		return err
	}
	c.last = info.Tail
	if info.Exit != 0 {
		return &ExitError{info.Exit, c.Name + ": " + info.State}
	}
	return nil
}
