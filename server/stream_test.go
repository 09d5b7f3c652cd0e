package server_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/server"
)

// A message is one of a stream.
type message struct{ id, event, data string }

// follow reads a stream behind the message with the id last, until see returns
// false or the stream ends.
func (f *fixture) follow(path, last string, see func(message) bool) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "GET", f.url+path, http.NoBody)
	f.must(err)
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Accept", "text/event-stream")
	if last != "" {
		req.Header.Set("Last-Event-ID", last)
	}
	resp, err := http.DefaultClient.Do(req)
	f.must(err)
	defer resp.Body.Close()
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "text/event-stream" {
		f.t.Fatalf("%s: %s %s", path, resp.Status, resp.Header.Get("Content-Type"))
	}
	var m message
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ": ")
		switch name {
		case "id":
			m.id = value
		case "event":
			m.event = value
		case "data":
			m.data = value
		case "":
			if m.event != "" && !see(m) {
				return
			}
			m = message{}
		}
	}
	if ctx.Err() != nil {
		f.t.Fatalf("%s: %v", path, ctx.Err())
	}
}

// TestStreamTask reads the log of a task that runs, loses the connection after
// every line, and has seen every line once when the task has ended.
func TestStreamTask(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.setUp("a")
	task := hang(f, "a")
	path := "/v1/tasks/" + task.UUID + "/log"
	var seen []string
	last := ""
	line := func(m message) bool {
		if m.event != "line" {
			return true
		}
		var l server.LoggedLine
		f.must(json.Unmarshal([]byte(m.data), &l))
		seen, last = append(seen, l.Line), m.id
		return false
	}
	f.follow(path, last, line)
	if len(seen) != 1 || last != "1" {
		t.Fatalf("seen %q, the id is %q", seen, last)
	}
	_, err := f.client.CancelTask(t.Context(), task.UUID)
	f.must(err)
	for ended := false; !ended; {
		f.follow(path, last, func(m message) bool {
			if m.event == "end" {
				ended = strings.Contains(m.data, `"status":"canceled"`)
				return false
			}
			return line(m)
		})
	}
	whole, err := f.client.Tasks().Get(t.Context(), task.UUID)
	f.must(err)
	if got := strings.Join(seen, "\n"); got != whole.Log {
		t.Errorf("seen:\n%s\nkept:\n%s", got, whole.Log)
	}
	for _, c := range []struct{ path, last, field string }{
		{path, "x", "Last-Event-ID"}, {path, "-1", "Last-Event-ID"}, {"/v1/events", "1.5", "Last-Event-ID"}, {"/v1/tasks/nope/log", "", ""},
	} {
		req := httpGet(f.url + c.path)
		req.Header.Set("Authorization", "Bearer "+token)
		req.Header.Set("Accept", "text/event-stream")
		req.Header.Set("Last-Event-ID", c.last)
		if p := f.refused(f.send(req)); p.Field != c.field || p.Status >= 500 {
			t.Errorf("%s behind %q: %+v", c.path, c.last, p)
		}
	}
}

// TestStreamEvents: what happens while no connection is there is not lost.
func TestStreamEvents(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	record := func(n int) {
		f.must(f.catalog.RecordEvent(context.Background(), &shield.Event{Kind: "test.made", Message: fmt.Sprint(n)}))
	}
	var seen []string
	last := ""
	take := func(m message) bool {
		var e shield.Event
		f.must(json.Unmarshal([]byte(m.data), &e))
		if m.event == "test.made" && m.id == fmt.Sprint(e.ID) {
			seen = append(seen, e.Message)
		}
		last = m.id
		return len(seen)%2 != 0
	}
	record(0) // before there is a stream
	go func() {
		time.Sleep(100 * time.Millisecond) // the stream is there, most probably; from behind 0 it sees these anyway
		record(1)
		record(2)
	}()
	f.follow("/v1/events", "1", take)
	for n := 3; n < 3+2*300; n++ { // more than are read at once
		record(n)
	}
	for len(seen) < 2+2*300 {
		f.follow("/v1/events", last, take)
		if len(seen) > 20 { // one connection for the rest
			f.follow("/v1/events", last, func(m message) bool { take(m); return len(seen) < 2+2*300 })
		}
	}
	for n, text := range seen {
		if text != fmt.Sprint(n+1) {
			t.Fatalf("number %d is event %s", n+1, text)
		}
	}
}

// TestStreamsClose: streams end when the server closes.
func TestStreamsClose(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		f.follow("/v1/events", "", func(message) bool { return true })
	}()
	f.handler.(*server.Server).Close()
	f.handler.(*server.Server).Close()
	<-done
}

// TestStalledClient: a client that stops reading is dropped, and nobody waits
// for it.
func TestStalledClient(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for range 100 {
		f.must(f.catalog.RecordEvent(t.Context(), &shield.Event{Kind: "test.made", Message: strings.Repeat("x", 100_000)}))
	}
	f.handler.(*server.Server).SetPatience(100 * time.Millisecond)
	left := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		f.handler.ServeHTTP(w, req)
		close(left)
	}))
	defer s.Close()
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	f.must(err)
	defer conn.Close()
	f.must(conn.(*net.TCPConn).SetReadBuffer(4096))
	_, err = fmt.Fprintf(conn, "GET /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nAccept: text/event-stream\r\nLast-Event-ID: 0\r\n\r\n", token)
	f.must(err)
	seen := 0
	f.follow("/v1/events", "0", func(message) bool { seen++; return seen < 100 }) // others are served meanwhile
	<-left
	if seen != 100 {
		t.Errorf("another client saw %d events", seen)
	}
}
