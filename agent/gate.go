package agent

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/pki"
	"github.com/shieldhq/shield/internal/storewire"
)

// manifestLimit is the size, in bytes, of the largest manifest.
const manifestLimit = 1 << 20

// What a request to join may have of size and of time.
const (
	joinLimit   = 64 << 10
	joinTimeout = 30 * time.Second
)

// Handler is what agents may ask of the daemon. It is served with the
// authority's DaemonServer configuration of TLS.
func (d *Dispatcher) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/join", d.serveJoin)
	mux.HandleFunc("GET /v1/link", d.known(d.serveLink))
	mux.HandleFunc("POST /v1/renew", d.known(d.serveRenew))
	mux.HandleFunc("GET /v1/modules/{digest}", d.known(d.serveModule))
	mux.HandleFunc("POST /v1/tasks/{uuid}/{epoch}/manifest", d.known(d.serveManifest))
	mux.HandleFunc("/v1/tasks/{uuid}/{epoch}/store/", d.known(d.serveRelay))
	return http.StripPrefix(apiPrefix, mux)
}

// agentKey is the key of the agent in the context of what came over a link
// that the daemon has opened.
type agentKey struct{}

// known finds out which agent calls, by its certificate. One that was deleted
// is refused from then on.
func (d *Dispatcher) known(f func(http.ResponseWriter, *http.Request, *shield.Agent)) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		a, err := d.callerOf(req)
		if err != nil {
			storewire.WriteError(w, err)
			return
		}
		f(w, req, a)
	}
}

func (d *Dispatcher) callerOf(req *http.Request) (*shield.Agent, error) {
	uuid, _ := req.Context().Value(agentKey{}).(string)
	if uuid == "" {
		if req.TLS == nil || len(req.TLS.VerifiedChains) == 0 {
			return nil, shield.Errorf(shield.Unauthorized, "", "the certificate of an agent is wanted")
		}
		uuid = pki.AgentOf(req.TLS.VerifiedChains[0][0])
	}
	return d.enrolled(req.Context(), uuid)
}

// deletedField marks the refusal of an agent that was deleted.
const deletedField = "agent"

func (d *Dispatcher) enrolled(ctx context.Context, uuid string) (*shield.Agent, error) {
	if uuid == "" {
		return nil, shield.Errorf(shield.Unauthorized, "", "this is not the certificate of an agent")
	}
	a, err := d.opts.Catalog.Agent(ctx, uuid)
	if errors.Is(err, shield.NotFound) {
		return nil, &shield.Error{Code: shield.Unauthorized, Field: deletedField, Message: "was deleted and its certificate revoked: join with a new token"}
	}
	return a, err
}

func (d *Dispatcher) serveJoin(w http.ResponseWriter, req *http.Request) {
	// Whoever calls is yet to be known.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(joinTimeout))
	req.Body = http.MaxBytesReader(w, req.Body, joinLimit)
	var in joinRequest
	err := decode(w, req, &in)
	var answer *joinAnswer
	if err == nil {
		answer, err = d.enrol(req.Context(), &in)
	}
	if err != nil {
		d.refuse(in.Name, "", req.RemoteAddr, err)
		storewire.WriteError(w, err)
		return
	}
	storewire.WriteJSON(w, http.StatusOK, answer)
}

// enrol redeems a token and issues a certificate.
func (d *Dispatcher) enrol(ctx context.Context, in *joinRequest) (*joinAnswer, error) {
	if shield.ValidateName("name", in.Name) != nil { // whose words would quote it
		return nil, shield.FieldErrorf("name", "is no name of an agent")
	}
	r, err := pki.CheckRequest(in.Request) // before the token is used up
	if err != nil {
		return nil, err
	}
	token := pki.Token{Secret: shield.Secret(in.Secret)}
	a, err := d.opts.Catalog.EnrolAgent(ctx, in.Name, token.Digest(), pki.KeyDigest(r), now())
	if err != nil {
		return nil, err
	}
	der, err := d.certify(ctx, a, in.Request)
	if err != nil {
		return nil, err
	}
	d.log.Info("an agent has joined", "agent", a.Name, "uuid", a.UUID)
	return &joinAnswer{Certificate: der, Authority: d.opts.Authority.Certificate()}, nil
}

func (d *Dispatcher) certify(ctx context.Context, a *shield.Agent, request []byte) ([]byte, error) {
	der, until, err := d.opts.Authority.Issue(request, a.UUID, d.opts.Life)
	if err != nil {
		return nil, err
	}
	a.ExpiresAt = until
	return der, d.opts.Catalog.ReportAgent(ctx, a)
}

