// Command folder is a guest that keeps blobs, and the content of its target,
// as files in a folder, by WASI alone. It inspects content that ends with the
// SHA-256 of what is before. With lock, a file beside a blob says until when
// the blob is kept.
package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

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
				{Mode: plugin.RoleStore, Name: "lock", Type: plugin.TypeBool},
			},
			Actions:      []plugin.Action{plugin.ActionList, plugin.ActionTest, plugin.ActionProbe, plugin.ActionInspect},
			Capabilities: json.RawMessage(`{"write":["{dir}"],"memory":"64MiB"}`),
			Naming:       true,
			Keeping:      true,
		},
		Target: func(e shield.Endpoint, _ plugin.Log) (plugin.Target, error) { return open(e) },
		Store:  func(e shield.Endpoint, _ plugin.Log) (plugin.Store, error) { return open(e) },
	})
}

type folder struct {
	Dir  string `json:"dir"`
	Lock bool   `json:"lock"`
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

func (f *folder) Probe(context.Context) (plugin.Probe, error) {
	fi, err := os.Stat(f.path("content"))
	if err != nil {
		return plugin.Probe{}, err
	}
	return plugin.Probe{Counts: map[string]int64{"bytes": fi.Size()}, Versions: map[string]string{"folder": "1.0.0"}}, nil
}

func (f *folder) Inspect(_ context.Context, r io.Reader) (plugin.Probe, error) {
	b, err := io.ReadAll(r)
	if err != nil {
		return plugin.Probe{}, err
	}
	end := max(0, len(b)-sha256.Size)
	if sum := sha256.Sum256(b[:end]); !bytes.Equal(sum[:], b[end:]) {
		return plugin.Probe{}, &shield.Error{Code: shield.Corrupt, Message: "the content does not end with its digest"}
	}
	return plugin.Probe{Counts: map[string]int64{"bytes": int64(len(b))}}, nil
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

func (f *folder) PutUntil(ctx context.Context, key string, r io.Reader, until time.Time) (plugin.Stored, error) {
	stored, err := f.Put(ctx, key, r)
	if err == nil && f.Lock {
		err = os.WriteFile(f.path(key)+".until", []byte(until.Format(time.RFC3339)), 0o600)
	}
	return stored, err
}

// kept says until when a blob is kept, if it is.
func (f *folder) kept(key string) error {
	text, err := os.ReadFile(f.path(key) + ".until")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	until, err := time.Parse(time.RFC3339, string(text))
	if err == nil && until.After(time.Now()) {
		err = &shield.Error{Code: shield.Locked, Message: "the blob is kept", Until: until}
	}
	return err
}

func (f *folder) Get(_ context.Context, key string) (io.ReadCloser, error) {
	file, err := os.Open(f.path(key))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &shield.Error{Code: shield.NotFound, Message: "no blob has that key"}
	}
	return file, err
}

func (f *folder) Delete(_ context.Context, key string) error {
	if err := f.kept(key); err != nil {
		return err
	}
	_ = os.Remove(f.path(key) + ".part")
	_ = os.Remove(f.path(key) + ".until")
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
		if err != nil || !strings.HasPrefix(key, prefix) || strings.HasSuffix(key, ".part") || strings.HasSuffix(key, ".until") {
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
