package fs

import (
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugins-wasm/internal/stream"
)

// Restore puts the files of a tar stream into the base directory, which it
// makes if it is missing. Files that the stream lacks stay as they are.
func (t *target) Restore(ctx context.Context, src io.Reader) error {
	const op = "fs.restore"
	if err := makeBase(t.BaseDir, 0o755); err != nil {
		return baseError(shield.TargetFailed, op, t.BaseDir, err)
	}
	base, err := openBase(t.BaseDir)
	if err != nil {
		return baseError(shield.TargetFailed, op, t.BaseDir, err)
	}
	defer base.release()
	in := &stream.Reader{Ctx: ctx, R: src}
	r := newRestore(base, in, t)
	err = r.run()
	if in.Err != nil {
		return in.Err
	}
	if err != nil {
		return shield.Errorf(shield.Corrupt, op, "%w", err)
	}
	if r.fatal != nil {
		return shield.Errorf(shield.TargetFailed, op, "%s: %w", t.BaseDir, r.fatal)
	}
	if t.Sync {
		if err := base.syncAll(); err != nil {
			return shield.Errorf(shield.TargetFailed, op, "%s: the disk did not take all of it: %w", t.BaseDir, err)
		}
	}
	if r.kept > 0 {
		t.log(plural(r.kept, "file that exists was", "files that exist were") + " kept")
	}
	t.log("restored " + r.counts.String())
	return r.issues.err(op, "could not be restored in full")
}

// restore is the state of one restore.
type restore struct {
	in      *reader
	verbose bool
	issues  issues

	conflict string
	kept     int // files that stayed as they were

	here    *cursor // where the next file goes
	there   *cursor // where the target of a hard link is
	folders []folder
	pool    *pool
	sent    map[string]bool // files that the pool may still be making

	shared // with the pool
}

// A folder gets its attributes when all is in it, since each file that is
// made in it changes its time, and its mode may forbid making any.
type folder struct {
	path string
	h    *header
}

func newRestore(base *dir, in io.Reader, t *target) *restore {
	r := &restore{
		in: newReader(in), verbose: t.Verbose, issues: issues{log: t.log}, conflict: t.Conflict,
		here: newCursor(base), there: newCursor(base), sent: map[string]bool{},
	}
	r.shared = shared{issues: &r.issues, noted: map[string]bool{}}
	r.pool = newPool(&r.shared)
	return r
}

// run restores all entries. Its error is about the stream.
func (r *restore) run() error {
	err := r.entries()
	r.pool.close()
	r.finish()
	r.here.close()
	r.there.close()
	return err
}

func (r *restore) entries() error {
	for {
		h, err := r.in.next()
		if err == io.EOF {
			return r.in.drain()
		}
		if err != nil {
			return err
		}
		if err := r.entry(h); err != nil {
			return err
		}
		if r.failed() {
			return nil
		}
	}
}

// entry restores one file. Its error is about the stream.
func (r *restore) entry(h *header) error {
	path, problem := splitName(h.name)
	if problem != "" {
		r.issues.add(h.name, "is refused: %s", problem)
		return nil
	}
	if r.verbose {
		r.issues.log(printable(h.name))
	}
	if h.textACL {
		r.once("access control lists in text form are not restored")
	}
	name := strings.Join(path, "/")
	if r.sent[name] {
		r.settle()
	}
	if h.kind == kindFolder {
		r.folder(path, name, h)
		return nil
	}
	if len(path) == 0 {
		r.issues.add(h.name, "is refused: base_dir itself can only be a folder")
		return nil
	}
	d, err := r.parent(path)
	if err != nil {
		r.unreached(h.name, err)
		return nil
	}
	if last := path[len(path)-1]; r.yields(d, last, h) {
		return r.place(d, last, name, h)
	}
	return nil
}

// parent returns the folder that a path is in. It makes it if it is missing,
// once it is certain that the pool is not about to make something else there.
func (r *restore) parent(path []string) (*dir, error) {
	path = path[:len(path)-1]
	d, err := r.here.reach(path, false)
	if errors.Is(err, os.ErrNotExist) {
		r.settle()
		return r.here.reach(path, true)
	}
	return d, err
}

func (r *restore) unreached(name string, err error) {
	if isNotDir(err) {
		r.issues.add(name, "is refused: its path leads through something that is no folder")
		return
	}
	r.problem(name, err)
}

// settle waits for the pool.
func (r *restore) settle() {
	r.pool.wait()
	clear(r.sent)
}

// splitName splits a name into its parts, or says why it is refused.
func splitName(name string) (path []string, problem string) {
	switch {
	case strings.HasPrefix(name, "/"):
		return nil, "its name is absolute"
	case name == "":
		return nil, "its name is empty"
	case strings.ContainsRune(name, 0):
		return nil, "its name has a NUL byte"
	}
	for part := range strings.SplitSeq(name, "/") {
		switch part {
		case "", ".":
		case "..":
			return nil, "its name has a .. in it"
		default:
			path = append(path, part)
		}
	}
	return path, ""
}

// folder makes a folder, open to us alone until all is in it.
func (r *restore) folder(path []string, name string, h *header) {
	if len(path) == 0 {
		r.folders = append(r.folders, folder{name, h})
		return
	}
	last := path[len(path)-1]
	parent, err := r.parent(path)
	if err != nil {
		r.unreached(h.name, err)
		return
	}
	d, err := makeFolder(parent, last)
	if err != nil {
		r.problem(h.name, err)
		return
	}
	r.here.push(last, d)
	r.folders = append(r.folders, folder{name, h})
}

// makeFolder makes a folder, or opens the one that is there. Anything else in
// its place goes.
func makeFolder(parent *dir, name string) (*dir, error) {
	err := parent.mkdir(name, 0o700)
	if err == nil {
		return parent.open(name)
	}
	if !errors.Is(err, os.ErrExist) {
		return nil, err
	}
	d, err := parent.open(name)
	if errors.Is(err, os.ErrPermission) {
		if err = parent.named(name).chmod(0o700); err == nil {
			d, err = parent.open(name)
		}
	}
	if isNotDir(err) {
		if err = parent.remove(name); err == nil {
			err = parent.mkdir(name, 0o700)
		}
		if err == nil {
			d, err = parent.open(name)
		}
	}
	if err != nil {
		return nil, err
	}
	if st, err := d.stat(); err == nil && st.mode&0o700 != 0o700 {
		_ = d.chmod(st.mode | 0o700) // if it fails, making files in it tells
	}
	return d, nil
}

// finish gives the folders their attributes, the deepest first.
func (r *restore) finish() {
	slices.SortStableFunc(r.folders, func(a, b folder) int { return strings.Compare(b.path, a.path) })
	for i, f := range r.folders {
		if i+1 < len(r.folders) && r.folders[i+1].path == f.path {
			continue // the last of several entries counts
		}
		path, _ := splitName("./" + f.path)
		d, err := r.here.reach(path, false)
		if err != nil {
			r.problem(f.h.name, err)
			continue
		}
		r.dress(d, f.h)
		r.done(&counts{folders: 1})
	}
}

func (r *restore) failed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.fatal != nil
}
