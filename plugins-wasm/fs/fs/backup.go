package fs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
)

const folderBuffer = 64 << 10

// Backup writes a tar stream of the tree. What happens to single files while
// it runs is noted in the log, and is an error only if strict.
func (t *target) Backup(ctx context.Context, w io.Writer) error {
	const op = "fs.backup"
	b, err := t.walk(ctx, op, w, t.log)
	if err != nil {
		return err
	}
	if b.aged > 0 {
		t.log(plural(b.aged, "file was", "files were") + " last modified before max_age: left out")
	}
	t.log(fmt.Sprintf("backed up %s, %s", &b.counts, plural(b.issues.count, "file with a problem", "files with problems")))
	if t.Strict {
		return b.issues.err(op, "vanished, changed or could not be read")
	}
	return nil
}

// walk goes through the tree. Without a writer it only counts.
func (t *target) walk(ctx context.Context, op string, w io.Writer, log plugin.Log) (*backup, error) {
	include, exclude, err := t.patterns()
	if err != nil {
		return nil, err
	}
	base, err := openBase(t.BaseDir)
	if err != nil {
		return nil, baseError(shield.TargetFailed, op, t.BaseDir, err)
	}
	defer base.release()
	b := &backup{
		ctx: ctx, log: log, verbose: t.Verbose, issues: issues{log: log}, within: t.OneFileSystem,
		include: include, exclude: exclude, owners: newNames(base), linked: map[inode]*linked{},
		names: make([]byte, folderBuffer), path: []byte("./"),
	}
	if w != nil {
		b.out = newSink(w)
	}
	if t.MaxAge != "" {
		age, _ := time.ParseDuration(t.MaxAge) // was parsed as a field
		b.oldest = stampOf(time.Now().Add(-age))
	}
	if b.missing = base.missing(); b.missing != "" {
		log(b.missing)
	}
	if err := b.base(base); err != nil {
		return nil, baseError(shield.TargetFailed, op, t.BaseDir, err)
	}
	return b, b.failed
}

// backup is the state of one walk.
type backup struct {
	ctx              context.Context
	out              *sink // nil if it is only counted
	log              plugin.Log
	verbose          bool
	issues           issues
	include, exclude patterns
	within           bool  // one file system
	oldest           stamp // of files; zero if age does not matter
	aged             int   // files left out for their age
	owners           names
	missing          string            // what the system does not tell
	linked           map[inode]*linked // files with several names
	names            []byte            // buffer for reading folders
	path             []byte            // of the folder at hand, with a slash at its end
	open             []*level
	encoder          encoder
	counts           counts
	failed           error // ends the walk: of the writer, or the context's
}

// linked is a file of which more names are to come.
type linked struct {
	name string
	left uint64
}

// base walks the whole tree. Its error is about the base directory.
func (b *backup) base(d *dir) error {
	st, err := d.stat()
	if err != nil {
		return err
	}
	list, err := d.entries(b.names)
	if err != nil {
		return err
	}
	lv := &level{d: d.retain(), id: st.id}
	b.open = append(b.open, lv)
	b.folder(lv, &st, list)
	lv.suspend()
	if b.failed == nil && b.out != nil {
		b.out.zeros(2 * blockSize)
		b.failed = b.out.flush()
	}
	return nil
}

// folder writes a folder and what is in it.
func (b *backup) folder(lv *level, st *stat, list []dirent) {
	b.header(st, "", 0, lv.d)
	slices.SortFunc(list, func(x, y dirent) int { return strings.Compare(x.name, y.name) })
	end := len(b.path)
	for i := range list {
		if b.stopped() {
			return
		}
		if lv.d == nil {
			b.note("was moved while it was read: the rest of it is missing")
			return
		}
		b.path = append(b.path[:end], list[i].name...)
		b.entry(lv, list[i])
		b.path = b.path[:end]
	}
}

// stopped reports whether the walk has ended, or the context is done.
func (b *backup) stopped() bool {
	if b.failed == nil && b.ctx.Err() != nil {
		b.failed = context.Cause(b.ctx)
	}
	return b.failed != nil
}

func (b *backup) note(format string, args ...any) { b.issues.add(string(b.path), format, args...) }

// entry writes one entry of a folder, the path being complete.
func (b *backup) entry(lv *level, e dirent) {
	var st stat
	if e.kind != kindFile && e.kind != kindFolder {
		var err error
		if st, err = lv.d.lstat(e.name); err != nil {
			b.unreadable(err)
			return
		}
		e.kind = st.kind
	}
	if !b.wanted(e.kind == kindFolder) {
		return
	}
	switch e.kind {
	case kindFile:
		b.file(lv.d, e.name)
	case kindFolder:
		b.enter(lv, e.name)
	case kindSocket:
		b.log(printable(string(b.path)) + ": is a socket: left out")
	case kindUnknown:
		b.note("is of a kind that tar does not know: left out")
	default:
		b.special(lv.d, e.name, &st)
	}
}

// old reports whether a file is older than wanted, and counts it.
func (b *backup) old(st *stat) bool {
	if b.oldest == (stamp{}) || !st.mtime.before(b.oldest) {
		return false
	}
	b.aged++
	return true
}

func (b *backup) wanted(folder bool) bool {
	if len(b.include)+len(b.exclude) == 0 {
		return true
	}
	name := string(b.path[2:])
	if b.exclude.match(name, folder) {
		return false
	}
	return folder || len(b.include) == 0 || b.include.match(name, false)
}

// unreadable notes why a file is not in the archive.
func (b *backup) unreadable(err error) {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		b.note("vanished before it was read: left out")
	case isNotDir(err):
		b.note("became something else before it was read: left out")
	default:
		b.note("cannot be read: %v: left out", cause(err))
	}
}

// enter writes the folder name in the folder lv.
func (b *backup) enter(lv *level, name string) {
	d, err := lv.d.open(name)
	if err != nil {
		b.closed(lv.d, name, err)
		return
	}
	st, err := d.stat()
	if err != nil {
		d.release()
		b.unreadable(err)
		return
	}
	b.path = append(b.path, '/')
	sub := &level{d: d, id: st.id}
	list := b.list(lv, sub)
	b.open = append(b.open, sub)
	if n := len(b.open) - handleLimit; n > 0 {
		b.open[n-1].suspend()
	}
	b.folder(sub, &st, list)
	b.open = b.open[:len(b.open)-1]
	lv.resume(sub)
	sub.suspend()
}

// closed writes a folder that cannot be opened, without its content.
func (b *backup) closed(d *dir, name string, err error) {
	st, err2 := d.lstat(name)
	if err2 != nil || st.kind != kindFolder {
		b.unreadable(err)
		return
	}
	b.note("cannot be read: %v: its content is left out", cause(err))
	b.path = append(b.path, '/')
	b.header(&st, "", 0, nil)
}

// list returns the entries of sub; none for the file systems that the kernel
// makes up, which have no end and no content of their own.
func (b *backup) list(lv, sub *level) []dirent {
	if sub.id.dev != lv.id.dev {
		if b.within {
			b.log(printable(string(b.path)) + ": is another file system: its content is left out")
			return nil
		}
		if kind := sub.d.special(); kind != "" {
			b.log(printable(string(b.path)) + ": is a file system of the kind " + kind + ": its content is left out")
			return nil
		}
	}
	list, err := sub.d.entries(b.names)
	if err != nil {
		b.note("cannot be read: %v: some of its content is left out", cause(err))
	}
	return list
}
