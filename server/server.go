// Package server is the HTTP API of shield, and the Go client of the same
// wire. The bodies are the nouns of package shield as JSON; errors are
// RFC 9457 problem documents that carry the code of a shield.Error.
// docs/api.md lists the routes.
package server

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/uptrace/bunrouter"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
)

// Plugins is what the server needs of a plugin registry.
type Plugins interface {
	Names() []string
	Info(ctx context.Context, name string) (plugin.Info, error)
	Resolve(ctx context.Context, name string, r plugin.Role, e shield.Endpoint) (shield.Endpoint, error)
}

// A Vault seals the secret fields of endpoints for the catalog.
type Vault interface {
	Seal(row string, e shield.Endpoint, secrets []string) (shield.Endpoint, error)
	// Keep opens an edited endpoint, the secrets of old in place of redacted ones.
	Keep(row string, e, old shield.Endpoint) (shield.Endpoint, error)
	Redact(e shield.Endpoint) shield.Endpoint
}

// Options configures a Server.
type Options struct {
	// Token is what clients must present as bearer token. Required.
	Token shield.Secret
	// Release is the version of the program, shown by status.
	Release string
	// CheckSchedule checks the grammar of a schedule; nil accepts all.
	CheckSchedule func(*shield.Schedule) error
	// Changed is called after each change of a job or schedule.
	Changed func()
	// Log receives failures that clients are not told the cause of.
	Log *slog.Logger
}

// Server answers the HTTP API. Make one with New.
type Server struct {
	catalog   shield.Catalog
	scheduler shield.Scheduler
	plugins   Plugins
	vault     Vault
	opts      Options
	token     [sha256.Size]byte
	started   time.Time
	router    *bunrouter.Router
}

var _ http.Handler = (*Server)(nil)

// New returns a server.
func New(c shield.Catalog, s shield.Scheduler, p Plugins, v Vault, opts Options) *Server {
	srv := &Server{
		catalog: c, scheduler: s, plugins: p, vault: v, opts: opts,
		token: sha256.Sum256([]byte(opts.Token.Reveal())), started: time.Now().UTC(),
	}
	if srv.opts.Log == nil {
		srv.opts.Log = slog.New(slog.DiscardHandler)
	}
	if srv.opts.Changed == nil {
		srv.opts.Changed = func() {}
	}
	if srv.opts.CheckSchedule == nil {
		srv.opts.CheckSchedule = func(*shield.Schedule) error { return nil }
	}
	srv.routes()
	return srv
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	s.router.ServeHTTP(w, req)
}

func (s *Server) routes() {
	s.router = bunrouter.New(
		bunrouter.WithNotFoundHandler(func(w http.ResponseWriter, req bunrouter.Request) error {
			s.problem(w, req.Request, shield.Errorf(shield.NotFound, "", "there is no %s", req.URL.Path))
			return nil
		}),
		bunrouter.WithMethodNotAllowedHandler(func(w http.ResponseWriter, req bunrouter.Request) error {
			s.status(w, http.StatusMethodNotAllowed, problem{Title: "method not allowed", Code: shield.Invalid,
				Detail: req.Method + " is not a method of " + req.URL.Path})
			return nil
		}),
		bunrouter.Use(s.errors),
	)
	s.router.GET("/healthz", func(w http.ResponseWriter, _ bunrouter.Request) error {
		return s.json(w, http.StatusOK, map[string]string{"status": "ok"})
	})
	s.router.Use(s.authenticate).WithGroup("/v1", func(g *bunrouter.Group) {
		s.targets().mount(g)
		s.stores().mount(g)
		s.schedules().mount(g)
		s.policies().mount(g)
		s.jobs().mount(g)
		s.mountArchives(g)
		s.mountTasks(g)
		g.GET("/plugins", s.listPlugins)
		g.GET("/plugins/:ref", s.showPlugin)
		g.GET("/runs", s.listRuns)
		g.GET("/events", s.listEvents)
		g.GET("/status", s.showStatus)
	})
}

// errors turns what handlers return into problem documents.
func (s *Server) errors(next bunrouter.HandlerFunc) bunrouter.HandlerFunc {
	return func(w http.ResponseWriter, req bunrouter.Request) error {
		if err := next(w, req); err != nil {
			s.problem(w, req.Request, err)
		}
		return nil
	}
}

func (s *Server) authenticate(next bunrouter.HandlerFunc) bunrouter.HandlerFunc {
	return func(w http.ResponseWriter, req bunrouter.Request) error {
		token, ok := strings.CutPrefix(req.Header.Get("Authorization"), "Bearer ")
		sum := sha256.Sum256([]byte(token))
		if !ok || subtle.ConstantTimeCompare(sum[:], s.token[:]) != 1 {
			w.Header().Set("WWW-Authenticate", "Bearer")
			return shield.Errorf(shield.Unauthorized, "", "a valid token is wanted in the header Authorization: Bearer TOKEN")
		}
		return next(w, req)
	}
}

// ref returns the name or UUID in the path.
func ref(req bunrouter.Request) string {
	text := req.Param("ref")
	if req.URL.RawPath == "" {
		return text
	}
	if plain, err := url.PathUnescape(text); err == nil {
		return plain
	}
	return text
}
