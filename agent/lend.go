package agent

import (
	"context"
	"crypto/rand"
	"net/http"
	"sync"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/storewire"
	"github.com/shieldhq/shield/plugin"
)

// lentFor is how long a store stays lent that nobody uses: a daemon that died
// does not give it back.
const lentFor = time.Hour

// A lent store is one that the daemon uses through this agent.
type lent struct {
	handler http.Handler
	end     *time.Timer // runs while nobody uses it
	using   int
}

type lending struct {
	mu     sync.Mutex
	stores map[string]*lent
}

func (l *lending) add(s plugin.Store) string {
	id := rand.Text()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stores == nil {
		l.stores = map[string]*lent{}
	}
	l.stores[id] = &lent{handler: &storewire.Handler{Store: s}, end: time.AfterFunc(lentFor, func() { l.expire(id) })}
	return id
}

// use returns a store for one request, at whose end done is to be called; nil if
// it is not lent.
func (l *lending) use(id string) (h http.Handler, done func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.stores[id]
	if s == nil {
		return nil, nil
	}
	s.using++
	s.end.Stop()
	return s.handler, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if s.using--; s.using == 0 {
			s.end.Reset(lentFor)
		}
	}
}

// expire drops a store that nobody has used for long.
func (l *lending) expire(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s := l.stores[id]; s != nil && s.using == 0 {
		delete(l.stores, id)
	}
}

func (l *lending) drop(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s := l.stores[id]; s != nil {
		s.end.Stop()
		delete(l.stores, id)
	}
}

// serveLend opens a store for the daemon.
func (a *Agent) serveLend(w http.ResponseWriter, req *http.Request) {
	var o StoreOrder
	if err := decode(w, req, &o); err != nil {
		storewire.WriteError(w, err)
		return
	}
	plugins, err := a.opts.Host.Plugins(req.Context(), o.Modules, a.fetch)
	if err == nil {
		err = a.opts.Host.Allow(req.Context(), plugins, plugin.RoleStore, o.Plugin, o.Endpoint)
	}
	if err != nil {
		storewire.WriteError(w, err)
		return
	}
	// What the plugin says goes to this agent's log: the daemon sees errors.
	s, info, err := plugins.OpenStore(context.WithoutCancel(req.Context()), o.Plugin, o.Endpoint, func(line string) {
		a.log.Info("a lent store says", "plugin", o.Plugin, "line", line)
	})
	if err != nil {
		storewire.WriteError(w, err)
		return
	}
	storewire.WriteJSON(w, http.StatusCreated, StoreLent{ID: a.lent.add(s), Info: info})
}

func (a *Agent) serveGiveBack(w http.ResponseWriter, req *http.Request) {
	a.lent.drop(req.PathValue("id"))
	w.WriteHeader(http.StatusNoContent)
}

func (a *Agent) serveStore(w http.ResponseWriter, req *http.Request) {
	h, done := a.lent.use(req.PathValue("id"))
	if h == nil {
		storewire.WriteError(w, shield.Errorf(shield.Unavailable, "", "this store is not lent any more"))
		return
	}
	defer done()
	http.StripPrefix("/v1/stores/"+req.PathValue("id"), h).ServeHTTP(w, req)
}
