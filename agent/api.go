package agent

import (
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/storewire"
)

// orderLimit is the size, in bytes, of the largest order: two endpoints and
// what modules say of themselves.
const orderLimit = 8 << 20

// api is what the daemon may ask of an agent.
func (a *Agent) api() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/hello", func(w http.ResponseWriter, req *http.Request) {
		storewire.WriteJSON(w, http.StatusOK, a.hello(req.Context()))
	})
	mux.HandleFunc("POST /v1/tasks", a.serveOrder)
	mux.HandleFunc("GET /v1/tasks/{uuid}/{epoch}", a.withHeld(a.serveFollow))
	mux.HandleFunc("POST /v1/tasks/{uuid}/{epoch}/cancel", a.withHeld(a.serveCancel))
	mux.HandleFunc("DELETE /v1/tasks/{uuid}/{epoch}", a.withHeld(a.serveForget))
	mux.HandleFunc("PUT /v1/shares/{store}", a.serveShare)
	mux.HandleFunc("POST /v1/stores", a.serveLend)
	mux.HandleFunc("DELETE /v1/stores/{id}", a.serveGiveBack)
	mux.HandleFunc("/v1/stores/{id}/", a.serveStore)
	return mux
}

// decode reads the JSON body of a request into v.
func decode(w http.ResponseWriter, req *http.Request, v any) error {
	if err := json.NewDecoder(http.MaxBytesReader(w, req.Body, orderLimit)).Decode(v); err != nil {
		return shield.Errorf(shield.Invalid, "", "the body cannot be read: %v", err)
	}
	return nil
}

func (a *Agent) serveOrder(w http.ResponseWriter, req *http.Request) {
	var o Order
	err := decode(w, req, &o)
	if err == nil && (o.Task == nil || !shield.IsUUID(o.Task.UUID)) {
		err = shield.FieldErrorf("task", "is missing, or its UUID is")
	}
	if err == nil {
		err = a.begin(&o)
	}
	if err != nil {
		storewire.WriteError(w, err)
		return
	}
	w.WriteHeader(http.StatusAccepted)
}

// withHeld finds the task of a path.
func (a *Agent) withHeld(f func(http.ResponseWriter, *http.Request, *held)) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		epoch, _ := strconv.ParseInt(req.PathValue("epoch"), 10, 64)
		ref := Held{UUID: req.PathValue("uuid"), Epoch: epoch}
		a.mu.Lock()
		h := a.tasks[ref.ref()]
		a.mu.Unlock()
		if h == nil {
			storewire.WriteError(w, shield.Errorf(shield.NotFound, "", "this agent has no task %.80s", ref.ref()))
			return
		}
		f(w, req, h)
	}
}

// quietFor is how long nothing may be said of a task. By the empty lines both
// sides, and what is between, see that the link works.
const quietFor = 20 * time.Second

// serveFollow tells of a task from a line on, until it has ended.
func (a *Agent) serveFollow(w http.ResponseWriter, req *http.Request, h *held) {
	after, _ := strconv.Atoi(req.URL.Query().Get("after"))
	w.Header().Set("Content-Type", "application/x-ndjson")
	enc, control := json.NewEncoder(w), http.NewResponseController(w)
	quiet := time.NewTicker(quietFor)
	defer quiet.Stop()
	var last shield.Progress
	for {
		all, progress, news := h.since(after, last)
		last = progress
		for _, m := range all {
			if m.N > 0 {
				after = m.N
			}
			if err := enc.Encode(m); err != nil {
				return
			}
			if m.Result != nil {
				return
			}
		}
		if err := control.Flush(); err != nil {
			return
		}
		select {
		case <-news:
		case <-quiet.C:
			if _, err := io.WriteString(w, "{}\n"); err != nil {
				return
			}
		case <-req.Context().Done():
			return
		}
	}
}

func (a *Agent) serveCancel(w http.ResponseWriter, req *http.Request, h *held) {
	var s Stop
	if err := decode(w, req, &s); err != nil {
		storewire.WriteError(w, err)
		return
	}
	switch s.Code {
	case shield.Canceled, shield.TimedOut, shield.Interrupted:
	default:
		s.Code = shield.Interrupted
	}
	h.cancel(&shield.Error{Code: s.Code, Message: s.Message})
	w.WriteHeader(http.StatusAccepted)
}

// serveForget drops a task that the daemon has the result of.
func (a *Agent) serveForget(w http.ResponseWriter, _ *http.Request, h *held) {
	about := h.about()
	if !about.Ended {
		storewire.WriteError(w, shield.Errorf(shield.Conflict, "", "task %s still runs", about.UUID))
		return
	}
	if err := a.forget(&about); err != nil {
		storewire.WriteError(w, shield.Errorf(shield.Internal, "", "the agent cannot forget the task: %v", err))
		return
	}
	w.WriteHeader(http.StatusNoContent)
}
