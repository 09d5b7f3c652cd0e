package fs

import (
	"context"

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
	_ plugin.Prober    = (*target)(nil)
	_ plugin.Inspector = (*target)(nil)
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
