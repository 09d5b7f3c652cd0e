package server_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/server"
)

// A hasty is a server that gives requests hardly any time to come.
type hasty struct {
	t   *testing.T
	url string
}

func newHasty(t *testing.T, h http.Handler) hasty {
	s := httptest.NewUnstartedServer(h)
	s.Config.ReadTimeout = 100 * time.Millisecond
	s.Start()
	t.Cleanup(s.Close)
	return hasty{t, s.URL}
}

// pass returns when the time is over that a request had to come which was there
// before: when that of one is that never comes.
func (h hasty) pass() error {
	conn, err := net.Dial("tcp", h.url[len("http://"):])
	if err != nil {
		return err
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "GET / HTT")
	_, err = io.ReadAll(conn)
	return err
}

// begin sends a request and returns its answer, which may go on.
func (h hasty) begin(method, path string, body io.Reader, headers ...string) *http.Response {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), time.Minute)
	h.t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, method, h.url+path, body)
	if err != nil {
		h.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { resp.Body.Close() })
	return resp
}

// TestStreamOutlivesRequest: the time that a request may take to come is not that
// of the answer. A stream that is open when it ends still tells what happens
// afterwards.
func TestStreamOutlivesRequest(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	h := newHasty(t, f.handler)
	resp := h.begin("GET", "/v1/events", http.NoBody, "Accept", "text/event-stream", "Last-Event-ID", "0")
	for n := range 3 {
		f.must(h.pass())
		f.must(f.catalog.RecordEvent(context.Background(), &shield.Event{Kind: "test.made", Message: fmt.Sprint(n)}))
		want := fmt.Appendf(nil, `"message":"%d"`, n)
		for got := []byte{}; !bytes.Contains(got, want); {
			some := make([]byte, 4096)
			k, err := resp.Body.Read(some)
			if err != nil {
				t.Fatalf("the stream ended before event %d: %v", n, err)
			}
			got = append(got, some[:k]...)
		}
	}
}

// TestContentOutlivesRequest: nor is it that of a download.
func TestContentOutlivesRequest(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.setUp("a")
	want := make([]byte, 16<<20) // more than connections keep
	_, _ = rand.Read(want)
	f.memory.SetTarget("a", want)
	a := f.backup("a")
	h := newHasty(t, f.handler)
	resp := h.begin("GET", "/v1/archives/"+a.UUID+"/content?opened=true", http.NoBody)
	f.must(h.pass())
	if got, err := io.ReadAll(resp.Body); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes of %d, %v", len(got), len(want), err)
	}
}

// slowLibrary compiles for longer than a request may take to come.
type slowLibrary struct {
	server.Library
	pass func() error
}

func (l slowLibrary) Inspect(ctx context.Context, _ string, module []byte) (*plugin.Proposal, error) {
	err := errors.Join(l.pass(), ctx.Err())
	if len(module) != 3 {
		err = fmt.Errorf("the module has %d bytes", len(module))
	}
	return &plugin.Proposal{}, err
}

// TestWorkOutlivesRequest: nor is it that of what a request asks for, whose body
// may come slowly, too, if it is large.
func TestWorkOutlivesRequest(t *testing.T) {
	t.Parallel()
	l := &slowLibrary{}
	h := newHasty(t, server.New(nilCatalog{}, nil, failing{}, nil, server.Options{Token: token, Library: l}))
	l.pass = h.pass
	body, in := io.Pipe()
	go func() {
		for _, part := range []string{"w", "a", "s"} {
			if _, err := io.WriteString(in, part); err != nil {
				return
			}
			if err := h.pass(); err != nil {
				in.CloseWithError(err)
				return
			}
		}
		in.Close()
	}()
	if resp := h.begin("POST", "/v1/modules/inspect", body); resp.StatusCode != 200 {
		b, _ := io.ReadAll(resp.Body)
		t.Errorf("%s: %s", resp.Status, b)
	}
}

// TestUnreadAnswer: a client that asks and reads nothing is cut off, and others are
// answered.
func TestUnreadAnswer(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.handler.(*server.Server).SetPatience(200 * time.Millisecond)
	conn, err := net.Dial("tcp", f.url[len("http://"):])
	f.must(err)
	defer conn.Close()
	f.must(conn.(*net.TCPConn).SetReadBuffer(4096))
	asked := make(chan error, 1)
	go func() { // until nobody listens any more
		for {
			if _, err := io.WriteString(conn, "GET /v1/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
				asked <- err
				return
			}
		}
	}()
	select {
	case <-asked:
	case <-time.After(time.Minute):
		t.Error("who reads nothing is served on")
	}
	resp := hasty{t, f.url}.begin("GET", "/v1/openapi.json", http.NoBody)
	got, err := io.ReadAll(resp.Body)
	want, docErr := f.handler.(*server.Server).Document()
	if err != nil || docErr != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes of %d, %v", len(got), len(want), err)
	}
}
