//go:build !wasip1

package pdk

import (
	"context"
	"fmt"
	"os"
	"os/exec"
)

// Run runs the program to its end. The error has an *exec.ExitError if the
// program has failed.
func (c *Cmd) Run() error {
	cmd := exec.CommandContext(c.ctx, c.Name, c.Args...)
	cmd.Env = append(os.Environ(), c.Env...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = c.Stdin, c.Stdout, os.Stderr
	err := cmd.Run()
	if err != nil && c.ctx.Err() != nil {
		return context.Cause(c.ctx)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", c.Name, err)
	}
	return nil
}
