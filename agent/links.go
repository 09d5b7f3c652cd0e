package agent

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/coder/websocket"
	"github.com/hashicorp/yamux"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/storewire"
)

func now() time.Time { return time.Now().UTC() }

// How long an agent may take to say what it is, and one that holds the name of
// a new one to say that it is there.
const (
	helloTimeout = 30 * time.Second
	pingTimeout  = 5 * time.Second
)

// serveLink takes the link that an agent opens.
func (d *Dispatcher) serveLink(w http.ResponseWriter, req *http.Request, a *shield.Agent) {
	protocol, _ := strconv.Atoi(req.Header.Get(protocolHeader))
	instance := req.Header.Get(instanceHeader)
	err := CheckRelease(d.opts.Release, req.Header.Get(releaseHeader), protocol)
	if name := req.Header.Get(nameHeader); err == nil && name != a.Name {
		err = shield.Errorf(shield.Conflict, "", "this is the certificate of agent %q, not of %q", a.Name, clip(name))
	}
	if err == nil {
		err = d.makeRoom(a, instance)
	}
	if err != nil {
		d.refuse(a.Name, a.UUID, req.RemoteAddr, err)
		storewire.WriteError(w, err)
		return
	}
	c, err := websocket.Accept(w, req, &websocket.AcceptOptions{InsecureSkipVerify: true}) // no browser has a certificate
	if err != nil {
		return
	}
	session, err := yamux.Client(websocket.NetConn(d.ctx, c, websocket.MessageBinary), muxConfig())
	if err != nil {
		_ = c.CloseNow()
		return
	}
	d.work.Go(func() { d.expectNoStreams(a, session) })
	d.work.Go(func() { d.serveLinked(newLink(a, instance, req.RemoteAddr, session)) })
}

// expectNoStreams ends a link over which the agent opens streams: one that dials
// has nothing to ask over it, and what it sends there would fill the daemon.
func (d *Dispatcher) expectNoStreams(a *shield.Agent, s *yamux.Session) {
	if _, err := s.Accept(); err == nil {
		d.log.Warn("an agent opened a stream that nobody wanted: its link is ended", "agent", a.Name)
		_ = s.Close()
	}
}

// makeRoom lets a new link of an agent take the place of an old one that is
// dead, or of the same process. If another lives, there are two agents with
// one certificate: the second is refused.
func (d *Dispatcher) makeRoom(a *shield.Agent, instance string) error {
	old := d.hub.get(a.UUID)
	if old == nil || old.instance == instance {
		return nil
	}
	alive := make(chan error, 1)
	go func() { _, err := old.session.Ping(); alive <- err }()
	select {
	case err := <-alive:
		if err == nil {
			return shield.Errorf(shield.Conflict, "", "another agent with the name %q and the same certificate is connected from %s: a folder of an agent cannot be copied, let the other machine join with a token of its own", a.Name, old.address)
		}
	case <-time.After(pingTimeout):
	}
	_ = old.session.Close()
	return nil
}

// serveLinked keeps a link until it ends. The agent is greeted by a goroutine of
// its own: the stack that it needs for that is many times that of this one, which
// is there for as long as the agent is connected.
func (d *Dispatcher) serveLinked(l *link) {
	defer l.session.Close()
	taken := make(chan bool)
	d.work.Go(func() { taken <- d.take(l) })
	if !<-taken {
		return
	}
	<-l.session.CloseChan()
	if !d.hub.remove(l) || d.ctx.Err() != nil {
		return
	}
	d.log.Warn("agent disconnected", "agent", l.agent.Name)
	d.report(l, "the link ended")
}

// take greets an agent, and deals with the tasks that it has. It reports whether
// the link is the one of its agent from then on.
func (d *Dispatcher) take(l *link) bool {
	if err := d.greet(l); err != nil {
		if d.ctx.Err() == nil {
			d.log.Warn("a link to an agent was not taken", "agent", l.agent.Name, "from", l.address, "err", err)
		}
		return false
	}
	l.bulk.CloseIdleConnections() // most agents have nothing to do for long
	old, ok := d.hub.put(l)
	if !ok {
		return false
	}
	if old != nil {
		_ = old.session.Close()
	}
	if _, err := d.enrolled(d.ctx, l.agent.UUID); errors.Is(err, shield.Unauthorized) {
		d.hub.remove(l) // deleted in between
		return false
	}
	d.log.Info("agent connected", "agent", l.agent.Name, "from", l.address, "release", l.hello.Release, "clock ahead by", l.agent.Skew)
	for _, store := range d.shares.using(l.agent.UUID) {
		d.work.Go(func() { d.tell(store, l.agent.UUID, true) })
	}
	slots := make(chan struct{}, settleAtOnce)
	for _, h := range l.hello.Tasks {
		d.work.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			d.settle(l, &h)
		})
	}
	return true
}

// mostTasks is how many tasks an agent may speak of when it is linked, and
// settleAtOnce of how many it is asked at once.
const (
	mostTasks    = 10_000
	settleAtOnce = 8
)

// greet asks an agent what it is, and notes that.
func (d *Dispatcher) greet(l *link) error {
	ctx, cancel := context.WithTimeout(d.ctx, helloTimeout)
	defer cancel()
	l.hello = &Hello{}
	if err := l.ask(ctx, http.MethodGet, "/v1/hello", nil, l.hello); err != nil {
		return err
	}
	return d.note(ctx, l)
}

