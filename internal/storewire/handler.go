package storewire

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/able"
	"github.com/shieldhq/shield/plugin"
)

// drainFor is how long a client that is still sending may take to notice that
// it was refused.
const drainFor = 10 * time.Second

// Handler serves a store. Its paths begin behind whatever prefix it is mounted
// at: use http.StripPrefix. Put, if not nil, is told what each stream that the
// store took had for length and digest.
type Handler struct {
	Store plugin.Store
	Put   func(key string, size int64, digest string)
}

// ServeHTTP answers one call.
func (h *Handler) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	key := req.URL.Query().Get("key")
	a := able.StoreAbilitiesOf(h.Store)
	switch route := req.Method + " " + req.URL.Path; {
	case route == "PUT /blob":
		h.put(w, req, key, a.Keeper)
	case route == "GET /blob":
		h.get(w, req, key)
	case route == "DELETE /blob":
		answer(w, h.Store.Delete(req.Context(), key))
	case route == "GET /list" && a.Lister != nil:
		list(w, req, a.Lister)
	case route == "POST /test" && a.Tester != nil:
		answer(w, a.Tester.Test(req.Context()))
	default:
		WriteError(w, shield.Errorf(shield.Invalid, "", "this store has no %.100s", route))
	}
}

func answer(w http.ResponseWriter, err error) {
	if err != nil {
		WriteError(w, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// endReader gives the end of a body only if its trailers agree with it.
type endReader struct {
	*meter
	req *http.Request
}

func (r *endReader) Read(p []byte) (int, error) {
	n, err := r.meter.Read(p)
	switch err {
	case nil:
	case io.EOF:
		if bad := r.check(r.req.Trailer); bad != nil {
			return n, bad
		}
	default:
		err = shield.Errorf(shield.Unavailable, "", "the stream was cut off after %d bytes: %v", r.n, err)
	}
	return n, err
}

func (h *Handler) put(w http.ResponseWriter, req *http.Request, key string, keeper plugin.Keeper) {
	body := &endReader{newMeter(req.Body), req}
	control := http.NewResponseController(w)
	_ = control.EnableFullDuplex() // so that a refusal need not wait for the end
	stored, err := h.store(req.Context(), req.URL.Query().Get("until"), key, body, keeper)
	if err == nil && h.Put != nil {
		h.Put(key, body.n, body.digest())
	}
	if err == nil {
		WriteJSON(w, http.StatusOK, received{stored, body.n, body.digest()})
		return
	}
	w.Header().Set("Connection", "close")
	WriteError(w, err)
	_ = control.Flush()
	_ = control.SetReadDeadline(time.Now().Add(drainFor))
	_, _ = io.Copy(io.Discard, req.Body)
}

func (h *Handler) store(ctx context.Context, until, key string, r io.Reader, keeper plugin.Keeper) (plugin.Stored, error) {
	if until == "" {
		return h.Store.Put(ctx, key, r)
	}
	at, err := time.Parse(time.RFC3339Nano, until)
	if err != nil || keeper == nil {
		return plugin.Stored{}, shield.FieldErrorf("until", "is %.100q: this store keeps nothing, or that is no time", until)
	}
	return keeper.PutUntil(ctx, key, r, at)
}

func (h *Handler) get(w http.ResponseWriter, req *http.Request, key string) {
	blob, err := h.Store.Get(req.Context(), key)
	if err != nil {
		WriteError(w, err)
		return
	}
	defer blob.Close()
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Trailer", lengthTrailer+", "+digestTrailer+", "+errorTrailer)
	m := newMeter(blob)
	if _, err := io.CopyBuffer(onlyWriter{w}, m, make([]byte, 256<<10)); err != nil {
		text, _ := json.Marshal(FailureOf(err)) // of the store; a client that is gone does not see it
		w.Header().Set(errorTrailer, string(text))
		return
	}
	m.trailers(w.Header())
}

// onlyWriter keeps io.Copy from a sendfile, which would not pass the meter.
type onlyWriter struct{ io.Writer }

func list(w http.ResponseWriter, req *http.Request, l plugin.Lister) {
	w.Header().Set("Content-Type", "application/x-ndjson")
	enc := json.NewEncoder(w)
	err := l.List(req.Context(), req.URL.Query().Get("prefix"), func(o plugin.Object) error {
		return enc.Encode(listed{Object: &o})
	})
	_ = enc.Encode(listed{End: true, Error: FailureOf(err)})
}
