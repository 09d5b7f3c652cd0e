package sftp

import (
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/shieldhq/shield"
)

// watched is a connection that is ended when an answer is owed and no byte has
// moved for a while. A connection on which nobody waits may be silent: the
// archive may come slowly.
type watched struct {
	net.Conn
	limit   time.Duration
	moved   atomic.Int64 // when, in nanoseconds since the epoch
	pending atomic.Int64 // how many wait
	ended   chan struct{}
	once    sync.Once
	cause   error // why it was ended, valid then
}

func watch(c net.Conn, limit time.Duration) *watched {
	w := &watched{Conn: c, limit: limit, ended: make(chan struct{})}
	go w.run()
	return w
}

func (w *watched) run() {
	t := time.NewTicker(max(w.limit/8, time.Millisecond))
	defer t.Stop()
	for {
		select {
		case <-w.ended:
			return
		case now := <-t.C:
			if w.pending.Load() > 0 && now.Sub(time.Unix(0, w.moved.Load())) > w.limit {
				w.end(shield.Errorf(shield.Unavailable, "", "no byte moved for %s", w.limit))
			}
		}
	}
}

// waiting notes that somebody waits for an answer, until the returned function
// is called.
func (w *watched) waiting() (done func()) {
	if w.pending.Add(1) == 1 {
		w.move()
	}
	return func() { w.pending.Add(-1) }
}

func (w *watched) move() { w.moved.Store(time.Now().UnixNano()) }

// Read implements net.Conn.
func (w *watched) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	if n > 0 {
		w.move()
	}
	return n, err
}

// Write implements net.Conn.
func (w *watched) Write(p []byte) (int, error) {
	n, err := w.Conn.Write(p)
	if n > 0 {
		w.move()
	}
	return n, err
}

// end ends the connection; the first reason counts.
func (w *watched) end(err error) {
	w.once.Do(func() {
		w.cause = err
		close(w.ended)
		_ = w.Conn.Close()
	})
}

// Close implements net.Conn. The library calls it, too, when it has an error of
// its own to tell.
func (w *watched) Close() error {
	w.end(nil)
	return nil
}

// why returns the reason, nil if there is none or the connection goes on.
func (w *watched) why() error {
	select {
	case <-w.ended:
		return w.cause
	default:
		return nil
	}
}
