// Package idle ends connections on which nothing moves.
package idle

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"time"
)

// Conn returns a connection whose reads and writes fail once no byte has
// moved in either direction for a while. Time in which nobody reads or writes
// does not count.
func Conn(c net.Conn, limit time.Duration) net.Conn {
	if limit <= 0 {
		return c
	}
	return &conn{Conn: c, limit: limit}
}

type conn struct {
	net.Conn
	limit time.Duration
	over  atomic.Bool // a read or a write has failed for that
}

func (c *conn) Read(p []byte) (int, error) {
	_ = c.SetReadDeadline(time.Now().Add(c.limit)) // if it fails, so does Read
	n, err := c.Conn.Read(p)
	return n, c.worded(err)
}

// Write takes large pieces apart, so that one that goes out slowly is not
// taken for one that does not. Each piece gives a waiting Read more time.
func (c *conn) Write(p []byte) (int, error) {
	total := 0
	for {
		piece := p[total:min(len(p), total+64<<10)]
		_ = c.SetDeadline(time.Now().Add(c.limit)) // if it fails, so does Write
		n, err := c.Conn.Write(piece)
		total += n
		if err != nil || total == len(p) {
			return total, c.worded(err)
		}
	}
}

// worded says it of a write, too, that a connection has met which was closed
// because of the read beside it.
func (c *conn) worded(err error) error {
	late := errors.Is(err, os.ErrDeadlineExceeded)
	if late {
		c.over.Store(true)
	}
	if late || errors.Is(err, net.ErrClosed) && c.over.Load() {
		return &timeout{fmt.Sprintf("no byte moved for %s", c.limit), err}
	}
	return err
}

// A timeout is a net.Error, as the one that it replaces.
type timeout struct {
	text string
	err  error
}

var _ net.Error = (*timeout)(nil)

func (t *timeout) Error() string   { return t.text }
func (t *timeout) Unwrap() error   { return t.err }
func (t *timeout) Timeout() bool   { return true }
func (t *timeout) Temporary() bool { return true }
