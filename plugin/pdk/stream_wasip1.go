package pdk

import (
	"errors"
	"io"
	"os"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

// A hostStream reads and writes a handle of the host. Goroutines go on while
// one waits.
type hostStream struct {
	h      int32
	closed chan struct{}
	once   sync.Once
	read   deadline
	write  deadline
}

func newStream(h int32) *hostStream {
	return &hostStream{h: h, closed: make(chan struct{}), read: newDeadline(), write: newDeadline()}
}

// Read implements io.Reader.
func (s *hostStream) Read(p []byte) (int, error) {
	n, err := s.try(&s.read, pollRead, func() int32 {
		return hostRead(s.h, unsafe.Pointer(unsafe.SliceData(p)), uint32(len(p)), nonblock)
	})
	if n == 0 && err == nil && len(p) > 0 {
		return 0, io.EOF
	}
	return n, err
}

// Write implements io.Writer.
func (s *hostStream) Write(p []byte) (int, error) {
	total := 0
	for total < len(p) {
		n, err := s.try(&s.write, pollWrite, func() int32 {
			rest := p[total:]
			return hostWrite(s.h, unsafe.Pointer(unsafe.SliceData(rest)), uint32(len(rest)), nonblock)
		})
		total += n
		if err != nil {
			return total, err
		}
	}
	return total, nil
}

// try calls f until it does not say "again".
func (s *hostStream) try(d *deadline, want uint16, f func() int32) (int, error) {
	for {
		expired := d.wait()
		switch {
		case isDone(s.closed):
			return 0, os.ErrClosed
		case isDone(expired):
			return 0, os.ErrDeadlineExceeded
		}
		n := f()
		if n >= 0 {
			return int(n), nil
		}
		if !isAgain(int64(n)) {
			return 0, hostError(int64(n))
		}
		await(s.h, want, s.closed, expired)
	}
}

// CloseWrite ends the writing side and waits until all was taken.
func (s *hostStream) CloseWrite() error {
	_, err := s.try(&s.write, pollWrite, func() int32 { return hostWrite(s.h, nil, 0, nonblock|shutting) })
	return err
}

// room waits until the host can take more.
func (s *hostStream) room() (int, error) {
	return s.try(&s.write, pollWrite, func() int32 {
		return hostWrite(s.h, nil, 0, nonblock)
	})
}

// Close closes the handle. It frees goroutines that wait for it.
func (s *hostStream) Close() error {
	err := os.ErrClosed
	s.once.Do(func() {
		close(s.closed)
		err = nil
		if n := hostClose(s.h); n < 0 {
			err = hostError(int64(n))
		}
	})
	return err
}

// SetDeadline sets both deadlines.
func (s *hostStream) SetDeadline(t time.Time) error {
	return errors.Join(s.SetReadDeadline(t), s.SetWriteDeadline(t))
}

// SetReadDeadline frees a waiting Read at a time; the zero time is never.
func (s *hostStream) SetReadDeadline(t time.Time) error {
	s.read.set(t)
	return nil
}

// SetWriteDeadline frees a waiting Write at a time; the zero time is never.
func (s *hostStream) SetWriteDeadline(t time.Time) error {
	s.write.set(t)
	return nil
}

func isDone(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// A deadline is a channel that is closed at a time that can be moved.
type deadline struct {
	mu      sync.Mutex
	timer   *time.Timer
	expired chan struct{}
}

func newDeadline() deadline { return deadline{expired: make(chan struct{})} }

func (d *deadline) wait() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.expired
}

func (d *deadline) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil && !d.timer.Stop() {
		<-d.expired // the timer is about to close it
	}
	d.timer = nil
	over := isDone(d.expired)
	switch wait := time.Until(t); {
	case t.IsZero() || wait > 0:
		if over {
			d.expired = make(chan struct{})
		}
		if !t.IsZero() {
			expired := d.expired
			d.timer = time.AfterFunc(wait, func() { close(expired) })
		}
	case !over:
		close(d.expired)
	}
}

// standard returns the streams of the guest. They are the handles of the
// host, since reading them by WASI would hold up all goroutines.
func standard() (stdin io.Reader, stdout io.Writer) { return newStream(0), newStream(1) }

// spliceSize is how much the host moves while the guest waits.
const spliceSize = 8 << 20

// splice moves at most limit bytes from one handle to another on the host.
func splice(dst, src *hostStream, limit int64) (int64, error) {
	var total int64
	for total < limit {
		if _, err := dst.room(); err != nil {
			return total, err
		}
		await(src.h, pollRead, src.closed, src.read.wait())
		if isDone(src.closed) {
			return total, os.ErrClosed
		}
		if isDone(src.read.wait()) {
			return total, os.ErrDeadlineExceeded
		}
		n := hostCopy(dst.h, src.h, min(spliceSize, limit-total))
		switch {
		case n == 0:
			return total, nil
		case n < 0 && syscall.Errno(-n) != syscall.EAGAIN:
			return total, hostError(n)
		}
		total += max(n, 0)
	}
	return total, nil
}
