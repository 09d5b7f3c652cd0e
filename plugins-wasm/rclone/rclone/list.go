package rclone

import (
	"context"
	"encoding/json"
	"io"
	"path"
	"strings"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugins-wasm/internal/child"
)

// List calls yield with each blob, while rclone lists them.
func (s *store) List(ctx context.Context, prefix string, yield func(plugin.Object) error) error {
	folder := ""
	if n := strings.LastIndexByte(prefix, '/'); n > 0 {
		folder = prefix[:n]
	}
	if folder != "" && keyProblem(folder) != "" {
		return nil // no key begins so
	}
	return s.each(ctx, folder, func(e *entry) error {
		key := path.Join(folder, e.Path)
		if !strings.HasPrefix(key, prefix) || strings.HasPrefix(key, parts+"/") {
			return nil
		}
		at, _ := time.Parse(time.RFC3339, e.ModTime) // a remote without times has none
		return yield(plugin.Object{Key: key, Size: e.Size, ModifiedAt: at.UTC()})
	})
}

// each calls yield with each file below a folder, which need not be there.
func (s *store) each(ctx context.Context, folder string, yield func(*entry) error) error {
	out := child.Stream(ctx, func(ctx context.Context, w io.Writer) error {
		r := s.command("lsjson", "-R", "--files-only", "--no-mimetype", place+folder)
		r.Stdout = w
		return s.program.Run(ctx, r)
	})
	defer out.Close()
	err := entries(out, yield)
	if missing(err) {
		if folder != "" {
			return nil
		}
		return s.root(ctx)
	}
	return problem("rclone.List", err)
}

// root says why a listing of all has failed: of a remote that makes folders as
// they are needed there is none before the first blob.
func (s *store) root(ctx context.Context) error {
	e, err := s.stat(ctx, "", "--no-modtime")
	if err == nil && e != nil {
		err = shield.Errorf(shield.StoreFailed, "rclone.List", "the remote is a file: a folder is wanted")
	}
	return err
}

// entries decodes the answer of lsjson, which is an array, an entry at a time.
// The end of r proves that it is whole.
func entries(r io.Reader, yield func(*entry) error) error {
	d := json.NewDecoder(r)
	err := arrayOf(d, yield)
	if err != nil {
		return err
	}
	// What comes behind the array is white space, and the error of the program.
	if _, err := d.Token(); err != io.EOF {
		if err == nil {
			err = shield.Errorf(shield.StoreFailed, "rclone.List", "rclone lists more than an array")
		}
		return err
	}
	return nil
}

func arrayOf(d *json.Decoder, yield func(*entry) error) error {
	start, err := d.Token()
	if err != nil {
		return broken(err)
	}
	if start == nil {
		return nil
	}
	if start != json.Delim('[') {
		return shield.Errorf(shield.StoreFailed, "rclone.List", "rclone lists %v: an array is wanted", start)
	}
	for d.More() {
		var e entry
		if err := d.Decode(&e); err != nil {
			return broken(err)
		}
		if e.IsDir {
			continue
		}
		if err := yield(&e); err != nil {
			return err
		}
	}
	_, err = d.Token()
	return broken(err)
}

// broken names the end of an answer that came too early: io.EOF is no error of
// which a reader would hear.
func broken(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return shield.Errorf(shield.StoreFailed, "rclone.List", "rclone ended its list in the middle")
	}
	return err
}
