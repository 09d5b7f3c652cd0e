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
	end     *time.Timer
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
	l.stores[id] = &lent{&storewire.Handler{Store: s}, time.AfterFunc(lentFor, func() { l.drop(id) })}
	return id
}

func (l *lending) get(id string) http.Handler {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.stores[id]
	if s == nil {
		return nil
	}
	s.end.Reset(lentFor)
	return s.handler
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
	h := a.lent.get(req.PathValue("id"))
	if h == nil {
		storewire.WriteError(w, shield.Errorf(shield.Unavailable, "", "this store is not lent any more"))
		return
	}
	http.StripPrefix("/v1/stores/"+req.PathValue("id"), h).ServeHTTP(w, req)
}
