package server

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/uptrace/bunrouter"

	"github.com/shieldhq/shield"
)

// BodyLimit is the size, in bytes, of the largest request body.
const BodyLimit = 2 << 20

// A problem is an error on the wire, RFC 9457, with shield's code and field.
type problem struct {
	Title  string      `json:"title"`
	Status int         `json:"status"`
	Detail string      `json:"detail,omitempty"`
	Code   shield.Code `json:"code"`
	Field  string      `json:"field,omitempty"`
}

// statusOf is the one table from codes to HTTP statuses.
func statusOf(c shield.Code) int {
	switch c {
	case shield.Invalid:
		return http.StatusBadRequest
	case shield.NotFound:
		return http.StatusNotFound
	case shield.Conflict, shield.InUse, shield.Canceled:
		return http.StatusConflict
	case shield.Unauthorized:
		return http.StatusUnauthorized
	case shield.Forbidden:
		return http.StatusForbidden
	case shield.Unavailable, shield.Interrupted:
		return http.StatusServiceUnavailable
	case shield.TimedOut:
		return http.StatusGatewayTimeout
	case shield.TargetFailed, shield.StoreFailed, shield.PluginFailed, shield.Corrupt:
		return http.StatusBadGateway
	}
	return http.StatusInternalServerError
}

// problem answers with an error. The cause of an internal one is for the log
// only.
func (s *Server) problem(w http.ResponseWriter, req *http.Request, err error) {
	p := problem{Code: shield.CodeOf(err)}
	var e *shield.Error
	if errors.As(err, &e) && p.Code != shield.Internal {
		p.Field, p.Detail = e.Field, (&shield.Error{Message: e.Message, Code: e.Code}).Error()
	} else {
		s.opts.Log.Error("a request failed", "method", req.Method, "path", req.URL.Path, "err", err)
		p.Detail = "something is wrong with the daemon itself: its log has the cause"
	}
	s.status(w, statusOf(p.Code), p)
}

func (s *Server) status(w http.ResponseWriter, status int, p problem) {
	p.Status = status
	if p.Title == "" {
		p.Title = http.StatusText(status)
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(p) // the client is gone: nobody to tell
}

func (s *Server) json(w http.ResponseWriter, status int, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n'))
	return nil
}

// readBody returns a request's body, at most BodyLimit bytes.
func readBody(w http.ResponseWriter, req *http.Request) ([]byte, error) {
	b, err := io.ReadAll(http.MaxBytesReader(w, req.Body, BodyLimit))
	var tooBig *http.MaxBytesError
	if errors.As(err, &tooBig) {
		return nil, shield.Errorf(shield.Invalid, "", "the body has more than %d bytes", BodyLimit)
	}
	if err != nil {
		return nil, shield.Errorf(shield.Invalid, "", "the body cannot be read: %w", err)
	}
	return b, nil
}

// decode reads exactly one JSON value without unknown fields into v.
func decode(body []byte, v any) error {
	d := json.NewDecoder(newReader(body))
	d.DisallowUnknownFields()
	err := d.Decode(v)
	var typ *json.UnmarshalTypeError
	switch {
	case errors.As(err, &typ):
		return shield.FieldErrorf(typ.Field, "is a JSON %s: %s is wanted", typ.Value, typ.Type)
	case err != nil:
		return shield.Errorf(shield.Invalid, "", "the body is not the JSON object that was wanted: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return shield.Errorf(shield.Invalid, "", "the body has text behind its JSON object")
	}
	return nil
}

// filter reads the query parameters that lists share.
func (s *Server) filter(req bunrouter.Request) (shield.Filter, error) {
	q := queryOf(req)
	f := shield.Filter{
		Name: q.text("name"), Plugin: q.text("plugin"), Op: shield.Op(q.text("op")),
		Job:      q.text("job"),
		Statuses: q.list("status"),
		Used:     q.flag("used"), Paused: q.flag("paused"),
		After: q.time("after"), Before: q.time("before"), Limit: q.number("limit"),
	}
	f.Target = q.uuid(s, "target")
	f.Store = q.uuid(s, "store")
	f.Schedule = q.uuid(s, "schedule")
	f.Policy = q.uuid(s, "retention_policy")
	return f, q.finish()
}

// A query reads query parameters and remembers the first error.
type query struct {
	req    bunrouter.Request
	values map[string][]string
	err    error
}

func queryOf(req bunrouter.Request) *query {
	return &query{req: req, values: req.URL.Query()}
}

func (q *query) list(name string) []string {
	v := q.values[name]
	delete(q.values, name)
	return v
}

func (q *query) text(name string) string {
	v := q.list(name)
	if len(v) > 1 {
		q.fail(shield.FieldErrorf(name, "is given %d times", len(v)))
	}
	if len(v) == 0 {
		return ""
	}
	return v[0]
}

func (q *query) fail(err error) {
	if q.err == nil && err != nil {
		q.err = err
	}
}

func (q *query) flag(name string) *bool {
	text := q.text(name)
	if text == "" {
		return nil
	}
	b, err := strconv.ParseBool(text)
	if err != nil {
		q.fail(shield.FieldErrorf(name, "is %q: true or false is wanted", text))
	}
	return &b
}

func (q *query) number(name string) int {
	text := q.text(name)
	if text == "" {
		return 0
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		q.fail(shield.FieldErrorf(name, "is %q: a whole number, 0 or more, is wanted", text))
	}
	return n
}

func (q *query) time(name string) time.Time {
	text := q.text(name)
	if text == "" {
		return time.Time{}
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02", "20060102"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC()
		}
	}
	q.fail(shield.FieldErrorf(name, "is %q: a time like 2026-01-31T04:00:00Z or a date like 20260131 is wanted", text))
	return time.Time{}
}

// uuid reads a name or UUID of a noun and returns its UUID.
func (q *query) uuid(s *Server, name string) string {
	text := q.text(name)
	if text == "" || shield.IsUUID(text) {
		return text
	}
	id, err := s.lookup(q.req.Context(), name, text)
	q.fail(err)
	return id
}

// finish returns the first error; a parameter that nobody asked for is one.
func (q *query) finish() error {
	for name := range q.values {
		q.fail(shield.FieldErrorf(name, "is not a parameter of this list"))
	}
	return q.err
}
