package fs

import "io"

// file writes a regular file.
func (b *backup) file(d *dir, name string) {
	f, err := d.openRead(name)
	if err != nil {
		b.unreadable(err)
		return
	}
	defer f.close()
	st, err := f.stat()
	switch {
	case err != nil:
		b.unreadable(err)
	case st.kind != kindFile:
		b.note("became something else before it was read: left out")
	case b.old(&st), b.link(&st):
	default:
		b.data(f, &st)
	}
}

// data writes the header and the content of a file.
func (b *backup) data(f file, st *stat) {
	runs := []extent{{0, st.size}}
	sparse := false
	if st.blocks >= 0 && st.blocks*512 < st.size {
		if list, ok := f.extents(st.size, extentLimit); ok {
			runs, sparse = list, true
		}
	}
	if b.out == nil {
		b.counted(st, total(runs))
		return
	}
	if st.size > readLimit {
		f.sequential()
	}
	h := b.describe(st, "", f)
	h.size, h.sparse, h.extents = st.size, sparse, runs
	if b.emit(&h); b.failed != nil {
		return
	}
	size := total(runs)
	c := content{ctx: b.ctx, f: f, runs: runs}
	if b.failed = b.out.content(&c, size); b.failed != nil {
		return
	}
	b.counted(st, size)
	b.compare(f, st, c.lost)
}

func (b *backup) counted(st *stat, size int64) {
	b.counts.files++
	b.counts.bytes += size
	b.remember(st)
}

// compare notes what happened to a file while it was read.
func (b *backup) compare(f file, before *stat, lost error) {
	after, err := f.stat()
	switch {
	case lost != nil && lost != io.ErrUnexpectedEOF:
		b.note("cannot be read: %v: zeros stand for the rest of it", cause(lost))
	case lost != nil:
		b.note("shrank from %d bytes while it was read: zeros stand for what went", before.size)
	case err != nil:
		b.note("%v", cause(err))
	case after.size > before.size:
		b.note("grew from %d to %d bytes while it was read: only the first %d are kept", before.size, after.size, before.size)
	case after.size != before.size || after.mtime != before.mtime:
		b.note("changed while it was read: it may hold something of both states")
	}
}

// link writes another name of a file that is in the archive already.
func (b *backup) link(st *stat) bool {
	if st.links < 2 {
		return false
	}
	first, ok := b.linked[st.id]
	if !ok {
		return false
	}
	if first.left--; first.left == 0 {
		delete(b.linked, st.id)
	}
	b.counts.links++
	b.header(st, first.name, kindLink, nil)
	return true
}

// remember keeps the name of a file of which more names may come.
func (b *backup) remember(st *stat) {
	if st.links > 1 {
		b.linked[st.id] = &linked{string(b.path), st.links - 1}
	}
}

// special writes a symlink, a FIFO or a device. None of them is opened.
func (b *backup) special(d *dir, name string, st *stat) {
	if b.old(st) || b.link(st) {
		return
	}
	target := ""
	if st.kind == kindSymlink {
		var err error
		if target, err = d.readlink(name); err != nil {
			b.unreadable(err)
			return
		}
	} else if st.kind != kindFifo && b.missing != "" {
		b.note("is a device, whose number cannot be seen: left out")
		return
	}
	b.counts.others++
	b.header(st, target, 0, d.named(name))
	b.remember(st)
}

// attributed is what has extended attributes.
type attributed interface{ attrs() ([]attr, error) }

// header writes a header without content.
func (b *backup) header(st *stat, link string, kind byte, from attributed) {
	if st.kind == kindFolder {
		b.counts.folders++
	}
	if b.out == nil {
		return
	}
	h := b.describe(st, link, from)
	if kind != 0 {
		h.kind = kind
	}
	b.emit(&h)
}

// describe makes a header from what the system tells of a file.
func (b *backup) describe(st *stat, link string, from attributed) header {
	h := header{
		kind: st.kind, name: string(b.path), link: link, mode: st.mode,
		uid: st.uid, gid: st.gid, user: b.owners.user(st.uid), group: b.owners.group(st.gid),
		mtime: st.mtime,
	}
	if st.kind == kindChar || st.kind == kindBlock {
		h.major, h.minor = st.major, st.minor
	}
	if from == nil {
		return h
	}
	var err error
	if h.attrs, err = from.attrs(); err != nil {
		b.note("has extended attributes that cannot be read: %v", cause(err))
	}
	if size := attrsSize(h.attrs); size > attrsLimit {
		b.note("has %d bytes of extended attributes: they are left out, %d would do", size, attrsLimit)
		h.attrs = nil
	}
	return h
}

// attrsLimit keeps the extended header within what readers accept.
const attrsLimit = 1<<20 - 64<<10

func attrsSize(list []attr) (n int) {
	for _, a := range list {
		n += len(a.key) + len(a.value)
	}
	return n
}

func (b *backup) emit(h *header) {
	if b.failed != nil {
		return
	}
	if b.verbose {
		b.log(printable(h.name))
	}
	b.failed = b.out.header(&b.encoder, h)
}
