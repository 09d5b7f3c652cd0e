package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/zeebo/blake3"

	"github.com/shieldhq/shield"
)

type downloadCmd struct {
	Archive downloadArchive `cmd:"" help:"Write an archive to a file."`
}

type downloadArchive struct {
	refArg
	To     string `help:"File to write, which must not exist, or - for standard output; none: the UUID with an ending." short:"f" placeholder:"FILE|-"`
	Opened bool   `help:"Write what the target gave rather than what lies in the store: decrypted and decompressed."`
}

// Run writes a file beside the one that is wanted, and gives it that name when
// it is whole.
func (c *downloadArchive) Run(e *env) error {
	a, err := e.client.Archives().Get(e.ctx, c.Ref)
	if err != nil {
		return err
	}
	if c.To == "-" {
		return e.fetch(e.out, a, c.Opened)
	}
	to := c.To
	if to == "" {
		to = a.UUID + ending(a, c.Opened)
	}
	if _, err := os.Lstat(to); err == nil {
		return shield.FieldErrorf("to", "%s exists already", to)
	}
	f, err := os.CreateTemp(filepath.Dir(to), "."+filepath.Base(to)+".*")
	if err != nil {
		return shield.FieldErrorf("to", "%v", err)
	}
	defer os.Remove(f.Name())
	err = errors.Join(e.fetch(f, a, c.Opened), f.Sync(), f.Close())
	if err == nil {
		err = settle(f.Name(), to, os.Link)
	}
	if err != nil {
		return err
	}
	if e.json {
		return e.printJSON(map[string]string{"archive": a.UUID, "file": to})
	}
	_, err = fmt.Fprintf(e.out, "wrote %s\n", to)
	return err
}

// settle gives a file the name that is wanted, unless something has it. Unlike a
// rename, a link replaces nothing; file systems without links, such as those of
// USB sticks, get a rename all the same.
func settle(from, to string, link func(from, to string) error) error {
	err := link(from, to)
	if err == nil || errors.Is(err, fs.ErrExist) {
		return err
	}
	if _, err := os.Lstat(to); !errors.Is(err, fs.ErrNotExist) {
		return shield.FieldErrorf("to", "%s exists already", to)
	}
	return os.Rename(from, to)
}

// ending says how a file is opened: `age -d | zstd -d` for .zst.age.
func ending(a *shield.Archive, opened bool) string {
	name := ".zst"
	if opened || a.Compression == "raw" {
		name = ".dump"
	}
	if a.Encrypted && !opened {
		name += ".age"
	}
	return name
}

// fetch writes an archive whose length and digest are as the daemon says.
func (e *env) fetch(w io.Writer, a *shield.Archive, opened bool) error {
	content, err := e.client.Content(e.ctx, a.UUID, opened)
	if err != nil {
		return err
	}
	defer content.Close()
	hash, bar := blake3.New(), newBar(e.err)
	defer bar.clear()
	n, err := io.Copy(io.MultiWriter(w, hash, &meter{bar: bar, total: content.Size}), content)
	if err != nil {
		return err
	}
	if digest := "blake3:" + hex.EncodeToString(hash.Sum(nil)); n != content.Size || digest != content.Digest {
		return shield.Errorf(shield.Corrupt, "", "%d bytes came, %s: the archive has %d, %s", n, digest, content.Size, content.Digest)
	}
	return nil
}

// A meter shows how much was written.
type meter struct {
	bar            *bar
	n, total       int64
	begun, shownAt time.Time
}

func (m *meter) Write(p []byte) (int, error) {
	now := time.Now()
	if m.begun.IsZero() {
		m.begun = now
	}
	m.n += int64(len(p))
	if now.Sub(m.shownAt) > 200*time.Millisecond {
		m.shownAt = now
		rate := float64(m.n) / max(now.Sub(m.begun).Seconds(), 0.001)
		m.bar.clear()
		m.bar.show(&shield.Task{Op: "download", Progress: shield.Progress{RawBytes: m.n, TotalBytes: m.total, Rate: int64(rate)}})
	}
	return len(p), nil
}

type verifyCmd struct {
	Archive verifyArchive `cmd:"" help:"Read an archive in its store and compare it with the catalog."`
}

type verifyArchive struct {
	refArg
	Wait bool `help:"Follow the task, and exit with 7 or 8 unless it is done."`
}

func (c *verifyArchive) Run(e *env) error {
	t, err := e.client.VerifyArchive(e.ctx, c.Ref)
	if err != nil {
		return err
	}
	return e.started(t, c.Wait)
}

type tailCmd struct {
	Task   tailTask   `cmd:"" help:"Print the log of a task as it comes, until it ends; exit with 7 or 8 unless it is done."`
	Events tailEvents `cmd:"" help:"Print what happens, until interrupted."`
}

type tailTask struct{ refArg }

func (c *tailTask) Run(e *env) error {
	t, err := e.client.Tasks().Get(e.ctx, c.Ref)
	if err != nil {
		return err
	}
	return e.wait(t)
}

type tailEvents struct {
	Kind []string `help:"Only those of a kind, like archive.damaged, or of all whose kind begins so. Can be repeated." placeholder:"KIND"`
}

func (c *tailEvents) Run(e *env) error {
	err := e.client.FollowEvents(e.ctx, func(ev *shield.Event) error {
		if !c.wants(string(ev.Kind)) {
			return nil
		}
		if e.json {
			return e.printJSON(ev)
		}
		_, err := fmt.Fprintln(e.out, plain(strings.Join(eventView.row(ev), gap)))
		return err
	})
	if e.ctx.Err() != nil {
		return nil // which is how it is meant to end
	}
	return err
}

func (c *tailEvents) wants(kind string) bool {
	for _, k := range c.Kind {
		if strings.HasPrefix(kind, k) {
			return true
		}
	}
	return len(c.Kind) == 0
}
