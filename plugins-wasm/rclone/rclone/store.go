package rclone

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"path"
	"strings"
	"sync"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugins-wasm/internal/child"
)

// store is a remote.
type store struct {
	program  *child.Program
	global   []string
	checksum string
	log      plugin.Log

	mu    sync.Mutex
	known *features
}

var (
	_ plugin.Store     = (*store)(nil)
	_ plugin.Lister    = (*store)(nil)
	_ plugin.Tester    = (*store)(nil)
	_ plugin.Validator = (*store)(nil)
)

func openStore(e shield.Endpoint, log plugin.Log) (plugin.Store, error) {
	c, err := decode(e)
	if err != nil {
		return nil, err
	}
	if log == nil {
		log = func(string) {}
	}
	if err := checkRemote(c.Remote); err != nil {
		return nil, err
	}
	s := &store{checksum: c.Checksum, log: log}
	if s.program, err = program(&c, log); err != nil {
		return nil, err
	}
	s.global, err = global(&c)
	return s, err
}

// Validate has nothing to add to what opening the store has checked.
func (s *store) Validate(context.Context) error { return nil }

// command returns a run of one of rclone's commands.
func (s *store) command(name string, args ...string) child.Run {
	return child.Run{Args: append(append([]string{name}, s.global...), args...)}
}

// run runs a command without streams. Its error is the program's.
func (s *store) run(ctx context.Context, name string, args ...string) ([]byte, error) {
	var out bytes.Buffer
	r := s.command(name, args...)
	r.Stdout = &limited{&out, answerLimit}
	err := s.program.Run(ctx, r)
	return out.Bytes(), err
}

// answerLimit is far more than one file or the features of a remote take.
const answerLimit = 1 << 20

// limited takes so much and no more.
type limited struct {
	w    io.Writer
	left int
}

// Write implements io.Writer.
func (l *limited) Write(p []byte) (int, error) {
	if l.left -= len(p); l.left < 0 {
		return 0, shield.Errorf(shield.StoreFailed, "", "rclone answers with more than %d bytes", answerLimit)
	}
	return l.w.Write(p)
}

// An entry is what lsjson says of a file.
type entry struct {
	Path    string
	Size    int64
	ModTime string // RFC 3339; empty if it was not asked for
	IsDir   bool
	Hashes  map[string]string
}

// stat returns what the remote says of a file, nil if there is none.
func (s *store) stat(ctx context.Context, file string, flags ...string) (*entry, error) {
	out, err := s.run(ctx, "lsjson", append(flags, "--stat", "--no-mimetype", place+file)...)
	if missing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, problem("rclone.stat", err)
	}
	var e *entry
	if err := json.Unmarshal(out, &e); err != nil {
		return nil, shield.Errorf(shield.StoreFailed, "rclone.stat", "rclone describes %s as no JSON: %w", file, err)
	}
	if e != nil && e.IsDir {
		return nil, nil
	}
	return e, nil
}

// Get opens the blob. Its end is io.EOF only if rclone has ended well after as
// many bytes as the remote says the file has.
func (s *store) Get(ctx context.Context, key string) (io.ReadCloser, error) {
	if err := checkKey(key); err != nil {
		return nil, err
	}
	e, err := s.stat(ctx, key, "--no-modtime")
	if err != nil {
		return nil, err
	}
	if e == nil {
		return nil, shield.Errorf(shield.NotFound, "rclone.Get", "there is no %s", key)
	}
	return child.Stream(ctx, func(ctx context.Context, w io.Writer) error {
		r, n := s.command("cat", place+key), &counted{w: w}
		r.Stdout = n
		if err := s.program.Run(ctx, r); err != nil {
			return problem("rclone.Get", err)
		}
		if e.Size >= 0 && n.n != e.Size {
			return shield.Errorf(shield.StoreFailed, "rclone.Get", "rclone gave %d bytes of %s and said that this is all, but the remote says it has %d", n.n, key, e.Size)
		}
		return nil
	}), nil
}

// counted counts what passes.
type counted struct {
	w io.Writer
	n int64
}

// Write implements io.Writer.
func (c *counted) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

// Delete removes the blob and the unfinished uploads of its key.
func (s *store) Delete(ctx context.Context, key string) error {
	if err := checkKey(key); err != nil {
		return err
	}
	if err := s.remove(ctx, key); err != nil {
		return err
	}
	var left []string
	err := s.each(ctx, parts, func(e *entry) error {
		if strings.HasPrefix(e.Path, mark(key)) {
			left = append(left, path.Join(parts, e.Path))
		}
		return nil
	})
	for _, file := range left {
		err = shield.FirstError(err, s.remove(ctx, file))
	}
	return err
}

// remove deletes a file. One that is not there is no error.
func (s *store) remove(ctx context.Context, file string) error {
	_, err := s.run(ctx, "deletefile", place+file)
	if err == nil || missing(err) {
		return nil
	}
	// Of a file that is not there rclone says no more than that it has failed.
	if e, statErr := s.stat(ctx, file, "--no-modtime"); statErr == nil && e == nil {
		return nil
	}
	return problem("rclone.Delete", err)
}
