package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/shieldhq/shield"
)

// BodyLimit is the size, in bytes, of the largest request body.
const BodyLimit = 2 << 20

// strangerLimit is that of a request from who has yet to log in.
const strangerLimit = 16 << 10

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
	case shield.Locked:
		return http.StatusLocked
	case shield.Unauthorized:
		return http.StatusUnauthorized
	case shield.Forbidden:
		return http.StatusForbidden
	case shield.Throttled:
		return http.StatusTooManyRequests
	case shield.Unavailable, shield.Interrupted:
		return http.StatusServiceUnavailable
	case shield.TimedOut:
		return http.StatusGatewayTimeout
	case shield.TargetFailed, shield.StoreFailed, shield.PluginFailed, shield.Corrupt:
		return http.StatusBadGateway
	}
	return http.StatusInternalServerError
}

// problem answers with an error.
func (s *Server) problem(w http.ResponseWriter, req *http.Request, err error) {
	p := problem{Code: shield.CodeOf(err), Detail: s.explain(req, err)}
	var e *shield.Error
	if errors.As(err, &e) && p.Code != shield.Internal {
		p.Field = e.Field
	}
	status := statusOf(p.Code)
	if errors.As(err, new(stale)) {
		status = http.StatusPreconditionFailed
	}
	s.status(w, status, p)
}

// gone is the error of a request whose client did not wait for the answer, which
// is no failure of the daemon.
func gone(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, context.Canceled) && shield.CodeOf(err) == shield.Internal {
		return shield.Errorf(shield.Canceled, "", "the client has gone: %w", err)
	}
	return err
}

// explain is what clients are told of an error. The cause of an internal one
// is for the log only.
func (s *Server) explain(req *http.Request, err error) string {
	var e *shield.Error
	if errors.As(err, &e) && e.Code != shield.Internal {
		return (&shield.Error{Message: e.Message, Code: e.Code}).Error()
	}
	s.opts.Log.Error("a request failed", "method", req.Method, "path", req.URL.Path, "from", hostOf(req.RemoteAddr), "err", err)
	return "something is wrong with the daemon itself: its log has the cause"
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

// readBody returns a request's body, at most so many bytes.
func readBody(w http.ResponseWriter, req *http.Request, most int64) ([]byte, error) {
	b, err := io.ReadAll(http.MaxBytesReader(w, req.Body, most))
	var tooBig *http.MaxBytesError
	if errors.As(err, &tooBig) {
		return nil, shield.Errorf(shield.Invalid, "", "the body has more than %d bytes", most)
	}
	if err != nil {
		return nil, shield.Errorf(shield.Invalid, "", "the body cannot be read: %w", err)
	}
	if !utf8.Valid(b) { // encoding/json would change what is not
		return nil, shield.Errorf(shield.Invalid, "", "the body is not valid UTF-8")
	}
	return b, nil
}

// decode reads exactly one JSON value without unknown fields into v.
func decode(body []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return decodeError(err)
	}
	if _, err := d.Token(); err != io.EOF {
		return shield.Errorf(shield.Invalid, "", "the body has text behind its JSON object")
	}
	return nil
}

func decodeError(err error) error {
	var typ *json.UnmarshalTypeError
	if errors.As(err, &typ) {
		field := typ.Field[strings.LastIndex(typ.Field, ".")+1:] // without the name of what is embedded
		if field == "" {
			return shield.Errorf(shield.Invalid, "", "the body is a JSON %s: an object is wanted", typ.Value)
		}
		return shield.FieldErrorf(field, "is a JSON %s: %s is wanted", typ.Value, jsonName(typ.Type))
	}
	if quoted, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		if name, err := strconv.Unquote(quoted); err == nil {
			return shield.FieldErrorf(fmt.Sprintf("%.100s", name), "is not a field of this")
		}
	}
	if errors.Is(err, io.EOF) {
		return shield.Errorf(shield.Invalid, "", "the body is empty: a JSON object is wanted")
	}
	return shield.Errorf(shield.Invalid, "", "the body is not the JSON object that was wanted: %w", err)
}

// jsonName is what a Go type is called in JSON.
func jsonName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int64:
		return "a whole number"
	}
	return "an object"
}
