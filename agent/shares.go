package agent

import (
	"cmp"
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

// A shared store is used by tasks.
type shared struct {
	total  int
	places map[string]int
	told   map[string]float64 // what each place knows

	telling sync.Mutex // one at a time
}

// sharing counts a task of a place until leave is called.
func (d *Dispatcher) sharing(t *shield.Task, place string) (leave func()) {
	if !t.Op.OnStore() || t.Store == "" || reflect.ValueOf(t.StoreLimit).IsZero() {
		return func() {}
	}
	d.shares.count(t.Store, place, 1)
	if place == here { // an agent is told by its order
		d.tell(t.Store, place, true)
	}
	d.spread(t.Store)
	return func() {
		d.shares.count(t.Store, place, -1)
		d.spread(t.Store)
	}
}

func (s *shares) count(store, place string, by int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	of := s.stores[store]
	if of == nil {
		of = &shared{places: map[string]int{}, told: map[string]float64{}}
		if s.stores == nil {
			s.stores = map[string]*shared{}
		}
		s.stores[store] = of
	}
	of.total += by
	if of.places[place] += by; of.places[place] == 0 {
		delete(of.places, place)
		delete(of.told, place)
	}
	if of.total == 0 {
		delete(s.stores, store)
	}
}

// of returns the share that a place has of a store: all of it, while no other
// uses it.
func (s *shares) of(store, place string) (of *shared, share float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if of = s.stores[store]; of == nil || of.places[place] == 0 {
		return nil, 1
	}
	return of, float64(of.places[place]) / float64(of.total)
}

// using returns the stores that a place uses, and places those of a store.
func (s *shares) using(place string) (stores []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for store, of := range s.stores {
		if of.places[place] > 0 {
			stores = append(stores, store)
		}
	}
	return stores
}

func (s *shares) placesOf(store string) (places []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if of := s.stores[store]; of != nil {
		for place := range of.places {
			places = append(places, place)
		}
	}
	return places
}

// spread tells the places that use a store of their shares.
func (d *Dispatcher) spread(store string) {
	for _, place := range d.shares.placesOf(store) {
		if place == here {
			d.tell(store, place, false)
			continue
		}
		d.work.Go(func() { d.tell(store, place, false) })
	}
}

// tellTimeout is how long an agent may take to be told of a share.
const tellTimeout = 10 * time.Second

// tell tells a place of its share of a store, again if it may have forgotten.
// One that cannot be told goes on with what it knows, and is told when it is
// linked again.
func (d *Dispatcher) tell(store, place string, again bool) {
	of, _ := d.shares.of(store, place)
	if of == nil {
		return
	}
	of.telling.Lock()
	defer of.telling.Unlock()
	_, share := d.shares.of(store, place) // as it is now: the last to tell tells the truth
	if !again && d.shares.knows(of, place) == share {
		return
	}
	if place == here {
		if d.opts.Share != nil {
			d.opts.Share(store, share)
		}
		d.shares.know(of, place, share)
		return
	}
	l := d.hub.get(place)
	if l == nil {
		return
	}
	ctx, cancel := context.WithTimeout(d.ctx, tellTimeout)
	defer cancel()
	if err := l.ask(ctx, http.MethodPut, "/v1/shares/"+store, Share{share}, nil); err == nil {
		d.shares.know(of, place, share)
	}
}

// knows is the share that a place goes by: all, unless it was told of another.
func (s *shares) knows(of *shared, place string) float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return cmp.Or(of.told[place], 1)
}

func (s *shares) know(of *shared, place string, share float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	of.told[place] = share
}
