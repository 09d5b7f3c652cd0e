package agent

import (
	"context"
	"net"
	"net/http"
	"time"

	"github.com/shieldhq/shield"
)

// A lentStore is the daemon's side of a store that an agent lends. It is
// reached over whatever link the agent has at the moment.
type lentStore struct {
	client *http.Client
	base   string
	stop   context.CancelFunc
}

// newLentStore keeps a store lent until it is given back: the agent takes it
// back that has not been asked for it for long, and an order may have to wait.
func (d *Dispatcher) newLentStore(ctx context.Context, agent, id string) *lentStore {
	dial := func(context.Context, string, string) (net.Conn, error) {
		l := d.hub.get(agent)
		if l == nil {
			return nil, shield.Errorf(shield.Unavailable, "", "the agent of the store is not connected")
		}
		return l.session.Open()
	}
	t := &http.Transport{DialContext: dial, DisableCompression: true, MaxIdleConnsPerHost: 2, IdleConnTimeout: 30 * time.Second}
	s := &lentStore{client: &http.Client{Transport: t}, base: agentBase + "/v1/stores/" + id}
	ctx, s.stop = context.WithCancel(context.WithoutCancel(ctx))
	d.work.Go(func() {
		defer context.AfterFunc(d.ctx, s.stop)()
		keepLent(ctx, func(ctx context.Context) { s.ask(ctx, http.MethodGet, "/") })
		s.ask(context.WithoutCancel(ctx), http.MethodDelete, "") // it ends by itself, too
		t.CloseIdleConnections()
	})
	return s
}

// giveBack lets the agent forget the store.
func (s *lentStore) giveBack() { s.stop() }

// ask asks for the store. What it answers is of no interest: to be asked is
// what keeps it.
func (s *lentStore) ask(ctx context.Context, method, path string) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, s.base+path, nil)
	if err != nil {
		return
	}
	if resp, err := s.client.Do(req); err == nil {
		_ = resp.Body.Close()
	}
}

// keepLent uses a lent store now and then until ctx is done.
func keepLent(ctx context.Context, use func(context.Context)) {
	tick := time.NewTicker(lentFor / 4)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			use(ctx)
		case <-ctx.Done():
			return
		}
	}
}
