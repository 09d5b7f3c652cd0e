package idle_test

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shieldhq/shield/internal/idle"
)

func TestConn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer far.Close()
		c := idle.Conn(near, time.Minute)
		defer c.Close()
		go func() {
			for range 3 { // slow, yet not idle
				time.Sleep(50 * time.Second)
				_, _ = far.Write([]byte("x"))
			}
		}()
		if _, err := io.ReadFull(c, make([]byte, 3)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour) // nobody waits
		from := time.Now()
		_, err := c.Read(make([]byte, 1))
		if !errors.Is(err, os.ErrDeadlineExceeded) || !strings.Contains(err.Error(), "no byte moved for 1m0s") {
			t.Errorf("got %v", err)
		}
		var n net.Error
		if !errors.As(err, &n) || !n.Timeout() {
			t.Errorf("%v is no timeout", err)
		}
		if took := time.Since(from); took != time.Minute {
			t.Errorf("it took %s", took)
		}
		if _, err := c.Write(make([]byte, 100)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("write: got %v", err)
		}
	})
}

// TestWriteGivesTime: while a request goes out, waiting for its answer is not
// idle.
func TestWriteGivesTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer far.Close()
		c := idle.Conn(near, time.Minute)
		defer c.Close()
		read := make(chan error, 1)
		go func() {
			_, err := c.Read(make([]byte, 1))
			read <- err
		}()
		go func() {
			buf := make([]byte, 64<<10)
			for range 4 {
				time.Sleep(50 * time.Second)
				if _, err := io.ReadFull(far, buf); err != nil {
					t.Error(err)
				}
			}
			_, _ = far.Write([]byte("x"))
		}()
		if n, err := c.Write(make([]byte, 256<<10)); n != 256<<10 || err != nil {
			t.Errorf("wrote %d, %v", n, err)
		}
		if err := <-read; err != nil {
			t.Error(err)
		}
	})
}

func TestNoLimit(t *testing.T) {
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	if idle.Conn(near, 0) != near {
		t.Error("a connection without a limit is wrapped")
	}
}

// A torn connection is one on which the read is late, and the write finds it
// closed because of that.
type torn struct{ net.Conn }

func (torn) SetReadDeadline(time.Time) error { return nil }
func (torn) SetDeadline(time.Time) error     { return nil }
func (torn) Read([]byte) (int, error)        { return 0, os.ErrDeadlineExceeded }
func (torn) Write([]byte) (int, error)       { return 0, &net.OpError{Op: "write", Err: net.ErrClosed} }

// TestClosedForIdleness: who reads and who writes are told the same, whoever of
// them is told first. A connection that was closed by its user is just closed.
func TestClosedForIdleness(t *testing.T) {
	c := idle.Conn(torn{}, time.Minute)
	if _, err := c.Write([]byte("x")); !errors.Is(err, net.ErrClosed) || strings.Contains(err.Error(), "no byte moved") {
		t.Errorf("closed: %v", err)
	}
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read: %v", err)
	}
	if _, err := c.Write([]byte("x")); err == nil || !strings.Contains(err.Error(), "no byte moved for 1m0s") {
		t.Errorf("closed for idleness: %v", err)
	}
}
