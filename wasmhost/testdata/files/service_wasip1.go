package main

import (
	"fmt"
	"io"

	"github.com/shieldhq/shield/plugin/pdk"
)

func (f *files) service(w io.Writer) error {
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
