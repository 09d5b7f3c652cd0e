//go:build unix

package daemon

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/shieldhq/shield"
)

// lock takes the data folder for this process. The kernel releases it when
// the process ends, however it ends.
func lock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("the data folder cannot be locked: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		owner := make([]byte, 32)
		n, _ := f.Read(owner)
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, shield.Errorf(shield.Conflict, "", "another daemon (process %s) uses this data folder: stop it, or choose another folder with --data",
				strings.TrimSpace(string(owner[:n])))
		}
		return nil, fmt.Errorf("the data folder cannot be locked: %w", err)
	}
	if err := errors.Join(f.Truncate(0), write(f, fmt.Sprintln(os.Getpid()))); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func write(f *os.File, text string) error {
	_, err := f.WriteAt([]byte(text), 0)
	return err
}
