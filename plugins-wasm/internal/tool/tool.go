// Package tool runs the programs that dump and load data systems, for the
// target plugins: it finds them, asks their versions, moves their streams,
// and makes errors of what they complain of. A dump that ended early or with
// a complaint is never a success.
//
// In the sandbox the host runs the programs and moves the bytes; natively the
// process of the plugin does. Nothing secret is put on a command line:
// credentials go by environment, or by files in the private folder of the
// program.
package tool

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"strings"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugin/pdk"
)

// A Job is one run of a program.
type Job struct {
	Name string
	Args []string
	Env  []string // "NAME=value"; what a sandboxed plugin may set is bounded by its grant
	// Files are put into the private folder that the program works in, by
	// name; "./NAME" is the path to tell the program.
	Files map[string]string
	// Stdin and Stdout are its streams; nil is an empty one, and none.
	// pdk.Copy moves them.
	Stdin  io.Reader
	Stdout io.Writer
	// Tail is how many of the last bytes of Stdout the result has.
	Tail int
	// Tolerate says of a line on standard error that it is no failure
	// although Dialect.Complaint says so; nil tolerates none.
	Tolerate func(line string) bool
}

// A Result is how a job ended well.
type Result struct {
	Tail  []byte   // the last bytes of Stdout
	Lines []string // of standard error; the first and the last ones if they are many
}

// A Runner runs jobs.
type Runner interface {
	Run(ctx context.Context, j Job) (Result, error)
}

// Host runs the programs of the host.
type Host struct {
	// Folder holds the programs; empty is for the usual folders. Field is the
	// field of the endpoint that names it.
	Folder, Field string
	Dialect       *Dialect
	// Log gets what the programs write to standard error; nil is for nobody.
	Log plugin.Log
	// Secrets are blotted out of it.
	Secrets []string
}

var _ Runner = (*Host)(nil)

// Run runs a job. Its error is an *shield.Error, classified by the dialect,
// whose message begins with the program's name.
func (h *Host) Run(ctx context.Context, j Job) (Result, error) {
	lines := newLines(h.Log, h.Secrets)
	c := pdk.Command(ctx, j.Name, j.Args...)
	c.Folder, c.Env, c.Files = h.Folder, j.Env, j.Files
	c.Stdin, c.Stdout, c.Stderr, c.Tail = j.Stdin, j.Stdout, lines, j.Tail
	err := c.Run()
	lines.flush()
	r := Result{Tail: c.LastOutput(), Lines: lines.all()}
	return r, h.judge(ctx, &j, err, lines)
}

// judge says how a job ended.
func (h *Host) judge(ctx context.Context, j *Job, err error, l *lines) error {
	var exit interface{ ExitCode() int }
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil && errors.As(err, &exit):
		return h.Dialect.failure(j.Name, stateOf(err, j.Name), l.all())
	case errors.Is(err, fs.ErrNotExist):
		return h.missing(j.Name)
	case err != nil && shield.CodeOf(err) != shield.Internal:
		return err // the host's, or that of the other stream, which says more
	case err != nil:
		return shield.Errorf(shield.TargetFailed, "", "%s: %w", j.Name, err)
	}
	var bad []string
	for _, line := range l.all() {
		if h.Dialect.complains(line) && (j.Tolerate == nil || !j.Tolerate(line)) {
			bad = append(bad, line)
		}
	}
	if len(bad) > 0 {
		return h.Dialect.failure(j.Name, "exit status 0, but it complained", bad)
	}
	return nil
}

// stateOf returns how a program ended, without its name.
func stateOf(err error, name string) string {
	return strings.TrimPrefix(err.Error(), name+": ")
}

// missing says what to do about a program that is not there.
func (h *Host) missing(name string) error {
	install := "install it"
	if p := Package(name); p != "" {
		install = "install Debian's package " + p
	}
	if h.Folder != "" {
		return shield.FieldErrorf("endpoint."+h.Field, "is %s: there is no %s in it; %s, or name another folder", h.Folder, name, install)
	}
	hint := install
	if h.Field != "" {
		hint += ", or name its folder in " + h.Field
	}
	return shield.Errorf(shield.TargetFailed, "", "the program %s is not there: %s", name, hint)
}
