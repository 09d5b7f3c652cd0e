package redis

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugins-wasm/internal/stream"
	"github.com/shieldhq/shield/plugins-wasm/redis/rdb"
)

// restoreLimit is the largest value that RESTORE takes by default
// (proto-max-bulk-len), with room for what goes with it.
const restoreLimit = 512<<20 - 1024

// Restore puts back what is in an RDB file.
func (t *target) Restore(ctx context.Context, r io.Reader) error {
	c, err := t.connect(ctx)
	if err != nil {
		return err
	}
	defer c.close()
	if _, err := t.ready(c); err != nil {
		return t.classify(ctx, err)
	}
	if t.Mode == modeLocal {
		return t.restoreLocal(ctx, c, r)
	}
	in := &stream.Reader{Ctx: ctx, R: r}
	err = t.load(ctx, c, in)
	if in.Err != nil {
		return in.Err
	}
	return t.classify(ctx, err)
}

// load sends one RESTORE a key, without waiting for the answers in between.
func (t *target) load(ctx context.Context, c *conn, r io.Reader) error {
	d, err := rdb.NewDecoder(r, rdb.Options{Keep: true, Limit: restoreLimit, Verify: true})
	if err != nil {
		return damaged("redis.restore", err)
	}
	l := &loader{c: c, version: d.Version()}
	// The head says who wrote the file; nothing is changed before it is known
	// that this server can read it.
	it, err := l.head(d)
	if err != nil {
		return damaged("redis.restore", err)
	}
	if err := t.preflight(c, l); err != nil {
		return err
	}
	l.start()
	err = l.all(ctx, d, it)
	if err := l.finish(err); err != nil {
		return err
	}
	t.log(fmt.Sprintf("%d keys and %d libraries of functions restored", l.seen.keys, l.seen.functions))
	return nil
}

// preflight refuses what cannot end well, and makes room.
func (t *target) preflight(c *conn, l *loader) error {
	repl, err := c.info("replication")
	if err != nil {
		return err
	}
	if repl["role"] == "slave" {
		return shield.Errorf(shield.Invalid, "redis.restore", "%s is a replica of %s:%s: restore into that", t.addr(), repl["master_host"], repl["master_port"])
	}
	if err := l.tryVersion(); err != nil {
		server, _ := c.info("server") // only names it
		return shield.Errorf(shield.Invalid, "redis.restore", "the archive was written by Redis %s (RDB version %d), which the server, %s %s, cannot read: %w",
			l.seen.version, l.version, product(server), server["redis_version"], err)
	}
	space, err := c.info("keyspace")
	if err != nil {
		return err
	}
	n := countKeys(space)
	switch {
	case t.Existing == existingRefuse && n > 0:
		return shield.Errorf(shield.Conflict, "redis.restore", `%s holds %d keys and "existing" is %q: empty it, or choose another way`, t.addr(), n, existingRefuse)
	case t.Existing == existingFlush:
		t.log(fmt.Sprintf("%d keys are removed first", n))
		_, err := c.text("FLUSHALL")
		return err
	}
	return nil
}

// A loader sends keys and reads what becomes of them.
type loader struct {
	c       *conn
	version int
	seen    census
	db      int64

	sent    chan string // a name for each command under way
	refused error       // the first answer that is an error
	mu      sync.Mutex
	read    chan struct{} // closed when all answers have come
}

// head reads up to the first item that is no text about the file.
func (l *loader) head(d *rdb.Decoder) (rdb.Item, error) {
	for {
		it, err := d.Next()
		if err != nil || it.Kind != rdb.Aux {
			return it, err
		}
		l.seen.add(&it)
	}
}

// tryVersion restores a key that has expired long ago, which servers check
// and do not keep (those before Redis 6 until they next look for such keys).
func (l *loader) tryVersion() error {
	it := &rdb.Item{Key: []byte("shield:preflight:" + rand.Text()), Value: []byte("\x01x"), Expire: 1}
	if err := errors.Join(l.c.restore(it, l.version, []string{"ABSTTL"}), l.c.w.Flush()); err != nil {
		return err
	}
	_, err := l.c.reply()
	return err
}

