package fs

import (
	"context"
	"errors"
	"io"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
)

// target is a tree of files.
type target struct {
	config
	log plugin.Log
}

var (
	_ plugin.Target    = (*target)(nil)
	_ plugin.Validator = (*target)(nil)
	_ plugin.Tester    = (*target)(nil)
)

func openTarget(e shield.Endpoint, log plugin.Log) (plugin.Target, error) {
	c, err := decode(plugin.RoleTarget, e)
	if err != nil {
		return nil, err
	}
	if log == nil {
		log = func(string) {}
	}
	return &target{config: c, log: log}, nil
}

// Validate checks the patterns.
func (t *target) Validate(context.Context) error {
	_, _, err := t.patterns()
	return err
}

func (t *target) patterns() (include, exclude patterns, err error) {
	include, err = parsePatterns("include", t.Include)
	if err != nil {
		return nil, nil, err
	}
	exclude, err = parsePatterns("exclude", t.Exclude)
	return include, exclude, err
}

// Test checks that the base directory is a folder whose entries can be read.
func (t *target) Test(context.Context) error {
	const op = "fs.test"
	d, err := openBase(t.BaseDir)
	if err != nil {
		return baseError(shield.TargetFailed, op, t.BaseDir, err)
	}
	defer d.release()
	if _, err := d.entries(make([]byte, folderBuffer)); err != nil {
		return baseError(shield.TargetFailed, op, t.BaseDir, err)
	}
	return nil
}

// ctxReader gives the context's error as soon as there is one, and remembers
// the reader's own.
type ctxReader struct {
	ctx context.Context
	r   io.Reader
	err error // of r, other than io.EOF
}

// done returns the context's error, if it has one.
func (c *ctxReader) done() error {
	if c.ctx.Err() != nil && c.err == nil {
		c.err = context.Cause(c.ctx)
	}
	return c.err
}

func (c *ctxReader) Read(p []byte) (int, error) {
	if err := c.done(); err != nil {
		return 0, err
	}
	n, err := c.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		c.err = err
	}
	return n, err
}