func (d *Dispatcher) serveRenew(w http.ResponseWriter, req *http.Request, a *shield.Agent) {
	var in renewRequest
	err := decode(w, req, &in)
	var der []byte
	if err == nil {
		der, err = d.certify(req.Context(), a, in.Request)
	}
	if err != nil {
		storewire.WriteError(w, err)
		return
	}
	d.log.Info("the certificate of an agent was renewed", "agent", a.Name, "until", a.ExpiresAt)
	storewire.WriteJSON(w, http.StatusOK, joinAnswer{Certificate: der})
}

func (d *Dispatcher) serveModule(w http.ResponseWriter, req *http.Request, _ *shield.Agent) {
	digest := req.PathValue("digest")
	if hexa, ok := strings.CutPrefix(digest, "sha256:"); !ok || len(hexa) != 2*sha256.Size || !isHex(hexa) {
		storewire.WriteError(w, shield.FieldErrorf("digest", "%.80q is not sha256: and 64 hex digits", digest))
		return
	}
	module, err := d.opts.Module(digest)
	if err != nil {
		storewire.WriteError(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/wasm")
	w.Header().Set("Content-Length", strconv.Itoa(len(module)))
	_, _ = w.Write(module)
}

func isHex(s string) bool {
	_, err := hex.DecodeString(s)
	return err == nil
}

// attemptOf returns what an agent runs for the daemon at this moment.
func (d *Dispatcher) attemptOf(req *http.Request, a *shield.Agent) (*attempt, error) {
	epoch, _ := strconv.ParseInt(req.PathValue("epoch"), 10, 64)
	ref := Held{UUID: req.PathValue("uuid"), Epoch: epoch}
	d.mu.Lock()
	at := d.running[ref.ref()]
	d.mu.Unlock()
	if at == nil || at.agent != a.UUID {
		return nil, errGivenUp
	}
	return at, nil
}

func (d *Dispatcher) serveManifest(w http.ResponseWriter, req *http.Request, a *shield.Agent) {
	at, err := d.attemptOf(req, a)
	var manifest, sealed []byte
	if err == nil {
		manifest, err = io.ReadAll(http.MaxBytesReader(w, req.Body, manifestLimit))
	}
	if err == nil {
		sealed, err = d.opts.Seal(at.task, manifest)
	}
	if err != nil {
		storewire.WriteError(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	_, _ = w.Write(sealed)
}

// serveRelay takes the bytes of a task whose store the agent does not reach.
func (d *Dispatcher) serveRelay(w http.ResponseWriter, req *http.Request, a *shield.Agent) {
	at, err := d.attemptOf(req, a)
	if err == nil && at.store == nil {
		err = shield.Errorf(shield.Forbidden, "", "this task has no store that bytes go to through the daemon")
	}
	if err != nil {
		storewire.WriteError(w, err)
		return
	}
	// A call that is blocked by the agent ends with the attempt, too.
	control := http.NewResponseController(w)
	stop := context.AfterFunc(at.calls.ctx, func() {
		_, _ = control.SetReadDeadline(time.Now()), control.SetWriteDeadline(time.Now())
	})
	defer stop()
	h := &storewire.Handler{Store: at.store, Put: func(key string, size int64, digest string) {
		at.mu.Lock()
		defer at.mu.Unlock()
		at.sent[key] = sentBlob{size, digest}
	}}
	http.StripPrefix("/v1/tasks/"+at.held.ref()+"/store", h).ServeHTTP(w, req)
}

// refuse notes that somebody was not let in.
func (d *Dispatcher) refuse(name, uuid, from string, err error) {
	host, _, splitErr := net.SplitHostPort(from)
	if splitErr != nil {
		host = from
	}
	if !d.refusals.allow(now()) {
		return // whoever knocks without end fills neither catalog nor log
	}
	d.log.Warn("an agent was refused", "agent", clip(name), "from", host, "err", err)
	e := &shield.Event{Kind: shield.EventAgentRefused, Subject: uuid, Message: fmt.Sprintf("agent %q from %s was refused: %.500s", clip(name), host, err)}
	if err := d.opts.Catalog.RecordEvent(d.ctx, e); err != nil && d.ctx.Err() == nil {
		d.log.Error("an event was not recorded", "err", err)
	}
}

func clip(name string) string {
	if len(name) > shield.NameLimit {
		return name[:shield.NameLimit]
	}
	return name
}
