// Package endpointarg reads the endpoints that the commands of shield take as
// arguments.
package endpointarg

import (
	"io"
	"os"
	"strings"

	"github.com/shieldhq/shield"
)

// Read reads an endpoint given as JSON, as @FILE, or as - for standard input.
func Read(text string, stdin io.Reader) (shield.Endpoint, error) {
	data := []byte(text)
	var err error
	switch {
	case text == "-":
		data, err = readAll(stdin)
	case strings.HasPrefix(text, "@"):
		data, err = readFile(text[1:])
	}
	if err != nil {
		return nil, shield.FieldErrorf("endpoint", "%v", err)
	}
	return shield.ParseEndpoint(data)
}

func readFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readAll(f)
}

// readAll reads no more than it takes to see that it is too much.
func readAll(r io.Reader) ([]byte, error) {
	return io.ReadAll(io.LimitReader(r, shield.EndpointLimit+1))
}
