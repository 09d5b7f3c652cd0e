package server

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humabunrouter"
	"github.com/uptrace/bunrouter"

	"github.com/shieldhq/shield"
)

// An operation is one route: what the document says of it, and what role it
// wants.
type operation struct {
	method, path string // the path has {ref} where a name or UUID stands
	id, summary  string
	tag          string
	// role is what a client must have; empty: everybody may.
	role   shield.Role
	params []param
	body   *body // nil: it takes none
	// tagged operations answer with an ETag, guarded ones obey If-Match, ranged
	// ones Range.
	tagged, guarded, ranged bool
	// keyed ones obey Idempotency-Key, streamed ones Last-Event-ID.
	keyed, streamed bool
	status          int // of a good answer; 0: 200, or 204 where there is nothing to tell
	// fails are the codes that it can end with, beside those of every operation.
	fails []shield.Code
}

// A call is a request to an operation.
type call struct {
	server *Server
	op     *operation
	req    bunrouter.Request
	w      http.ResponseWriter
	query  *query
	named  string // by the path
}

// nothing is the answer of an operation that has nothing to tell.
type nothing struct{}

// handle adds an operation that is answered with an O as JSON.
func handle[O any](s *Server, op operation, h func(context.Context, *call) (O, error)) {
	answer := answerOf[O]()
	if op.status == 0 {
		op.status = answer.status
	}
	s.register(&op, answer, func(ctx context.Context, c *call) error {
		v, err := h(ctx, c)
		if err != nil {
			return err
		}
		if answer.status == http.StatusNoContent {
			c.w.WriteHeader(op.status)
			return nil
		}
		return s.json(c.w, op.status, v)
	})
}

// take adds an operation whose body is a B. One that is left out, where it may
// be, is the zero B.
func take[B, O any](s *Server, op operation, h func(context.Context, *call, *B) (O, error)) {
	if op.body == nil {
		op.body = bodyOf[B]()
	}
	handle(s, op, func(ctx context.Context, c *call) (O, error) {
		b := new(B)
		if err := c.decode(b); err != nil {
			var none O
			return none, err
		}
		return h(ctx, c, b)
	})
}

// register adds an operation to the router and to the document. huma.Register
// is not for this API: it would parse bodies and parameters by itself, with
// errors that show what was sent, which may be a secret.
func (s *Server) register(op *operation, a answer, h func(context.Context, *call) error) {
	doc := s.document(op, a)
	s.api.OpenAPI().AddOperation(doc)
	s.operations = append(s.operations, op)
	s.api.Adapter().Handle(doc, s.api.Middlewares().Handler(func(hc huma.Context) {
		req, w := humabunrouter.Unwrap(hc)
		c := &call{server: s, op: op, req: req, w: w}
		c.named = c.segment()
		err := c.readQuery(hc.Context())
		if err == nil {
			err = c.expand(hc.Context())
		}
		ctx, witnessed := s.witness(hc.Context(), c)
		if err == nil {
			err = gone(req.Context(), h(ctx, c))
		}
		witnessed(err)
		if err != nil {
			s.problem(w, req.Request, err)
		}
	}))
}

// An adapter ties huma to the router. That of humabunrouter answers a panic
// with an empty success.
type adapter struct{ router *bunrouter.Router }

func (a adapter) Handle(op *huma.Operation, h func(huma.Context)) {
	a.router.Handle(op.Method, pattern(op.Path), func(w http.ResponseWriter, req bunrouter.Request) error {
		h(humabunrouter.NewContext(op, req, w))
		return nil
	})
}

func (a adapter) ServeHTTP(w http.ResponseWriter, req *http.Request) { a.router.ServeHTTP(w, req) }

// pattern is a path as the router wants it.
func pattern(path string) string {
	return strings.NewReplacer("{", ":", "}", "").Replace(path)
}

// Routes returns every route as its method and path, like
// "GET /v1/jobs/:ref".
func (s *Server) Routes() []string {
	var routes []string
	for _, op := range s.operations {
		routes = append(routes, op.method+" "+pattern(op.path))
	}
	return routes
}

// methods returns those that the routes of a path have.
func (s *Server) methods(path string) []string {
	var methods []string
	for _, op := range s.operations {
		if matches(pattern(op.path), path) {
			methods = append(methods, op.method)
			if op.heads() {
				methods = append(methods, http.MethodHead)
			}
		}
	}
	return methods
}

func matches(pattern, path string) bool {
	want, have := strings.Split(pattern, "/"), strings.Split(path, "/")
	return slices.EqualFunc(want, have, func(w, h string) bool { return w == h || strings.HasPrefix(w, ":") && h != "" })
}

// ref returns the name or UUID in the path. The beginning of a UUID became the
// whole.
func (c *call) ref() string { return c.named }

// segment returns what stands for the name in the path.
func (c *call) segment() string {
	text := c.req.Param("ref")
	if c.req.URL.RawPath == "" {
		return text
	}
	if plain, err := url.PathUnescape(text); err == nil {
		return plain
	}
	return text
}

// read returns the body of the request.
func (c *call) read() ([]byte, error) {
	most := int64(BodyLimit)
	if c.op.role == "" {
		most = strangerLimit
	}
	return readBody(c.w, c.req.Request, most)
}

// decode decodes the body into v. One that is left out, where it may be, leaves
// v as it is.
func (c *call) decode(v any) error {
	body, err := c.read()
	if err != nil || len(body) == 0 && c.op.body.optional {
		return err
	}
	return decode(body, v)
}
