// Package server is the HTTP API of shield, and the Go client of the same
// wire. The bodies are the nouns of package shield as JSON; errors are
// RFC 9457 problem documents that carry the code of a shield.Error.
// docs/api.md lists the routes.
package server

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/danielgtaylor/huma/v2"
	"github.com/uptrace/bunrouter"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/password"
	"github.com/shieldhq/shield/plugin"
)

// Plugins is what the server needs of a plugin registry.
type Plugins interface {
	plugin.Describer
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
	// Token is what clients must present as bearer token, which makes them
	// administrators. Required, unless there is Authenticate.
	Token shield.Secret
	// Authenticate returns who makes a request, or Unauthorized; nil: whoever
	// has the Token, a token of the catalog or a session.
	Authenticate func(*http.Request) (shield.Principal, error)
	// Release is the version of the program, shown by status.
	Release string
	// Mode says that the daemon runs in a special way, shown by status: "DEV",
	// if every schedule means every minute.
	Mode string
	// Timezone is the IANA zone that new schedules get if they name none;
	// empty leaves them without one, which is UTC.
	Timezone string
	// CheckSchedule checks the grammar of a schedule; nil accepts all.
	CheckSchedule func(*shield.Schedule) error
	// CheckLimit checks a store's limit beyond its own Validate; nil accepts
	// all.
	CheckLimit func(*shield.Limit) error
	// Changed is called after each change of a job or schedule.
	Changed func()
	// Library keeps the modules of sandboxed plugins; nil leaves its routes
	// out.
	Library Library
	// Agents is what knows of agents; nil leaves their routes out.
	Agents Agents
	// Proxies are the addresses of reverse proxies, which are believed about
	// where a request comes from (X-Forwarded-For). Nobody else is.
	Proxies []netip.Prefix
	// Patience is how long a client that reads nothing of an answer is waited
	// for; 0: a minute.
	Patience time.Duration
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
	hasher    *password.Hasher
	tries     *throttle // of passwords
	origins   *http.CrossOriginProtection
	// closing is closed when streams are to end.
	closing   chan struct{}
	closeOnce sync.Once
	// deletes is held while something is changed or looked at and deleted.
	deletes sync.Mutex
	router  *bunrouter.Router
	api     huma.API
	// operations are all routes.
	operations []*operation
	rendered   rendered
}

var _ http.Handler = (*Server)(nil)

// New returns a server.
func New(c shield.Catalog, s shield.Scheduler, p Plugins, v Vault, opts Options) *Server {
	srv := &Server{
		catalog: c, scheduler: s, plugins: p, vault: v, opts: opts,
		token: sha256.Sum256([]byte(opts.Token.Reveal())), started: time.Now().UTC(),
		hasher: password.New(), tries: newThrottle(), origins: http.NewCrossOriginProtection(),
		closing: make(chan struct{}),
	}
	srv.opts.Patience = cmp.Or(opts.Patience, time.Minute)
	if srv.opts.Log == nil {
		srv.opts.Log = slog.New(slog.DiscardHandler)
	}
	if srv.opts.Changed == nil {
		srv.opts.Changed = func() {}
	}
	if srv.opts.CheckSchedule == nil {
		srv.opts.CheckSchedule = func(*shield.Schedule) error { return nil }
	}
	if srv.opts.CheckLimit == nil {
		srv.opts.CheckLimit = func(*shield.Limit) error { return nil }
	}
	if srv.opts.Authenticate == nil {
		srv.opts.Authenticate = srv.identify
	}
	srv.routes()
	srv.rendered = srv.render()
	return srv
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	defer func() {
		switch p := recover(); p {
		case nil:
		case http.ErrAbortHandler: // the connection is to be broken
			panic(p)
		default:
			s.problem(w, req, fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
		}
	}()
	w = patiently(w, s.opts.Patience)
	req = s.headed(s.forwarded(req))
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if !clean(req.URL) {
		s.notFound(w, req)
		return
	}
	s.router.ServeHTTP(w, req)
}

// clean reports whether the router can take a path. It would answer an
// unclean one with a redirect, which loses the body of a request, and trip
// over control characters, which no name has.
func clean(u *url.URL) bool {
	path := u.EscapedPath()
	return path == "/" || !strings.HasSuffix(path, "/") && bunrouter.CleanPath(path) == path &&
		!strings.ContainsFunc(u.Path, unicode.IsControl)
}

// notFound answers what no route answers.
func (s *Server) notFound(w http.ResponseWriter, req *http.Request) {
	methods := s.methods(req.URL.EscapedPath())
	if len(methods) == 0 || slices.Contains(methods, req.Method) {
		s.problem(w, req, shield.Errorf(shield.NotFound, "", "there is no %.200s", req.URL.Path))
		return
	}
	w.Header().Set("Allow", strings.Join(methods, ", "))
	s.status(w, http.StatusMethodNotAllowed, problem{Title: "method not allowed", Code: shield.Invalid,
		Detail: fmt.Sprintf("%.20s is not a method of %.200s: %s are", req.Method, req.URL.Path, strings.Join(methods, ", "))})
}

func (s *Server) routes() {
	none := func(w http.ResponseWriter, req bunrouter.Request) error {
		s.notFound(w, req.Request)
		return nil
	}
	s.router = bunrouter.New(bunrouter.WithNotFoundHandler(none), bunrouter.WithMethodNotAllowedHandler(none))
	s.api = s.newAPI(adapter{s.router})
	s.api.UseMiddleware(s.authorize)
	s.mountHealth()
	s.targets().mount()
	s.stores().mount()
	s.schedules().mount()
	s.policies().mount()
	s.jobs().mount()
	s.mountExplain()
	s.mountPause()
	s.mountPreviews()
	s.mountArchives()
	s.mountTasks()
	s.mountStreams()
	s.mountActions()
	s.mountRestores()
	s.mountPlugins()
	s.mountModules()
	s.mountAgents()
	s.mountDaemon()
	s.mountSession()
	s.users().mount()
	s.mountTokens()
	s.mountAudit()
	s.mountDocument()
	s.finishDocument()
}
