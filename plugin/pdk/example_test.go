package pdk_test

import (
	"context"
	"io"
	"os"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugin/pdk"
)

// A file is a target: one file, named by its endpoint.
type file struct{ Path string }

func (f *file) Backup(_ context.Context, w io.Writer) error {
	r, err := os.Open(f.Path)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	_, err = io.Copy(w, r)
	return err
}

func (f *file) Restore(_ context.Context, r io.Reader) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	return os.WriteFile(f.Path, b, 0o600)
}

func ExampleMain() {
	pdk.Main(&plugin.Native{
		About: plugin.Info{
			Name:     "file",
			Author:   "you",
			Version:  "1.0.0",
			Features: plugin.Features{Target: "yes", Store: "no"},
			Fields:   []plugin.Field{{Mode: plugin.RoleTarget, Name: "path", Type: plugin.TypeAbsPath, Required: true}},
			Endpoint: plugin.DeliverFD,
		},
		Target: func(e shield.Endpoint, _ plugin.Log) (plugin.Target, error) {
			f := &file{}
			return f, e.Decode(f)
		},
	})
}
