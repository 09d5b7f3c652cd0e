// Package storewire carries a plugin.Store over HTTP: Handler serves one, and
// Store is one whose calls go to a Handler. Both ends of a stream count and
// hash it, and compare before it may end well.
//
//	PUT    /blob?key=K[&until=T]  the body is the blob; its length and digest are trailers
//	GET    /blob?key=K            so are those of the answer
//	DELETE /blob?key=K
//	GET    /list?prefix=P         an object a line, then a line that says how it ended
//	POST   /test
package storewire

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/zeebo/blake3"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
)

// Trailers of a stream.
const (
	lengthTrailer = "Shield-Length"
	digestTrailer = "Shield-Digest"
	errorTrailer  = "Shield-Error"
)

// A Failure is an error on the wire.
type Failure struct {
	Code    shield.Code `json:"code"`
	Field   string      `json:"field,omitempty"`
	Message string      `json:"message"`
	Until   time.Time   `json:"until,omitzero"`
	// MayPass says whether the same may go well later, which the code alone
	// does not tell of an error with a cause.
	MayPass bool `json:"may_pass"`
}

// FailureOf returns nil for nil.
func FailureOf(err error) *Failure {
	if err == nil {
		return nil
	}
	f := &Failure{Code: shield.CodeOf(err), Message: err.Error(), Until: shield.UntilOf(err), MayPass: shield.MayPass(err)}
	var e *shield.Error
	if errors.As(err, &e) {
		f.Field, f.Message = e.Field, err.Error()
		if e == err && e.Op == "" {
			f.Message = e.Message
		}
	}
	return f
}

// Err returns the error that a Failure is.
func (f *Failure) Err() error {
	if f == nil {
		return nil
	}
	e := &shield.Error{Code: f.Code, Field: f.Field, Message: f.Message, Until: f.Until}
	if !f.MayPass && f.Code.MayPass() {
		e.Err = &shield.Error{Code: shield.Invalid, Message: f.Message} // its cause was one that does not pass
	}
	return e
}

// WriteError answers with an error.
func WriteError(w http.ResponseWriter, err error) {
	status := http.StatusBadGateway
	switch shield.CodeOf(err) {
	case shield.Invalid:
		status = http.StatusBadRequest
	case shield.Unauthorized:
		status = http.StatusUnauthorized
	case shield.Forbidden:
		status = http.StatusForbidden
	case shield.NotFound:
		status = http.StatusNotFound
	case shield.Conflict, shield.InUse:
		status = http.StatusConflict
	case shield.Unavailable:
		status = http.StatusServiceUnavailable
	}
	WriteJSON(w, status, FailureOf(err))
}

// WriteJSON answers with v.
func WriteJSON(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		status, b = http.StatusInternalServerError, []byte(`{"code":"internal","message":"the answer cannot be written as JSON"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(b)
}

// ReadError returns the error that a response is, nil for a good one.
func ReadError(resp *http.Response) error {
	if resp.StatusCode < 300 {
		return nil
	}
	b, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	return ParseError(resp.Status, b)
}

// ParseError returns the error in the body of an answer that is none.
func ParseError(status string, body []byte) error {
	var f Failure
	if json.Unmarshal(body, &f) != nil || f.Code == "" {
		return shield.Errorf(shield.Unavailable, "", "the other side answered %s: is it shield?", status)
	}
	return f.Err()
}

// A meter counts and hashes what is read.
type meter struct {
	r    io.Reader
	n    int64
	hash hash.Hash
	// known, if not nil, has the digest: it is not computed here.
	known plugin.Digester
	// ended is set when all was read: before that, nothing else here may be
	// looked at by another than the reader.
	ended atomic.Bool
}

func newMeter(r io.Reader) *meter { return &meter{r: r, hash: blake3.New()} }

func (m *meter) Read(p []byte) (int, error) {
	n, err := m.r.Read(p)
	m.n += int64(n)
	if m.known == nil {
		m.hash.Write(p[:n])
	}
	if err == io.EOF {
		m.ended.Store(true)
	}
	return n, err
}

func (m *meter) digest() string {
	if m.known != nil {
		return m.known.Digest()
	}
	return fmt.Sprintf("blake3:%x", m.hash.Sum(nil))
}

func (m *meter) trailers(h http.Header) {
	h.Set(lengthTrailer, strconv.FormatInt(m.n, 10))
	h.Set(digestTrailer, m.digest())
}

// check compares what was read with what the other side has sent.
func (m *meter) check(h http.Header) error {
	if text := h.Get(errorTrailer); text != "" {
		return ParseError("", []byte(text))
	}
	length, digest := h.Get(lengthTrailer), h.Get(digestTrailer)
	switch {
	case length == "" || digest == "":
		return shield.Errorf(shield.Unavailable, "", "the stream was cut off after %d bytes: %w", m.n, io.ErrUnexpectedEOF)
	case length != strconv.FormatInt(m.n, 10) || digest != m.digest():
		return shield.Errorf(shield.Corrupt, "", "the stream was changed on its way: %s bytes with digest %.80s were sent, %d with %s arrived", length, digest, m.n, m.digest())
	}
	return nil
}

// received is what a Handler answers to a PUT.
type received struct {
	Stored plugin.Stored `json:"stored"`
	Size   int64         `json:"size"` // that arrived
	Digest string        `json:"digest"`
}

// A listed line is an object, or the end of the list.
type listed struct {
	Object *plugin.Object `json:"object,omitempty"`
	End    bool           `json:"end,omitempty"`
	Error  *Failure       `json:"error,omitempty"`
}
