package wasmhost

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"

	"github.com/tetratelabs/wazero/sys"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/calling"
	"github.com/shieldhq/shield/plugin"
)

// Limits of one running guest.
const (
	handleLimit     = 128      // open at once
	requestLimit    = 64 << 10 // bytes of a descriptor
	certificateRoom = 1 << 20  // more, for descriptors that carry certificates
	pollLimit       = 1024     // handles of one poll
)

// Handles that are open from the start.
const (
	stdinHandle  = 0
	stdoutHandle = 1
	firstHandle  = 3 // 2 is left out, since it is standard error to WASI
)

// An instance is what the host knows of one running guest. The guest has one
// thread, so all but the fields behind mu is used by one goroutine at a time.
type instance struct {
	ctx    context.Context
	name   string // of the plugin, for audit events
	op     string
	rights rights
	audit  func(Event)
	diag   *calling.Diagnostics

	stdin, stdout *ring
	wake          chan struct{} // a handle may have become ready
	handles       map[int32]handle
	next          int32
	polled        []byte // the subscriptions of the last poll
	lastError     string
	mounts        []*mount
	transports    map[string]*http.Transport // by their settings
	dialer        *net.Dialer
	memory        *budget

	mu      sync.Mutex
	refused []refusal
	pending sync.WaitGroup // goroutines that serve handles
}

// rights are what a call may do: what both the plugin asks for and the grant
// has, with the fields of the endpoint filled in.
type rights struct {
	needs, bound plugin.Capabilities
	grant        *plugin.Grant
}

// A refusal is a use of something that was not granted.
type refusal struct {
	text string
	// soft is for what an innocent guest may run into as well, like a
	// symlink that leads out of a folder: it explains a failure, but is none.
	soft bool
}

type instanceKey struct{}

// current returns the instance that a host function is called by.
func current(ctx context.Context) *instance {
	i, _ := ctx.Value(instanceKey{}).(*instance)
	return i
}

// stop unwinds the guest, which must not go on: its context is done. wazero
// turns the panic into an error of the running function.
func stop() { panic(sys.NewExitError(sys.ExitCodeContextCanceled)) }

// wait calls attempt until it does not return errAgain.
func wait[T any](i *instance, attempt func() (T, error)) (T, error) {
	v, err := until(i.ctx, i.wake, attempt)
	if i.ctx.Err() != nil {
		stop()
	}
	return v, err
}

// add gives a handle its number.
func (i *instance) add(h handle) (int32, error) {
	if len(i.handles) >= handleLimit {
		h.close()
		return 0, i.errorf(errManyHandles, "%d handles are open: no more are allowed", handleLimit)
	}
	n := i.next
	i.next++
	i.handles[n] = h
	return n, nil
}

func (i *instance) handle(n int32) (handle, error) {
	if h, ok := i.handles[n]; ok {
		return h, nil
	}
	return nil, i.errorf(errBadHandle, "there is no handle %d", n)
}

// A textError is an error whose text is for the guest.
type textError struct {
	errno
	text string
}

func (e *textError) Error() string { return e.text }
func (e *textError) Unwrap() error { return e.errno }

func (i *instance) errorf(n errno, format string, args ...any) error {
	return &textError{n, fmt.Sprintf(format, args...)}
}

// fail keeps the text of an error for stat(-1) and returns its number,
// negated.
func (i *instance) fail(err error) int32 {
	n := errnoOf(err)
	if n != errAgain {
		i.lastError = calling.Cut(calling.Clean(err.Error()), 1000)
	}
	return -int32(n)
}

// deny refuses a use that is not granted: the guest gets EPERM, the audit an
// event, and the call fails in the end.
func (i *instance) deny(capability, format string, args ...any) error {
	return i.refuse(false, capability, format, args...)
}

func (i *instance) refuse(soft bool, capability, format string, args ...any) error {
	text := calling.Cut(calling.Clean(fmt.Sprintf(format, args...)), 500)
	text = fmt.Sprintf("the capability %s does not allow it to %s", capability, text)
	i.mu.Lock()
	first := len(i.refused) < auditLimit
	if first {
		i.refused = append(i.refused, refusal{text, soft})
	}
	i.mu.Unlock()
	if first && i.audit != nil {
		i.audit(Event{Plugin: i.name, Op: i.op, Capability: capability, Text: text})
	}
	return &textError{errNotPermitted, text}
}

// auditLimit bounds the events that one call can make.
const auditLimit = 100

// forbidden returns the error of a call that used what was not granted. A
// soft refusal counts only for a call that has failed.
func (i *instance) forbidden(failed bool) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, r := range i.refused {
		if !r.soft || failed {
			return &shield.Error{Code: shield.Forbidden, Op: i.op, Message: r.text}
		}
	}
	return nil
}

// end closes whatever the guest has left open, and waits until nothing runs
// for it any more.
func (i *instance) end() {
	if i.ctx.Err() != nil {
		i.undo()
	}
	var unfinished []*undoing
	for n, h := range i.handles {
		if u, ok := h.(*undoing); ok {
			unfinished = append(unfinished, u)
		}
		if n >= firstHandle {
			h.close()
		}
	}
	i.handles = nil
	i.pending.Wait()
	for _, u := range unfinished {
		u.send()
	}
	for _, t := range i.transports {
		t.CloseIdleConnections()
	}
	for _, m := range i.mounts {
		m.close()
	}
}

// undo cleans up after a guest that was stopped, while its files are open and
// locked yet.
func (i *instance) undo() {
	for _, h := range i.handles {
		if u, ok := h.(interface{ stopped() }); ok {
			u.stopped()
		}
	}
}

// pump runs f beside the guest; end waits for it.
func (i *instance) pump(f func()) {
	i.pending.Add(1)
	go func() {
		defer i.pending.Done()
		f()
	}()
}

func again(err error) bool { return errors.Is(err, errAgain) }
