// Command folder is a guest that keeps blobs, and the content of its target,
// as files in a folder, by WASI alone.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugin/pdk"
)

func main() {
	pdk.Main(&plugin.Native{
		About: plugin.Info{
			Name: "folder", Author: "tests", Version: "1.0.0",
			Features: plugin.Features{Target: "yes", Store: "yes"},
			Fields: []plugin.Field{
				{Mode: plugin.RoleBoth, Name: "dir", Type: plugin.TypeAbsPath, Required: true},
				{Mode: plugin.RoleBoth, Name: "password", Type: plugin.TypePassword},
			},
			Actions:      []plugin.Action{plugin.ActionList, plugin.ActionTest},
			Capabilities: json.RawMessage(`{"write":["{dir}"],"memory":"64MiB"}`),
			Naming:       true,
		},
		Target: func(e shield.Endpoint, _ plugin.Log) (plugin.Target, error) { return open(e) },
		Store:  func(e shield.Endpoint, _ plugin.Log) (plugin.Store, error) { return open(e) },
	})
}

type folder struct {
	Dir string `json:"dir"`
}

func open(e shield.Endpoint) (*folder, error) {
	var f folder
	return &f, e.Decode(&f)
}

func (f *folder) path(key string) string { return filepath.Join(f.Dir, url.QueryEscape(key)) }

func (f *folder) Test(context.Context) error {
	_, err := os.Stat(f.Dir)
	return err
}

func (f *folder) Backup(_ context.Context, w io.Writer) error {
	file, err := os.Open(f.path("content"))
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = io.Copy(w, file)
	return err
}

func (f *folder) Restore(_ context.Context, r io.Reader) error {
	_, err := f.write("content", r)
	return err
}

func (f *folder) write(key string, r io.Reader) (int64, error) {
	part := f.path(key) + ".part"
	file, err := os.Create(part)
	if err != nil {
		return 0, err
	}
	n, err := io.Copy(file, r)
	if err := errors.Join(err, file.Close()); err != nil {
		return 0, errors.Join(err, os.Remove(part))
	}
	return n, os.Rename(part, f.path(key))
}

func (f *folder) Put(_ context.Context, key string, r io.Reader) (plugin.Stored, error) {
	n, err := f.write(key, r)
	return plugin.Stored{Key: key, Size: n}, err
}

func (f *folder) Get(_ context.Context, key string) (io.ReadCloser, error) {
	file, err := os.Open(f.path(key))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &shield.Error{Code: shield.NotFound, Message: "no blob has that key"}
	}
	return file, err
}

func (f *folder) Delete(_ context.Context, key string) error {
	_ = os.Remove(f.path(key) + ".part")
	if err := os.Remove(f.path(key)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (f *folder) List(_ context.Context, prefix string, yield func(plugin.Object) error) error {
	entries, err := os.ReadDir(f.Dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		key, err := url.QueryUnescape(e.Name())
		if err != nil || !strings.HasPrefix(key, prefix) || strings.HasSuffix(key, ".part") {
			continue
		}
		fi, err := e.Info()
		if err != nil {
			return err
		}
		if err := yield(plugin.Object{Key: key, Size: fi.Size(), ModifiedAt: fi.ModTime()}); err != nil {
			return err
		}
	}
	return nil
}
