package redis

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin/pdk"
	"github.com/shieldhq/shield/plugins-wasm/internal/stream"
)

// A layout is where a server keeps its data.
type layout struct {
	dump     string // path of the RDB file
	aof      bool   // the server starts from its append-only file instead
	aofDir   string // folder of that, from Redis 7 on; else empty
	aofBase  string // its base name
	dumpName string
}

// layout asks the server, and compares its folder with the endpoint's.
func (t *target) layout(c *conn) (*layout, error) {
	get := func(name string) (s string, err error) {
		s, err = c.setting(name)
		var r refusal
		if errors.As(err, &r) {
			err = shield.Errorf(shield.Forbidden, "redis", "the local way has to read the settings of the server: %w", err)
		}
		return s, err
	}
	dir, err := get("dir")
	if err != nil {
		return nil, err
	}
	if path.Clean(dir) != path.Clean(t.DataDir) {
		return nil, shield.FieldErrorf("endpoint.data_dir", "is %q, but the server at %s saves into %q: name that folder, on the server's own host", t.DataDir, t.addr(), dir)
	}
	l := &layout{}
	if l.dumpName, err = get("dbfilename"); err != nil {
		return nil, err
	}
	l.dump = path.Join(t.DataDir, l.dumpName)
	only, err := get("appendonly")
	if err != nil || only != "yes" {
		return l, err
	}
	l.aof = true
	if l.aofBase, err = c.setting("appendfilename"); err != nil {
		return nil, err
	}
	if l.aofBase == "" {
		l.aofBase = "appendonly.aof" // before 7.0 it is no setting that can be read
	}
	if l.aofDir, err = c.setting("appenddirname"); err != nil {
		l.aofDir = "" // before 7.0 there is none
		return l, nil
	}
	return l, nil
}

func (t *target) testFolder(c *conn) error {
	if _, err := t.layout(c); err != nil {
		return err
	}
	if _, err := os.ReadDir(t.DataDir); err != nil {
		return shield.Errorf(shield.Forbidden, "redis.test", "data_dir: %w", err)
	}
	return nil
}

// backupLocal has the server save, and reads the file.
func (t *target) backupLocal(ctx context.Context, c *conn, w io.Writer, before int64) error {
	l, err := t.layout(c)
	if err == nil {
		err = t.save(ctx, c)
	}
	if err != nil {
		return t.classify(ctx, err)
	}
	f, err := pdk.Open(l.dump)
	if err != nil {
		return shield.Errorf(shield.TargetFailed, "redis.backup", "the file that the server has saved cannot be read: %w", err)
	}
	defer f.Close()
	return t.pass(ctx, w, f, before)
}

// save runs BGSAVE, once one that runs already has ended: that one began
// before this backup.
func (t *target) save(ctx context.Context, c *conn) error {
	for {
		if _, err := t.saved(ctx, c); err != nil {
			return err
		}
		_, err := c.text("BGSAVE")
		var r refusal
		if errors.As(err, &r) && r.kind() == "ERR" && busy(string(r)) {
			continue
		}
		if err != nil {
			return err
		}
		break
	}
	p, err := t.saved(ctx, c)
	if err != nil {
		return err
	}
	if p["rdb_last_bgsave_status"] != "ok" {
		return shield.Errorf(shield.TargetFailed, "redis.backup", "BGSAVE has failed: the log of the server at %s says why", t.addr())
	}
	return nil
}

// busy tells that another child of the server is at work.
func busy(text string) bool {
	for _, s := range []string{"already in progress", "child is already", "active child", "Another"} {
		if strings.Contains(text, s) {
			return true
		}
	}
	return false
}

// saved waits until nothing is being saved or rewritten.
func (t *target) saved(ctx context.Context, c *conn) (map[string]string, error) {
	for wait := 10 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		p, err := c.info("persistence")
		if err != nil {
			return nil, err
		}
		if p["rdb_bgsave_in_progress"] == "0" && p["aof_rewrite_in_progress"] != "1" {
			return p, nil
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(wait):
		}
	}
}

// restoreLocal writes the file beside the server's own, keeps the server from
// saving over it, puts it in place and has the server start anew. If that does
// not end well, what was there before is put back.
func (t *target) restoreLocal(ctx context.Context, c *conn, r io.Reader) error {
	l, err := t.layout(c)
	if err != nil {
		return t.classify(ctx, err)
	}
	repl, err := c.info("replication")
	if err != nil {
		return t.classify(ctx, err)
	}
	if repl["role"] == "slave" {
		return shield.Errorf(shield.Invalid, "redis.restore", "%s is a replica of %s:%s: restore into that", t.addr(), repl["master_host"], repl["master_port"])
	}
	fresh := path.Join(t.DataDir, ".shield-restore.rdb")
	defer os.Remove(fresh)
	seen, err := t.write(ctx, fresh, r)
	if err != nil {
		return err
	}
	if err := sameOwner(l.dump, t.DataDir, fresh); err != nil {
		return shield.Errorf(shield.Forbidden, "redis.restore", "the file cannot be given to the server's user: %w", err)
	}
	return t.swap(ctx, c, l, fresh, seen)
}