// window is how many commands may be under way.
const window = 1024

func (l *loader) start() {
	l.sent, l.read = make(chan string, window), make(chan struct{})
	go l.answers()
}

// answers reads an answer for each command. After the first refusal it goes
// on, so that the sender does not get stuck, which sees it and stops.
func (l *loader) answers() {
	defer close(l.read)
	for name := range l.sent {
		_, err := l.c.reply()
		if err == nil {
			continue
		}
		l.refuse(fmt.Errorf("%s: %w", name, err))
		var r refusal
		if !errors.As(err, &r) {
			for range l.sent { // the connection is gone: let the sender find out
			}
			return
		}
	}
}

func (l *loader) refuse(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.refused == nil {
		l.refused = err
	}
}

func (l *loader) refusal() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.refused
}

// under notes a command whose answer is to come. The buffer is sent before
// waiting for room, or the answers would never come.
func (l *loader) under(name string) error {
	select {
	case l.sent <- name:
	default:
		if err := l.c.w.Flush(); err != nil {
			return err
		}
		l.sent <- name
	}
	return l.refusal()
}

// all sends everything to the end of the file, which is verified.
func (l *loader) all(ctx context.Context, d *rdb.Decoder, it rdb.Item) error {
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if it.Kind == rdb.End {
			return nil
		}
		if err := l.one(&it); err != nil {
			return err
		}
		var err error
		if it, err = d.Next(); err != nil {
			return damaged("redis.restore", err)
		}
	}
}

func (l *loader) one(it *rdb.Item) error {
	switch it.Kind {
	case rdb.Function:
		if err := l.c.send("FUNCTION", "LOAD", "REPLACE", string(it.Value)); err != nil {
			return err
		}
		l.seen.add(it)
		return l.under("a library of functions")
	case rdb.Key:
		if it.DB != l.db {
			if err := l.c.send("SELECT", strconv.FormatInt(it.DB, 10)); err != nil {
				return err
			}
			if err := l.under(fmt.Sprintf("database %d", it.DB)); err != nil {
				return err
			}
			l.db = it.DB
		}
		if err := l.c.restore(it, l.version, options(it)); err != nil {
			return err
		}
		l.seen.add(it)
		return l.under("key " + rdb.Quote(it.Key))
	}
	return nil
}

// options are those of RESTORE: the time to live is absolute, and what the
// server knows of a key's use stays.
func options(it *rdb.Item) []string {
	list := []string{"REPLACE"}
	if it.Expire != 0 {
		list = append(list, "ABSTTL")
	}
	switch {
	case it.Idle >= 0:
		list = append(list, "IDLETIME", strconv.FormatInt(it.Idle, 10))
	case it.Freq >= 0:
		list = append(list, "FREQ", strconv.Itoa(it.Freq))
	}
	return list
}

// finish waits for the answers that are still to come. What the server refused
// explains more than the error that this led to.
func (l *loader) finish(err error) error {
	if err == nil {
		err = l.c.w.Flush()
	} else {
		_ = l.c.Close() // no answer is waited for
	}
	close(l.sent)
	<-l.read
	refused := l.refusal()
	var r refusal
	if refused != nil && (err == nil || errors.As(refused, &r)) {
		return explain(refused)
	}
	return err
}

// explain says more of refusals that have a remedy.
func explain(err error) error {
	var r refusal
	if !errors.As(err, &r) {
		return err
	}
	switch {
	case r.kind() == "OOM":
		return fmt.Errorf("%w; its maxmemory is too small for the archive", err)
	case r.kind() == "MOVED":
		return fmt.Errorf("%w; this node of the cluster does not hold the slots of the archive", err)
	case strings.Contains(string(r), "DB index is out of range"):
		return fmt.Errorf("%w; the server has fewer databases than the archive", err)
	}
	return err
}
