package server

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/shieldhq/shield"
)

const (
	// beat is how often a stream without news shows that it is alive, and look
	// how often one looks for events.
	beat = 15 * time.Second
	look = 500 * time.Millisecond
	// eventBatch is how many events are read at once.
	eventBatch = 200
)

func (s *Server) mountStreams() {
	raw(s, operation{
		method: "GET", path: "/v1/tasks/{ref}/log", id: "streamTask", tag: "Tasks", role: shield.RoleViewer, streamed: true,
		summary: "Stream the log of a task until it ends, as server-sent events",
	}, "text/event-stream", s.streamTask)
}

// A stream sends messages to one client, server-sent events of the HTML
// standard. A client that reads nothing is dropped; nobody waits for it.
type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

// newStream begins a stream. Where a proxy collects answers, it is told not to.
func newStream(c *call) *stream {
	h := c.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no")
	c.w.WriteHeader(http.StatusOK)
	return &stream{c.w, http.NewResponseController(c.w)}
}

// send sends one message whose data is v as JSON. One without an id leaves the
// place at which the stream would go on.
func (t *stream) send(id, event string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if id != "" {
		id = "id: " + id + "\n"
	}
	return t.write(fmt.Sprintf("%sevent: %s\ndata: %s\n\n", id, event, b))
}

// alive sends what clients pass over.
func (t *stream) alive() error { return t.write(":\n\n") }

func (t *stream) write(text string) error {
	if _, err := t.w.Write([]byte(text)); err != nil {
		return err
	}
	return t.control.Flush()
}

// since returns the number of the last message that the client has seen.
func (c *call) since() (n int64, given bool, err error) {
	text := c.req.Header.Get("Last-Event-ID")
	if text == "" {
		return 0, false, nil
	}
	if n, err = strconv.ParseInt(text, 10, 64); err != nil || n < 0 {
		return 0, true, shield.FieldErrorf("Last-Event-ID", "is %.100q: the id of a message of this stream is wanted", text)
	}
	return n, true, nil
}

// A LoggedLine is one line of a task's log.
type LoggedLine struct {
	Line string `json:"line"`
}

// streamTask sends the lines of a task's log as they come, "line", what the task
// is, "task", when that changes, and, once it has ended, "end". The id is the
// number of the next line.
func (s *Server) streamTask(ctx context.Context, c *call) error {
	since, _, err := c.since()
	if err != nil {
		return err
	}
	after := int(min(since, 1<<30))
	t, lines, next, err := s.scheduler.Follow(ctx, c.ref(), after, 0)
	if err != nil {
		return err
	}
	out := newStream(c)
	seen, asked := "", time.Now()
	for {
		for n, line := range lines {
			id := ""
			if len(lines) == next-after || n == len(lines)-1 { // where lines were cut, only the last has a known number
				id = strconv.Itoa(next - len(lines) + n + 1)
			}
			if err := out.send(id, "line", LoggedLine{line}); err != nil {
				return nil // the client is gone
			}
		}
		t.Log, after = "", next
		ended := t.Status.Final()
		state := "task"
		if ended {
			state = "end"
		}
		if now := fmt.Sprint(t.Status, t.Attempts, t.Progress, t.NotBefore); now != seen || ended {
			seen = now
			if err := out.send("", state, s.shown(t)); err != nil {
				return nil
			}
		} else if out.alive() != nil {
			return nil
		}
		if ended || s.over(ctx) || !c.stillMay(&asked) {
			return nil
		}
		if t, lines, next, err = s.scheduler.Follow(ctx, c.ref(), after, beat); err != nil {
			return nil // said by the end of the stream: the client asks again
		}
	}
}

// stillMay asks, once a beat, whether whoever made the request may still make
// it: a stream can outlive a session, a token and a role.
func (c *call) stillMay(asked *time.Time) bool {
	if time.Since(*asked) < beat {
		return true
	}
	*asked = time.Now()
	p, err := c.server.opts.Authenticate(c.req.Request)
	return err == nil && p.Role.Allows(c.op.role)
}

// over reports whether a stream is to end: its client has gone, or the server
// closes.
func (s *Server) over(ctx context.Context) bool {
	select {
	case <-s.closing:
		return true
	default:
		return ctx.Err() != nil
	}
}

// wantsStream reports whether a client asks for server-sent events.
func wantsStream(h http.Header) bool {
	return strings.Contains(h.Get("Accept"), "text/event-stream")
}

// serveEvents answers with what happened: a page of a list, or a stream.
func (s *Server) serveEvents(ctx context.Context, c *call) error {
	if wantsStream(c.req.Header) {
		return s.streamEvents(ctx, c)
	}
	all, err := paged(ctx, c, eventPager, s.catalog.Events)
	if err != nil {
		return err
	}
	return s.json(c.w, http.StatusOK, all)
}

// streamEvents sends what happens from now on, or from behind the last event
// that the client has seen. The id is the event's own, so that none is lost over
// a reconnect.
func (s *Server) streamEvents(ctx context.Context, c *call) error {
	since, given, err := c.since()
	if err != nil {
		return err
	}
	if !given {
		newest, err := s.catalog.Events(ctx, shield.Filter{Limit: 1})
		if err != nil {
			return err
		}
		for _, e := range newest {
			since = e.ID
		}
	}
	out := newStream(c)
	if out.alive() != nil {
		return nil
	}
	asked := time.Now()
	for quiet := asked; !s.over(ctx) && c.stillMay(&asked); {
		some, err := s.catalog.Events(ctx, shield.Filter{Since: &since, Limit: eventBatch})
		if err != nil {
			return nil // the client asks again
		}
		for _, e := range some {
			if out.send(strconv.FormatInt(e.ID, 10), string(e.Kind), e) != nil {
				return nil
			}
			since, quiet = e.ID, time.Now()
		}
		if time.Since(quiet) > beat {
			if out.alive() != nil {
				return nil
			}
			quiet = time.Now()
		}
		if len(some) < eventBatch {
			s.wait(ctx, look)
		}
	}
	return nil
}

// wait waits, unless the stream is to end.
func (s *Server) wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-s.closing:
	case <-t.C:
	}
}

// Close ends the streams, so that the HTTP server can be shut down. Clients go
// on at another server, or at this one when it is back.
func (s *Server) Close() { s.closeOnce.Do(func() { close(s.closing) }) }
