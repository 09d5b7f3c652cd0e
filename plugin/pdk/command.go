package pdk

import (
	"context"
	"io"
)

// A Cmd is a program to be run. In the sandbox its name is one that the
// plugin's capabilities list, and the grant says which program that is.
type Cmd struct {
	Name string
	Args []string // without the name
	// Folder holds the program, if it is not where programs usually are. In
	// the sandbox a capability like "{bindir}/name" has to name it.
	Folder string
	// Env is added to the environment, as "NAME=value". In the sandbox the
	// environment holds little else, and the grant bounds the names.
	Env []string
	// Files are put into the folder that the program works in, by their
	// names, which are letters, digits and "._-": "./NAME" is the path to
	// tell the program. Folder and files are readable by nobody else and
	// removed in the end. In the sandbox the folder is there in any case.
	Files map[string]string
	// Stdin and Stdout are its streams; nil is an empty one, and none. Copy
	// feeds and takes them, so what it says of readers and writers holds here.
	Stdin  io.Reader
	Stdout io.Writer
	// Stderr is for what it complains of; nil sends that to the diagnostics
	// of the plugin.
	Stderr io.Writer
	// Tail is how many of the last bytes of Stdout LastOutput tells, at most
	// 64 KiB: enough to see whether a dump has its end, without it passing
	// through the plugin.
	Tail int

	last []byte
	ctx  context.Context
}

// Command returns the command to run a program, which ends when ctx is done.
func Command(ctx context.Context, name string, args ...string) *Cmd {
	return &Cmd{Name: name, Args: args, ctx: ctx}
}

// LastOutput returns the end of what the program wrote to Stdout, after Run.
func (c *Cmd) LastOutput() []byte { return c.last[max(0, len(c.last)-c.Tail):] }
