// Package exec runs executables as plugins. An executable written for the
// original calling protocol runs unchanged; what it may have beyond that is
// declared by its answer to info. The protocol is written down in
// docs/plugin-protocol.md.
//
// Every call is one process, leader of a process group of its own, with a
// small environment and a private working directory. The group never outlives
// the call: it is asked to end with SIGTERM, made to end with SIGKILL after a
// grace, and whatever a plugin leaves behind is killed when its leader has
// ended. What a plugin prints is bounded, checked and cleaned.
//
// Two promises hold for every stream. Shield takes a stream as complete only
// after its end was read and the exit status was 0. A plugin whose input
// fails never sees that input end: it is stopped with its input still open.
package exec

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/calling"
	"github.com/shieldhq/shield/plugin"
)

// Options are the settings of an executable plugin. The zero value is good.
type Options struct {
	// Name is what errors call the plugin; empty means the name of its file.
	Name string
	// Args are given to the program before the action.
	Args []string
	// Env is added to the environment of every call, as "NAME=value". Without
	// it a plugin sees PATH, HOME, LANG and TZ of this process, and a TMPDIR
	// that is emptied after the call.
	Env []string
	// Grace is how long a plugin has to end after SIGTERM; 0 means 5 s.
	Grace time.Duration
	// InfoTimeout is how long a plugin has to answer info; 0 means 10 s.
	InfoTimeout time.Duration
	// RefuseArgvSecrets refuses endpoints with secrets to plugins that want
	// their endpoint on the command line, which every process list shows.
	RefuseArgvSecrets bool
	// Report takes what a call writes to one more file descriptor, whose
	// number is in SHIELD_REPORT_FD. It runs beside the call, which ends after
	// it, but how the call ends does not depend on it: what it leaves is read
	// and dropped, so that the plugin never waits. Without it there is no such
	// descriptor.
	Report func(a plugin.Action, r io.Reader)
}

// Plugin is an executable file, opened as a plugin. It is safe for
// concurrent use and holds nothing between calls.
type Plugin struct {
	path    string
	options Options
	// turn is held while info runs, so that many callers start one process.
	turn   chan struct{}
	cached *answered
}

var (
	_ plugin.Opener   = (*Plugin)(nil)
	_ calling.Carrier = (*Plugin)(nil)
)

// Open returns the plugin that the executable file at path is. Nothing runs
// yet. A path that cannot be run is PluginFailed. opts may be nil.
func Open(path string, opts *Options) (*Plugin, error) {
	p := &Plugin{turn: make(chan struct{}, 1)}
	if opts != nil {
		p.options = *opts
	}
	if p.options.Grace <= 0 {
		p.options.Grace = 5 * time.Second
	}
	if p.options.InfoTimeout <= 0 {
		p.options.InfoTimeout = 10 * time.Second
	}
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, shield.Errorf(shield.PluginFailed, "plugin", "%s: %w", path, err)
	}
	p.path = absolute
	p.options.Name = cmp.Or(p.options.Name, filepath.Base(absolute))
	_, err = p.stat()
	return p, err
}

// stat describes the file, or says why it cannot be run.
func (p *Plugin) stat() (os.FileInfo, error) {
	bad := func(format string, args ...any) error {
		return shield.Errorf(shield.PluginFailed, "plugin", p.path+": "+format, args...)
	}
	fi, err := os.Stat(p.path)
	switch {
	case os.IsNotExist(err):
		return nil, bad("there is no such file")
	case err != nil:
		return nil, bad("%w", err)
	case fi.IsDir():
		return nil, bad("is a directory: an executable file is wanted")
	case !fi.Mode().IsRegular():
		return nil, bad("is not a regular file: an executable file is wanted")
	case !executable(fi):
		return nil, bad("is not executable: chmod +x is missing")
	}
	return fi, nil
}

// OpenTarget returns a target whose methods run the plugin. It has those
// optional interfaces whose actions the plugin declares.
func (p *Plugin) OpenTarget(ctx context.Context, e shield.Endpoint, log plugin.Log) (plugin.Target, error) {
	return calling.OpenFunc(p.open).Target(ctx, e, log)
}

// OpenStore returns a store whose methods run the plugin. It has those
// optional interfaces whose actions the plugin declares, and is a
// plugin.Keeper if its info says keeping. Each of its calls is one process.
func (p *Plugin) OpenStore(ctx context.Context, e shield.Endpoint, log plugin.Log) (plugin.Store, error) {
	return calling.OpenFunc(p.open).Store(ctx, e, log)
}

func (p *Plugin) open(ctx context.Context, r plugin.Role, e shield.Endpoint, log plugin.Log) (*calling.Session, error) {
	info, err := p.Info(ctx)
	if err != nil {
		return nil, err
	}
	s, err := calling.Open(p, info, r, e, log)
	if err != nil {
		return nil, err
	}
	if info.Endpoint == "" && len(info.Actions) == 0 {
		if s.Endpoint, err = portsAsText(&info, s.Endpoint); err != nil {
			return nil, err
		}
	}
	return s, p.checkDelivery(s)
}

// checkDelivery warns of secrets that the process list will show, or refuses
// them.
func (p *Plugin) checkDelivery(s *calling.Session) error {
	if s.Delivery() != plugin.DeliverArgv || len(s.Secrets) == 0 {
		return nil
	}
	const text = `takes its endpoint on the command line, where every user of this host can read its secrets: a plugin whose info says "endpoint": "fd" does not`
	if p.options.RefuseArgvSecrets {
		return &shield.Error{Code: shield.Forbidden, Field: "endpoint", Message: fmt.Sprintf("%s %s", s.Info.Name, text)}
	}
	s.Log(fmt.Sprintf("warning: %s %s", s.Info.Name, text))
	return nil
}
