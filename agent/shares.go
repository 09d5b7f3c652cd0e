package agent

import (
	"context"
	"net/http"
	"reflect"
	"sync"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/storewire"
)

// A Sharer is a Host that keeps to a share of a store's limit, above 0 and up to
// 1: the store, by its UUID, is used by other hosts, too.
type Sharer interface {
	Share(store string, share float64)
}

// A Share is the part of a store's limit that an agent has.
type Share struct {
	Share float64 `json:"share"`
}

// serveShare takes the agent's share of a store's limit.
func (a *Agent) serveShare(w http.ResponseWriter, req *http.Request) {
	var s Share
	if err := decode(w, req, &s); err != nil {
		storewire.WriteError(w, err)
		return
	}
	a.share(req.PathValue("store"), s.Share)
	w.WriteHeader(http.StatusNoContent)
}

func (a *Agent) share(store string, share float64) {
	if h, ok := a.opts.Host.(Sharer); ok && shield.IsUUID(store) {
		h.Share(store, share)
	}
}

// here is the daemon as a place where tasks use stores; agents are by UUID.
const here = ""

// shares divides the limits of stores among the places that use them at this
// moment, by the number of their tasks.
type shares struct {
	mu     sync.Mutex
	stores map[string]*shared // by UUID
}

// A shared store is used by tasks of places.
type shared struct {
	total int
	parts map[string]*part
}

// A part of a store's limit is what a place has of it.
type part struct {
	tasks int
	share float64

	telling sync.Mutex
	known   float64 // to the place; guarded by telling
}

// sharing counts a task of a place until leave is called.
func (d *Dispatcher) sharing(t *shield.Task, place string) (leave func()) {
	if !t.Op.OnStore() || t.Store == "" || reflect.ValueOf(t.StoreLimit).IsZero() {
		return func() {}
	}
	d.spread(t.Store, d.shares.count(t.Store, place, 1))
	return func() { d.spread(t.Store, d.shares.count(t.Store, place, -1)) }
}

// count changes how many tasks a place has and returns the places that use the
// store then.
func (s *shares) count(store, place string, by int) (places []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	of := s.stores[store]
	if of == nil {
		of = &shared{parts: map[string]*part{}}
		if s.stores == nil {
			s.stores = map[string]*shared{}
		}
		s.stores[store] = of
	}
	p := of.parts[place]
	if p == nil {
		p = &part{}
		of.parts[place] = p
	}
	of.total, p.tasks = of.total+by, p.tasks+by
	if p.tasks == 0 {
		delete(of.parts, place)
	}
	if of.total == 0 {
		delete(s.stores, store)
	}
	for place, p := range of.parts {
		p.share = float64(p.tasks) / float64(of.total)
		places = append(places, place)
	}
	return places
}

// of returns the part that a place has of a store and its share: nil and all of
// it, where it does not use the store.
func (s *shares) of(store, place string) (*part, float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if of := s.stores[store]; of != nil && of.parts[place] != nil {
		return of.parts[place], of.parts[place].share
	}
	return nil, 1
}

// using returns the stores that a place uses.
func (s *shares) using(place string) (stores []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for store, of := range s.stores {
		if of.parts[place] != nil {
			stores = append(stores, store)
		}
	}
	return stores
}

// spread tells places of their shares of a store.
func (d *Dispatcher) spread(store string, places []string) {
	for _, place := range places {
		if place == here {
			d.tell(store, place, false)
			continue
		}
		d.work.Go(func() { d.tell(store, place, false) })
	}
}

// tellTimeout is how long an agent may take to be told of a share.
const tellTimeout = 10 * time.Second

// tell tells a place of its share of a store; again, if it may know another than
// it was told. One that cannot be told goes on with what it knows, and is told
// when it is linked again.
func (d *Dispatcher) tell(store, place string, again bool) {
	p, _ := d.shares.of(store, place)
	if p == nil {
		return
	}
	p.telling.Lock()
	defer p.telling.Unlock()
	_, share := d.shares.of(store, place) // as it is now: the last to tell tells the truth
	if p.known == share && !again {
		return
	}
	if place == here {
		if d.opts.Share != nil {
			d.opts.Share(store, share)
		}
		p.known = share
		return
	}
	l := d.hub.get(place)
	if l == nil {
		return
	}
	ctx, cancel := context.WithTimeout(d.ctx, tellTimeout)
	defer cancel()
	if err := l.ask(ctx, http.MethodPut, "/v1/shares/"+store, Share{share}, nil); err == nil {
		p.known = share
	}
}
