package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/hashicorp/yamux"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/storewire"
)

// agentBase is the address of an agent on its link.
const agentBase = "http://agent"

// errBroken is returned when a link ended before the answer of an agent did.
var errBroken = errors.New("the link to the agent broke")

// A link is the connection to one agent.
type link struct {
	agent    *shield.Agent
	instance string
	address  string
	session  *yamux.Session
	bulk     *http.Client
	hello    *Hello
}

func newLink(a *shield.Agent, instance, address string, s *yamux.Session) *link {
	t := &http.Transport{
		DialContext:        func(context.Context, string, string) (net.Conn, error) { return s.Open() },
		DisableCompression: true, MaxIdleConnsPerHost: 2, IdleConnTimeout: 30 * time.Second,
	}
	return &link{
		agent: a, instance: instance, address: address, session: s, bulk: &http.Client{Transport: t},
	}
}

// open makes a request and returns a good answer.
func (l *link) open(ctx context.Context, method, path string, in any) (*http.Response, error) {
	var body bytes.Buffer
	if in != nil {
		if err := json.NewEncoder(&body).Encode(in); err != nil {
			return nil, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, agentBase+path, &body)
	if err != nil {
		return nil, err
	}
	resp, err := l.bulk.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err
		}
		return nil, &shield.Error{Code: shield.Unavailable, Message: "the link to agent " + l.agent.Name + " broke", Err: errors.Join(errBroken, err)}
	}
	if err := storewire.ReadError(resp); err != nil {
		resp.Body.Close()
		return nil, err
	}
	return resp, nil
}

// ask makes a request and decodes the answer into out, if not nil. A module
// may have to be compiled meanwhile.
func (l *link) ask(ctx context.Context, method, path string, in, out any) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 5*time.Minute, shield.Errorf(shield.TimedOut, "", "agent %s has not answered in time", l.agent.Name))
	defer cancel()
	resp, err := l.open(ctx, method, path, in)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if out == nil {
		return nil
	}
	if err := json.NewDecoder(http.MaxBytesReader(nil, resp.Body, messageLimit)).Decode(out); err != nil {
		return shield.Errorf(shield.Unavailable, "", "the answer of agent %s cannot be read: %w", l.agent.Name, err)
	}
	return nil
}

// hub holds the links, one an agent.
type hub struct {
	mu      sync.Mutex
	links   map[string]*link // by UUID of the agent
	changed chan struct{}    // closed at each change
	closed  bool
}

func (h *hub) init() { h.links, h.changed = map[string]*link{}, make(chan struct{}) }

func (h *hub) announce() {
	close(h.changed)
	h.changed = make(chan struct{})
}

func (h *hub) get(agent string) *link {
	h.mu.Lock()
	defer h.mu.Unlock()
	if l := h.links[agent]; l != nil && !l.session.IsClosed() {
		return l
	}
	return nil
}

// put makes l the link of its agent and returns the one before. It reports
// false if the hub is closed.
func (h *hub) put(l *link) (old *link, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, false
	}
	old = h.links[l.agent.UUID]
	h.links[l.agent.UUID] = l
	h.announce()
	return old, true
}

// take forgets the link of an agent and returns it, nil if there is none.
func (h *hub) take(agent string) *link {
	l := h.get(agent)
	if l == nil || !h.remove(l) {
		return nil
	}
	return l
}

// remove forgets l, unless another has taken its place.
func (h *hub) remove(l *link) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.links[l.agent.UUID] != l {
		return false
	}
	delete(h.links, l.agent.UUID)
	h.announce()
	return true
}

func (h *hub) all() []*link {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := make([]*link, 0, len(h.links))
	for _, l := range h.links {
		all = append(all, l)
	}
	return all
}

func (h *hub) closeAll() {
	h.mu.Lock()
	h.closed = true
	h.mu.Unlock()
	for _, l := range h.all() {
		_ = l.session.Close()
	}
}

// wait returns the link of an agent as soon as there is one, nil if ctx ends
// before.
func (h *hub) wait(ctx context.Context, agent string) *link {
	for {
		h.mu.Lock()
		changed := h.changed
		h.mu.Unlock()
		if l := h.get(agent); l != nil {
			return l
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
}

// gone waits until a link that broke has ended, for so long at most.
func (h *hub) gone(ctx context.Context, l *link, most time.Duration) {
	t := time.NewTimer(most)
	defer t.Stop()
	select {
	case <-l.session.CloseChan():
	case <-t.C:
	case <-ctx.Done():
	}
}
