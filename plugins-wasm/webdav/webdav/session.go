package webdav

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugins-wasm/internal/rest"
)

// A session is the requests of one operation. It is not safe for concurrent
// use: servers may want the uses of a nonce in order.
type session struct {
	*store
	auth auth
}

func (s *store) session() *session { return &session{store: s, auth: s.auth} }

// url returns that of a file or folder; the name of a folder ends in a slash,
// or is empty for the base.
func (s *store) url(name string) *url.URL {
	u, err := url.Parse(s.base.String() + "/" + rest.Escape(name, false))
	if err != nil {
		panic(err) // both parts are escaped
	}
	return u
}

// request returns one without a body.
func (s *session) request(op, method, name string) *rest.Request {
	return &rest.Request{
		Op: op, Method: method, URL: s.url(name), Header: http.Header{},
		Sign: func(_ context.Context, r *http.Request) error {
			s.auth.sign(r)
			return nil
		},
	}
}

// do sends a request and returns the answer, whatever it says. It asks again
// what a proof is wanted for, and for what is locked: some servers lock a file
// while a request for it is under way, also one that has been given up.
func (s *session) do(ctx context.Context, r *rest.Request) (*rest.Answer, error) {
	for try, asked := 0, false; ; {
		a, err := s.client.Do(ctx, r)
		if err != nil {
			return nil, err
		}
		s.auth.note(a.Status, a.Header)
		switch {
		case a.Status == http.StatusUnauthorized && !asked && s.auth.learn(a.Header):
			asked = true
		case a.Status == http.StatusLocked && try < s.client.Retries:
			if err := s.client.Pause(ctx, r.Op, try, a, s.problem(r.Op, a)); err != nil {
				return nil, err
			}
			try++
		default:
			return a, nil
		}
	}
}

// open sends a request once and returns the answer with its body unread, or,
// if its status is not one of those wanted, the error that it stands for.
func (s *session) open(ctx context.Context, r *rest.Request, wanted ...int) (*rest.Exchange, error) {
	for asked := false; ; asked = true {
		x, err := s.client.Stream(ctx, r)
		if err != nil {
			return nil, err
		}
		s.auth.note(x.Status, x.Header)
		for _, status := range wanted {
			if x.Status == status {
				return x, nil
			}
		}
		a, err := readAnswer(x)
		if err != nil {
			return nil, err
		}
		if a.Status != http.StatusUnauthorized || asked || !s.auth.learn(a.Header) {
			return nil, &refused{s.problem(r.Op, a), a}
		}
	}
}

// refused is an answer that was not the wanted one, and the error that it
// stands for.
type refused struct {
	error
	answer *rest.Answer
}

func (r *refused) Unwrap() error { return r.error }

// answerOf returns the answer that an error was made of, nil if there was
// none.
func answerOf(err error) *rest.Answer {
	var r *refused
	if errors.As(err, &r) {
		return r.answer
	}
	return nil
}

// answerLimit bounds what is read of an answer that is not the wanted one.
const answerLimit = 64 << 10

func readAnswer(x *rest.Exchange) (*rest.Answer, error) {
	defer x.Close()
	b, err := io.ReadAll(io.LimitReader(x, answerLimit))
	if err != nil {
		return nil, err
	}
	return &rest.Answer{Status: x.Status, Header: x.Header, Body: b}, nil
}

// skewLimit is how far clocks may differ before a refused proof is explained
// by it: tokens are good for minutes.
const skewLimit = 5 * time.Minute

// problem returns what an answer that is not the wanted one means.
func (s *session) problem(op string, a *rest.Answer) error {
	code := rest.StatusCode(a.Status)
	text := a.Words("", explain(a))
	switch {
	case a.Status == http.StatusUnauthorized:
		text += "; " + s.auth.refusal(a.Header)
		if skew := rest.ClockSkew(a.Header, time.Now(), skewLimit); skew != "" {
			text += "; " + skew
		}
	case a.Status >= 300 && a.Status < 400:
		text += " to " + location(a.Header) + ", which is not followed: name the place itself as the url"
	case words[a.Status] != "":
		text += "; " + words[a.Status]
	}
	if a.Status == http.StatusLocked {
		code = shield.Locked
	}
	return &shield.Error{Code: code, Message: fmt.Sprintf("%s: %s: %s", s.client.Place, op, text)}
}

// words explain what the statuses of a server leave to be guessed. It is never
// written to.
var words = map[int]string{
	http.StatusMethodNotAllowed:      "the server does not do this here: is the url a folder of its WebDAV service?",
	http.StatusProxyAuthRequired:     "the proxy wants a password, which is not supported",
	http.StatusRequestEntityTooLarge: "the server, or a proxy before it, limits how large a file may be: raise that limit",
	http.StatusLocked:                "somebody has locked the file",
	http.StatusInsufficientStorage:   "no room is left on the server, or the user's quota is used up",
}

// explain returns what an answer says for people, as far as it is short.
func explain(a *rest.Answer) string {
	text := strings.TrimSpace(string(a.Body))
	if strings.HasPrefix(text, "<") {
		// sabre/dav, and so ownCloud and Nextcloud, say it in XML.
		var e struct {
			Message string `xml:"message"`
		}
		if xml.NewDecoder(bytes.NewReader(a.Body)).Decode(&e) != nil {
			return ""
		}
		text = strings.TrimSpace(e.Message)
	}
	if len(text) > 300 || strings.ContainsAny(text, "\r\n") {
		return ""
	}
	return text
}

// location returns where a redirect leads, without what may be secret.
func location(h http.Header) string {
	u, err := url.Parse(h.Get("Location"))
	if err != nil {
		return "elsewhere"
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}
