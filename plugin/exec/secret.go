package exec

import (
	"os"

	"github.com/shieldhq/shield"
)

// secretPipe returns the reading end of a pipe that gives the endpoint once.
// The writer ends when all is read or nobody can read any more.
func secretPipe(e shield.Endpoint) (*os.File, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	go func() {
		defer func() { _ = w.Close() }()
		_, _ = w.Write(e)
	}()
	return r, nil
}
