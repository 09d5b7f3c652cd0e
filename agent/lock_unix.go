//go:build unix

package agent

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/shieldhq/shield"
)

// lockFile takes the agent's folder for this process. The kernel releases it
// when the process ends, however it ends.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("the agent's folder cannot be locked: %w", err)
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		return f, nil
	}
	_ = f.Close()
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, shield.Errorf(shield.Conflict, "", "another agent uses the folder of %s: stop it, or choose another folder with --state", path)
	}
	return nil, fmt.Errorf("the agent's folder cannot be locked: %w", err)
}
