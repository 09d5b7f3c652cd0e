// Command files is a guest that uses the file service as its endpoint says.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"path"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugin/pdk"
)

func main() {
	pdk.Main(&plugin.Native{
		About: plugin.Info{
			Name: "files", Author: "tests", Version: "1.0.0",
			Features: plugin.Features{Target: "yes", Store: "no"},
			Fields: []plugin.Field{
				{Mode: plugin.RoleTarget, Name: "do", Type: plugin.TypeString, Required: true},
				{Mode: plugin.RoleTarget, Name: "dir", Type: plugin.TypeAbsPath, Required: true},
				{Mode: plugin.RoleTarget, Name: "use", Type: plugin.TypeString},
			},
			Capabilities: json.RawMessage(`{"read":["{dir}"],"write":["{dir}"],"own":["{dir}"]}`),
		},
		Target: func(e shield.Endpoint, _ plugin.Log) (plugin.Target, error) {
			f := &files{}
			return f, e.Decode(f)
		},
	})
}

type files struct{ Do, Dir, Use string }

func (f *files) Restore(context.Context, io.Reader) error { return fmt.Errorf("cannot") }

func (f *files) Backup(_ context.Context, w io.Writer) error {
	if f.Do == "copy" {
		r, err := pdk.Open(path.Join(f.Dir, f.Use))
		if err != nil {
			return err
		}
		defer r.Close()
		_, err = pdk.Copy(w, r)
		return err
	}
	d, err := pdk.OpenFolder(f.Dir)
	if err != nil {
		return err
	}
	defer d.Close()
	switch f.Do {
	case "list":
		return d.List(pdk.WithLink|pdk.WithAttrs, func(i pdk.FileInfo) error {
			_, err := fmt.Fprintf(w, "%s %o %d %q %d.%09d %d %v\n", i.Name, i.Mode, i.Size, i.Link, i.Mtime.Sec, i.Mtime.Nsec, i.Links, i.Attrs)
			return err
		})
	case "extents":
		file, err := d.Open(f.Use)
		if err != nil {
			return err
		}
		list, err := file.Extents()
		if err == nil {
			_, err = fmt.Fprint(w, list)
		}
		return err
	case "make":
		return f.build(d)
	case "walk":
		_, err := d.Walk(f.Use)
		return err
	case "open":
		_, err := d.Open(f.Use)
		return err
	case "chmod":
		return d.Chmod(f.Use, 0o4755)
	case "mkdir":
		return d.Mkdir("plain", 0o755)
	}
	return fmt.Errorf("what is %q?", f.Do)
}

func (f *files) build(d *pdk.Folder) error {
	if err := d.Mkdir("", 0o750); err != nil {
		return err
	}
	file, err := d.Create("file")
	if err != nil {
		return err
	}
	for _, err := range []error{
		writeAll(file), file.Chmod(0o4711), file.SetTime(pdk.FileTime{Sec: 1e9, Nsec: 123456789}), file.Sync(), file.Close(),
		d.Link("file", d, "twin"), d.Symlink("/etc/hostname", "away"), d.SetTime("away", pdk.FileTime{Sec: 5, Nsec: 7}),
		d.Mknod("fifo", 0o010000, 0, 0), d.Mkdir("sub", 0o700), d.Rename("twin", d, "brother"),
		d.Chmod("sub", 0o1777), d.SyncAll(),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}

func writeAll(f *pdk.File) error {
	_, err := io.WriteString(f, "content")
	return err
}
