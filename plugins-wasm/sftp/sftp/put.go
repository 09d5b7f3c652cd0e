package sftp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"time"

	"github.com/pkg/sftp"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugins-wasm/internal/rest"
	"github.com/shieldhq/shield/plugins-wasm/internal/stream"
)

// Put stores a blob. It is written under a temporary name beside its own, made
// durable where the server can do that, and only then given its name, which
// nothing else may have.
func (s *store) Put(ctx context.Context, key string, r io.Reader) (plugin.Stored, error) {
	const op = "sftp.put"
	if err := checkKey(key); err != nil {
		return plugin.Stored{}, err
	}
	c, err := s.open(ctx, op, s.retries)
	if err != nil {
		return plugin.Stored{}, err
	}
	p := &put{client: c, key: key, final: s.full(key), doing: "write " + s.full(key)}
	p.temp = partial(p.final, rest.Token())
	in := &stream.Reader{Ctx: ctx, R: r}
	err = p.run(ctx, in)
	if err == nil {
		c.close()
		return plugin.Stored{Key: key, Size: p.size}, nil
	}
	err = p.undo(ctx, err)
	if in.Err != nil {
		return plugin.Stored{}, in.Err
	}
	if err == nil {
		return plugin.Stored{Key: key, Size: p.size}, nil
	}
	return plugin.Stored{}, s.failed(op, p.doing, err)
}

// put is the state of one Put.
type put struct {
	*client
	key, final, temp string
	doing            string // for errors
	made             []string
	file             *sftp.File
	created          bool // the temporary file may be there
	renamed          bool // it may have its name
	size             int64
}

func (p *put) run(ctx context.Context, in *stream.Reader) error {
	if err := p.free(); err != nil {
		return err
	}
	if err := p.begin(); err != nil {
		return err
	}
	w := newWriter(p.client, p.file)
	var err error
	if p.size, err = w.from(ctx, in); err == nil {
		// An end that comes after the cancellation may be no end at all.
		err = in.Done()
	}
	if err != nil {
		return w.explain(err, path.Dir(p.final))
	}
	if err := p.settle(); err != nil {
		return w.explain(err, path.Dir(p.final))
	}
	if err := in.Done(); err != nil {
		return err
	}
	return p.publish()
}

// free returns Conflict if the key is taken.
func (p *put) free() error {
	_, err := p.lstat(p.final)
	switch {
	case err == nil:
		return shield.Errorf(shield.Conflict, "", "%s exists already", p.key)
	case errors.Is(err, fs.ErrNotExist):
		return nil
	}
	return err
}

// begin makes the folders and the temporary file. Others that remove empty
// folders may do so in between.
func (p *put) begin() error {
	folders := p.folders(p.key)
	for try := 0; ; try++ {
		made, err := p.make(folders)
		p.made = append(p.made, made...)
		if err != nil {
			p.doing = "make the folders of " + p.final
			return err
		}
		if try == 0 {
			if err := p.checkRoom(path.Dir(p.final), nil); err != nil {
				return err
			}
			if err := p.removePartials(p.final); err != nil && !errors.Is(err, os.ErrPermission) {
				return err
			}
		}
		p.created = true
		err = p.do(func() (err error) {
			p.file, err = p.OpenFile(p.temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL)
			return err
		})
		if !errors.Is(err, fs.ErrNotExist) || try == 2 {
			p.protect()
			return err
		}
	}
}

// protect takes the rights of others away, where the server lets us.
func (p *put) protect() {
	if p.file != nil {
		_ = p.do(func() error { return p.file.Chmod(0o600) })
	}
}

const fsync = "fsync@openssh.com"

// settle makes the temporary file durable and closes it, and asks the server
// how large it is.
func (p *put) settle() error {
	if _, offered := p.HasExtension(fsync); offered {
		if err := p.do(p.file.Sync); err != nil && !isUnsupported(err) {
			p.doing = "sync " + p.temp
			return err
		}
	}
	if err := p.do(p.file.Close); err != nil {
		p.doing = "close " + p.temp
		return err
	}
	return p.measure(p.temp)
}

// measure compares what the server has with what was sent.
func (p *put) measure(name string) error {
	info, err := p.lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return shield.Errorf(shield.Corrupt, "", "the server has acknowledged all, and does not have %s", name)
	}
	if err == nil && info.Size() != p.size {
		return shield.Errorf(shield.Corrupt, "", "%s has %d bytes, and %d were sent", name, info.Size(), p.size)
	}
	return err
}

const posixRename = "posix-rename@openssh.com"

// publish gives the file its name. The rename of the protocol's third version
// never replaces a file, that of the extension does; so the first is tried
// first, and the other only where the server lacks it and the name is free.
func (p *put) publish() error {
	p.doing = "rename " + p.temp
	p.renamed = true
	err := p.do(func() error { return p.Rename(p.temp, p.final) })
	if err != nil && !isLost(err) {
		p.renamed = false
		if err := p.free(); err != nil {
			return err
		}
		if _, offered := p.HasExtension(posixRename); !offered {
			return err
		}
		p.renamed = true
		err = p.do(func() error { return p.PosixRename(p.temp, p.final) })
		p.renamed = err == nil || isLost(err)
	}
	if err != nil {
		return err
	}
	return p.measure(p.final)
}

// How long a failed Put may take to clean up. Who has canceled it does not
// wait for long.
const (
	cleaning         = 30 * time.Second
	cleaningCanceled = 4 * time.Second
)

// undo removes what a failed Put has left, over a new connection if it has to
// be, and returns the error; nil if it turns out that only the last answer was
// lost.
func (p *put) undo(ctx context.Context, failure error) error {
	defer func() { p.close() }()
	if !p.created && len(p.made) == 0 {
		return failure
	}
	limit := cleaning
	if ctx.Err() != nil {
		limit = cleaningCanceled
	}
	late, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	defer cancel()
	if ctx.Err() != nil || p.conn.why() != nil || isLost(failure) {
		c, err := p.connected(late, p.retries)
		if err != nil {
			p.log(fmt.Sprintf("%s may be left at %s (%v): purging %s removes it", p.temp, p.place, err, p.key))
			return failure
		}
		p.close()
		p.client = c
	} else {
		p.stop()
		p.bind(late)
	}
	if p.renamed && isLost(failure) && ctx.Err() == nil && p.done() {
		return nil
	}
	p.sweep()
	return failure
}

// done reports whether a rename whose answer was lost has been carried out.
func (p *put) done() bool {
	_, err := p.lstat(p.temp)
	return errors.Is(err, fs.ErrNotExist) && p.measure(p.final) == nil
}

// sweep removes the file, which has one of its names. The server may be about
// to carry out a rename whose answer was lost: with the temporary name gone it
// cannot any more.
func (p *put) sweep() {
	err := p.do(func() error { return p.Remove(p.temp) })
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
		if p.renamed {
			err = p.remove(p.final)
		}
	}
	if err != nil {
		p.log(fmt.Sprintf("%s may be left at %s (%v): purging %s removes it", p.temp, p.place, err, p.key))
	}
	p.prune(p.made)
}
