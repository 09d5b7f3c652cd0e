package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// A contender backs up one folder into an empty store and restores it.
type contender interface {
	name() string
	// prepare makes what needs to be made once: an empty store, keys, a
	// running daemon. It is not timed.
	prepare(ctx context.Context, p places) error
	backup(ctx context.Context) (cost, error)
	// restore returns where it put the folder's content.
	restore(ctx context.Context) (cost, string, error)
	close() error
}

// places are the folders of one round of one contender. All but the source
// are empty at first.
type places struct{ source, store, out, scratch string }

// newPlaces makes the folders below dir.
func newPlaces(dir, source string) (places, error) {
	p := places{source, filepath.Join(dir, "store"), filepath.Join(dir, "out"), filepath.Join(dir, "scratch")}
	for _, d := range []string{p.store, p.out, p.scratch} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return p, err
		}
	}
	return p, nil
}

// A result is one round of one contender on one set.
type result struct {
	set, contender  string
	size            int64
	backup, restore cost
	stored          int64
}

func (b *bench) contenders(set string) []contender {
	all := []contender{&shieldContender{bin: b.bin}}
	for _, p := range peers {
		all = append(all, &peerContender{peer: p})
	}
	var wanted []contender
	for _, c := range all {
		if b.only.MatchString(set + "/" + c.name()) {
			wanted = append(wanted, c)
		}
	}
	return wanted
}

func (b *bench) measureSet(ctx context.Context, s set) error {
	wanted := b.contenders(s.name)
	if len(wanted) == 0 {
		return nil
	}
	source, err := b.makeSet(s)
	if err != nil {
		return err
	}
	defer os.RemoveAll(source)
	size, files, err := treeSize(source)
	if err != nil {
		return err
	}
	b.report.sets = append(b.report.sets, setInfo{s.name, s.about, size, files})
	failed := map[string]bool{}
	for round := range b.rounds {
		for i := range wanted {
			c := wanted[(i+round)%len(wanted)] // none is always the first
			if failed[c.name()] {
				continue
			}
			r, err := b.round(ctx, c, source, round == 0)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil {
				failed[c.name()] = true
				b.fail("%s/%s, round %d: %v", s.name, c.name(), round+1, err)
				continue
			}
			r.set, r.size = s.name, size
			b.report.results = append(b.report.results, r)
			fmt.Fprintf(os.Stderr, "%s/%s, round %d: backup %s, restore %s\n", s.name, c.name(), round+1, r.backup, r.restore)
		}
	}
	return nil
}

// makeSet generates a set. It sees to it that the first contender finds what
// the later ones find: the data in the page cache, and room for store and
// restored files in memory that the system has at hand (in a virtual machine
// the first use of a page can cost many times what the next one does).
func (b *bench) makeSet(s set) (string, error) {
	source := b.path("source-" + s.name)
	fmt.Fprintf(os.Stderr, "making %s\n", s.name)
	if err := s.make(source); err != nil {
		return "", fmt.Errorf("making %s: %w", s.name, err)
	}
	if err := warm(source); err != nil {
		return "", err
	}
	return source, touch(b.path("touched"), 2*b.size)
}

// round is one backup and one restore, compared with the source if asked.
func (b *bench) round(ctx context.Context, c contender, source string, compare bool) (r result, err error) {
	dir := b.path(c.name())
	defer os.RemoveAll(dir)
	p, err := newPlaces(dir, source)
	if err != nil {
		return r, err
	}
	r.contender = c.name()
	defer func() {
		if e := c.close(); err == nil {
			err = e
		}
	}()
	if err := c.prepare(ctx, p); err != nil {
		return r, fmt.Errorf("prepare: %w", err)
	}
	if r.backup, err = c.backup(ctx); err != nil {
		return r, fmt.Errorf("backup: %w", err)
	}
	if r.stored, _, err = treeSize(p.store); err != nil {
		return r, err
	}
	var restored string
	if r.restore, restored, err = c.restore(ctx); err != nil {
		return r, fmt.Errorf("restore: %w", err)
	}
	if compare {
		err = sameContent(source, restored)
	}
	return r, err
}

// treeSize sums up the regular files below a folder. Files that vanish
// meanwhile do not count.
func treeSize(dir string) (size int64, files int, err error) {
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if os.IsNotExist(err) {
			return nil
		}
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if os.IsNotExist(err) {
			return nil
		}
		if err != nil {
			return err
		}
		size += info.Size()
		files++
		return nil
	})
	return size, files, err
}