// note checks what an agent has said of itself, and keeps it.
func (d *Dispatcher) note(ctx context.Context, l *link) error {
	h, a := l.hello, l.agent
	if h.Name != a.Name {
		return shield.Errorf(shield.Conflict, "", "it calls itself %q", clip(h.Name))
	}
	if len(h.Tasks) > mostTasks || slices.ContainsFunc(h.Tasks, func(t Held) bool { return !shield.IsUUID(t.UUID) }) {
		return shield.Errorf(shield.Invalid, "", "it speaks of %d tasks, which cannot be", len(h.Tasks))
	}
	if err := CheckRelease(d.opts.Release, h.Release, h.Protocol); err != nil {
		return err
	}
	a.Skew = h.Now.Sub(now()).Seconds()
	a.Address, a.Release, a.OS, a.LastSeenAt = l.address, clip(h.Release), clip(h.OS), now()
	a.Plugins = nil
	for _, p := range h.Plugins[:min(len(h.Plugins), 1000)] {
		a.Plugins = append(a.Plugins, clip(p.Name))
	}
	return d.opts.Catalog.ReportAgent(ctx, a)
}

// report notes the end of a link.
func (d *Dispatcher) report(l *link, problem string) {
	ctx, cancel := context.WithTimeout(d.ctx, time.Minute)
	defer cancel()
	a, err := d.opts.Catalog.Agent(ctx, l.agent.UUID)
	if err != nil {
		return // deleted
	}
	a.LastSeenAt, a.LastErrorAt, a.LastError = now(), now(), problem
	if err := d.opts.Catalog.ReportAgent(ctx, a); err != nil && !errors.Is(err, shield.NotFound) && d.ctx.Err() == nil {
		d.log.Error("what is known of an agent was not written", "agent", a.Name, "err", err)
	}
}

// settle deals with a task that an agent has from before the link. One that is
// waited for goes on. Of one whose result was taken, the agent is told so. Any
// other is of an attempt that was given up: it is ended, and what it has left
// removed.
func (d *Dispatcher) settle(l *link, h *Held) {
	d.mu.Lock()
	waited, delivered := d.running[h.ref()] != nil, d.delivered[h.ref()]
	d.mu.Unlock()
	switch {
	case waited:
		return
	case delivered:
		d.acknowledge(l.agent.UUID, h)
		return
	}
	ctx, cancel := context.WithTimeout(d.ctx, time.Hour)
	defer cancel()
	if err := d.discard(ctx, l, h); err != nil && d.ctx.Err() == nil {
		d.log.Warn("a task that was given up is still kept by its agent", "agent", l.agent.Name, "task", h.UUID, "epoch", h.Epoch, "err", err)
	}
}

func (d *Dispatcher) discard(ctx context.Context, l *link, h *Held) error {
	d.log.Info("a task was given up: its agent is told", "agent", l.agent.Name, "task", h.UUID, "epoch", h.Epoch, "op", h.Op)
	stop := Stop{Code: shield.Interrupted, Message: errGivenUp.Error()}
	if err := l.ask(ctx, http.MethodPost, "/v1/tasks/"+h.ref()+"/cancel", stop, nil); err != nil {
		return err
	}
	r := &remote{d: d, at: &attempt{held: *h, task: &shield.Task{Op: h.Op}}, agent: l.agent, m: silent{}}
	result, err := r.read(ctx, l)
	if err != nil {
		return err
	}
	keys := result.Result.Leftovers
	if a := result.Result.Archive; a != nil {
		keys = append([]string{a.Key}, keys...)
	}
	if keys = r.at.leftovers(keys); len(keys) > 0 {
		if err := d.opts.Disown(ctx, l.agent, h.UUID, h.Epoch, keys); err != nil {
			return err
		}
	}
	return l.ask(ctx, http.MethodDelete, "/v1/tasks/"+h.ref(), nil, nil)
}

// silent is the monitor of what nobody watches.
type silent struct{}

func (silent) Log(shield.Source, string) {}
func (silent) Progress(shield.Progress)  {}

// seeEvery is how often it is noted which agents are linked.
const seeEvery = time.Minute

// watch notes which agents are linked, and tells of those that are not for too
// long.
func (d *Dispatcher) watch() {
	tick := time.NewTicker(min(seeEvery, d.opts.Unseen/2))
	defer tick.Stop()
	for {
		if err := d.look(d.ctx, now()); err != nil && d.ctx.Err() == nil {
			d.log.Error("which agents are connected was not noted", "err", err)
		}
		select {
		case <-tick.C:
		case <-d.ctx.Done():
			return
		}
	}
}

func (d *Dispatcher) look(ctx context.Context, now time.Time) error {
	var uuids []string
	for _, l := range d.hub.all() {
		uuids = append(uuids, l.agent.UUID)
	}
	if err := d.opts.Catalog.SeeAgents(ctx, uuids, now); err != nil {
		return err
	}
	told, err := d.opts.Catalog.UnseenAgents(ctx, now.Add(-d.opts.Unseen), now)
	for _, e := range told {
		d.log.Warn(e.Message)
	}
	return err
}

// rareEvents lets an event of a kind pass every few seconds.
type rareEvents struct {
	mu   sync.Mutex
	last time.Time
}

const eventEvery = 5 * time.Second

func (r *rareEvents) allow(now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now.Sub(r.last) < eventEvery && !now.Before(r.last) {
		return false
	}
	r.last = now
	return true
}