// write writes the stream into a file, verified and on disk.
func (t *target) write(ctx context.Context, name string, r io.Reader) (*census, error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, shield.Errorf(shield.TargetFailed, "redis.restore", "data_dir: %w", err)
	}
	defer f.Close()
	in, out := &stream.Reader{Ctx: ctx, R: r}, &stream.Writer{W: f}
	seen, err := t.walk(ctx, io.TeeReader(in, out), true)
	switch {
	case in.Err != nil:
		return nil, in.Err
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case out.Err != nil:
		return nil, shield.Errorf(shield.TargetFailed, "redis.restore", "data_dir: %w", out.Err)
	case err != nil:
		return nil, damaged("redis.restore", err)
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return nil, shield.Errorf(shield.TargetFailed, "redis.restore", "data_dir: %w", err)
	}
	return seen, nil
}

// swap puts the file in place and restarts the server.
func (t *target) swap(ctx context.Context, c *conn, l *layout, fresh string, seen *census) error {
	started, err := c.info("server")
	if err != nil {
		return t.classify(ctx, err)
	}
	// From here on the server must not save: what it writes when it ends would
	// take the place of what is restored.
	if err := t.quiet(c, l); err != nil {
		return t.classify(ctx, err)
	}
	back, err := place(l, t.DataDir, fresh)
	if err != nil {
		return errors.Join(shield.Errorf(shield.TargetFailed, "redis.restore", "data_dir: %w", err), back.undo())
	}
	err = t.restart(ctx, started["run_id"], seen)
	if err == nil {
		return back.commit()
	}
	// With what was there before, the server is to come up again.
	if e := back.undo(); e != nil {
		return errors.Join(err, e)
	}
	again, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	if e := pdk.Command(again, restart).Run(); e != nil {
		return errors.Join(err, fmt.Errorf("nor does the server start with what was there before: %w", e))
	}
	return err
}

// quiet stops writes and saving. Nothing of it outlives the restart.
func (t *target) quiet(c *conn, l *layout) error {
	if _, err := c.do("CLIENT", "PAUSE", "600000", "WRITE"); err != nil {
		var r refusal
		if !errors.As(err, &r) { // before 6.2 writes cannot be stopped alone
			return err
		}
	}
	if _, err := c.text("CONFIG", "SET", "save", ""); err != nil {
		return err
	}
	if l.aof {
		_, err := c.text("CONFIG", "SET", "appendonly", "no")
		return err
	}
	return nil
}

// restart runs the granted command, and waits until another instance of the
// server answers and has loaded all of it.
func (t *target) restart(ctx context.Context, before string, seen *census) error {
	if err := pdk.Command(ctx, restart).Run(); err != nil {
		return shield.Errorf(shield.TargetFailed, "redis.restore", "the server could not be restarted: %w", err)
	}
	gone := time.Now()
	for wait := 20 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		n, state, err := t.came(ctx, before)
		switch {
		case state == stateReady && n == 0 && seen.keys > 0:
			return shield.Errorf(shield.TargetFailed, "redis.restore", "the server has started without the %d keys of the archive", seen.keys)
		case state == stateReady, shield.CodeOf(err) == shield.Unauthorized:
			return err
		case state == stateLoading:
			gone = time.Now()
		case time.Since(gone) > comeLimit:
			return shield.Errorf(shield.TargetFailed, "redis.restore", "the server does not come up again: %w", err)
		}
		select {
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), err)
		case <-time.After(wait):
		}
	}
}

// comeLimit is how long a server may be gone after the command that restarts
// it has ended. While it loads its data it may take as long as it likes.
const comeLimit = time.Minute

// The states of a server that is restarted.
const (
	stateGone = iota
	stateLoading
	stateReady
)

// came reports whether the new server is there, and how many keys it has.
func (t *target) came(ctx context.Context, before string) (keys int64, state int, err error) {
	c, err := t.connect(ctx)
	var r refusal
	if err != nil {
		if errors.As(err, &r) && r.kind() == "LOADING" {
			state = stateLoading
		}
		return 0, state, err
	}
	defer c.close()
	server, err := t.ready(c)
	if shield.CodeOf(err) == shield.Unavailable {
		return 0, stateLoading, err
	}
	if err != nil {
		return 0, stateGone, err
	}
	if server["run_id"] == before {
		return 0, stateGone, errors.New("the server still runs as before")
	}
	space, err := c.info("keyspace")
	if err != nil {
		return 0, stateGone, err
	}
	return countKeys(space), stateReady, nil
}

// base is the name of the file that a folder of append-only files begins with,
// and of the list of its files.
func (l *layout) base() (file, list, entry string) {
	file = l.aofBase + ".1.base.rdb"
	return file, l.aofBase + ".manifest", "file " + file + " seq 1 type b\n"
}
