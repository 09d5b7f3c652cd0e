//go:build !linux

package main

import (
	"golang.org/x/sys/unix"

	"github.com/shieldhq/shield"
)

// lower gives way to what else runs on this host.
func lower(nice int, ionice string) error {
	if nice < 0 || nice > 19 {
		return shield.FieldErrorf("nice", "is %d: 0 to 19 are allowed", nice)
	}
	if ionice != "" {
		return shield.FieldErrorf("ionice", "is %q: there is none on this system", ionice)
	}
	if nice == 0 {
		return nil
	}
	return unix.Setpriority(unix.PRIO_PROCESS, 0, nice)
}
