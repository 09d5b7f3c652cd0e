// Package bundled holds the plugin modules that come with the programs,
// compressed. They are built by `make plugins` and not kept in the
// repository: without that step the package is empty, and the programs say
// how to get them.
package bundled

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/klauspost/compress/zstd"
)

//go:embed dist
var dist embed.FS

// ErrNotBuilt is returned for a module that was not built in.
var ErrNotBuilt = errors.New("this program was built without the bundled plugins: run `make plugins` and build it again")

// A Module is one bundled plugin.
type Module struct {
	Name   string
	Digest string // "sha256:<hex>" of the module
	Info   []byte // its answer to info, so that nobody has to run it for that
	file   string
}

// Modules returns what was built in, by name.
func Modules() ([]Module, error) {
	names, err := fs.Glob(dist, "dist/*.wasm.zst")
	if err != nil {
		return nil, err
	}
	all := make([]Module, 0, len(names))
	for _, file := range names {
		name := strings.TrimSuffix(path.Base(file), ".wasm.zst")
		digest, err := dist.ReadFile("dist/" + name + ".sha256")
		info, err2 := dist.ReadFile("dist/" + name + ".json")
		if err := errors.Join(err, err2); err != nil {
			return nil, fmt.Errorf("the bundled plugin %s was built by another version: run `make plugins` and build this program again: %w", name, err)
		}
		all = append(all, Module{Name: name, Digest: strings.TrimSpace(string(digest)), Info: info, file: file})
	}
	return all, nil
}

// Load returns the module itself.
func (m Module) Load() ([]byte, error) {
	packed, err := dist.ReadFile(m.file)
	if err != nil {
		return nil, err
	}
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.DecodeAll(packed, nil)
}
