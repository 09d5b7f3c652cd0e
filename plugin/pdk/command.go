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
	// Env is added to the environment, as "NAME=value". In the sandbox the
	// environment holds little else, and the grant bounds the names.
	Env []string
	// Stdin and Stdout are its streams; nil is an empty one, and none.
	Stdin  io.Reader
	Stdout io.Writer

	ctx context.Context
}

// Command returns the command to run a program, which ends when ctx is done.
func Command(ctx context.Context, name string, args ...string) *Cmd {
	return &Cmd{Name: name, Args: args, ctx: ctx}
}
