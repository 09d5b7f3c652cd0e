package pdk

import (
	"io"
	"os"
	"path"
)

// Open opens a file for reading. In the sandbox its folder has to be granted,
// and Copy moves it on the host. A symlink is not followed.
func Open(name string) (io.ReadCloser, error) {
	d, err := OpenFolder(path.Dir(name))
	if err != nil {
		return os.Open(name) // a host without the file service, or WASI's own error
	}
	f, err := d.Open(path.Base(name))
	if err != nil {
		_ = d.Close()
		return nil, &os.PathError{Op: "open", Path: name, Err: err}
	}
	return &folderFile{f, d}, nil
}

// A folderFile closes its folder, too.
type folderFile struct {
	*File
	d *Folder
}

// Close implements io.Closer.
func (f *folderFile) Close() error {
	err := f.File.Close()
	_ = f.d.Close()
	return err
}
