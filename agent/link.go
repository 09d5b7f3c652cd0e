package agent

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/coder/websocket"
	"github.com/hashicorp/yamux"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/storewire"
)

// muxConfig is that of both ends of a link. The window is what a stream can
// have under way: throughput is that by the time of a round trip.
func muxConfig() *yamux.Config {
	c := yamux.DefaultConfig()
	c.KeepAliveInterval = 15 * time.Second // less than proxies let a connection be idle
	c.ConnectionWriteTimeout = 20 * time.Second
	c.MaxStreamWindowSize = 4 << 20
	c.LogOutput = io.Discard // what it logs is told by errors, too
	return c
}

// steady is how long a link must have held for the next pause to be short.
const steady = time.Minute

// dialOut keeps a link to the daemon until ctx is done.
func (a *Agent) dialOut(ctx context.Context) error {
	if err := a.join(ctx); err != nil {
		return err
	}
	for wait := newBackoff(); ; {
		began := time.Now()
		err := a.linkOnce(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if time.Since(began) > steady {
			wait = newBackoff()
		}
		pause := wait.next()
		a.log.Warn("no link to the daemon", "again in", pause.Round(time.Millisecond), "err", err)
		if !sleep(ctx, pause) {
			return ctx.Err()
		}
	}
}

// linkOnce opens a link and serves it until it ends.
func (a *Agent) linkOnce(ctx context.Context) error {
	dial, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	c, resp, err := websocket.Dial(dial, a.daemon.base+"/v1/link", &websocket.DialOptions{
		HTTPClient: a.daemon.bulk,
		HTTPHeader: http.Header{
			instanceHeader: {a.instance}, releaseHeader: {a.opts.Release},
			protocolHeader: {strconv.Itoa(Protocol)}, nameHeader: {a.opts.Name},
		},
	})
	if err != nil {
		return a.refused(ctx, resp, err)
	}
	// The link outlives the time to dial. A message of yamux is bounded by its
	// window, which the websocket does not know.
	c.SetReadLimit(-1)
	session, err := yamux.Server(websocket.NetConn(ctx, c, websocket.MessageBinary), muxConfig())
	if err != nil {
		_ = c.CloseNow()
		return err
	}
	a.log.Info("linked to the daemon", "core", a.opts.Core)
	return a.serveLink(ctx, session)
}

// refused returns what the daemon said of a link that it did not take. It
// wants nothing any more of an agent that it has deleted.
func (a *Agent) refused(ctx context.Context, resp *http.Response, err error) error {
	if resp != nil && resp.StatusCode != http.StatusSwitchingProtocols && resp.Body != nil {
		b, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
		err := storewire.ParseError(resp.Status, b)
		var e *shield.Error
		if errors.As(err, &e) && e.Code == shield.Unauthorized && e.Field == deletedField {
			a.cancelAll(shield.Errorf(shield.Interrupted, "", "interrupted: the daemon has deleted this agent"))
		}
		return err
	}
	return a.daemon.unreachable(ctx, err)
}

// serveLink answers the daemon until the link ends.
func (a *Agent) serveLink(ctx context.Context, session *yamux.Session) error {
	stop := context.AfterFunc(ctx, func() { _ = session.Close() })
	defer stop()
	defer session.Close()
	s := &http.Server{Handler: a.api(), ReadHeaderTimeout: time.Minute, IdleTimeout: 5 * time.Minute}
	err := s.Serve(session)
	_ = s.Close()
	return cmp.Or(context.Cause(ctx), endOf(err))
}

// endOf is why a link ended.
func endOf(err error) error {
	if err == nil || errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, yamux.ErrSessionShutdown) {
		return shield.Errorf(shield.Unavailable, "", "the link ended")
	}
	return shield.Errorf(shield.Unavailable, "", "the link ended: %w", err)
}
