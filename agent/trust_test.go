package agent_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/hashicorp/yamux"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/agent"
	"github.com/shieldhq/shield/internal/faultproxy"
	"github.com/shieldhq/shield/internal/pki"
	"github.com/shieldhq/shield/plugin"
)

// token makes one that an agent can join with.
func (c *core) token(name string) shield.Secret {
	c.t.Helper()
	token := c.authority.NewToken()
	now := time.Now().UTC()
	c.check(c.catalog.CreateAgentToken(c.t.Context(), &shield.AgentToken{Name: name, Digest: token.Digest(), CreatedAt: now, ExpiresAt: now.Add(time.Hour)}))
	return shield.Secret(token.Reveal())
}

// start starts an agent on a folder. stop ends it and returns why it ended.
func (c *core) start(o agent.Options) (stop func() error) {
	c.t.Helper()
	o.Proxy = func(*http.Request) (*url.URL, error) { return nil, nil }
	a, err := agent.New(o)
	c.check(err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx); close(ended) }()
	stop = func() error { cancel(); return <-ended }
	c.t.Cleanup(func() { _ = stop() })
	return stop
}

// TestExpiredCertificate starts an agent whose certificate has expired while it
// was away: it says what to do, and that works.
func TestExpiredCertificate(t *testing.T) {
	t.Parallel()
	c := newCore(t, func(o *agent.DispatcherOptions) { o.Life = time.Second })
	o := agent.Options{Name: "a", Core: c.url, Dir: t.TempDir(), Host: &idle{}}
	joined := make(chan struct{}, 1)
	o.Token, o.Joined = c.token("a"), func() { joined <- struct{}{} }
	stop := c.start(o)
	<-joined
	c.check(stop())
	was, err := c.catalog.Agent(t.Context(), "a")
	c.check(err)
	c.until("the certificate has expired", func() bool { return time.Now().After(was.ExpiresAt) })

	o.Token, o.Proxy = "", func(*http.Request) (*url.URL, error) { return nil, nil }
	late, err := agent.New(o)
	c.check(err)
	err = late.Run(t.Context())
	if !errors.Is(err, shield.Unauthorized) || !strings.Contains(err.Error(), "expired at 20") || !strings.Contains(err.Error(), "`shield delete agent a`, then join with a new token") {
		t.Errorf("%v, want what to do", err)
	}
	c.check(c.catalog.DeleteAgent(t.Context(), "a"))
	o.Token = c.token("a")
	c.start(o)
	<-joined
}

// TestTwoAgentsOneFolder starts a second agent on the folder of one that lives.
func TestTwoAgentsOneFolder(t *testing.T) {
	t.Parallel()
	o := agent.Options{Name: "a", Core: "https://127.0.0.1:1", Dir: t.TempDir(), Host: &idle{}}
	_, err := agent.New(o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := agent.New(o); !errors.Is(err, shield.Conflict) {
		t.Errorf("%v, want Conflict", err)
	}
}

// holding is a host whose tasks last until they are let go.
type holding struct {
	idle
	began, proceed chan struct{}
	canceled       atomic.Bool
}

func (h *holding) Run(ctx context.Context, _ *agent.Order, _, _ *plugin.Registry, _ agent.Seal, _ shield.Monitor) (shield.TaskResult, error) {
	close(h.began)
	select {
	case <-h.proceed:
		return shield.TaskResult{}, nil
	case <-ctx.Done():
		h.canceled.Store(true)
		return shield.TaskResult{}, context.Cause(ctx)
	}
}

// TestImpostor puts something at the daemon's address, while an agent runs a
// task, that has an authority of its own and says of every agent that it was
// deleted. The agent asks it nothing and goes on.
func TestImpostor(t *testing.T) {
	t.Parallel()
	c := newCore(t, nil)
	proxy := faultproxy.StartTCP(t, strings.TrimPrefix(c.url, "https://"))
	h := &holding{began: make(chan struct{}), proceed: make(chan struct{})}
	c.start(agent.Options{Name: "a", Core: "https://" + proxy.Addr(), Dir: t.TempDir(), Host: h, Token: c.token("a")})
	c.until("it is connected", func() bool { return c.linked("a") })
	ended := make(chan error, 1)
	go func() {
		_, err := c.dispatcher.Run(t.Context(), &shield.Task{
			UUID: "0f9b2a0e-0000-4000-8000-000000000000", LeaseEpoch: 1, Op: shield.OpTestTarget, TargetPlugin: "x", Agent: "a",
		}, quiet{})
		ended <- err
	}()
	<-h.began
	proxy.Down()

	data, err := pki.Generate()
	c.check(err)
	other, err := pki.Parse(data)
	c.check(err)
	l, err := tls.Listen("tcp", proxy.Addr(), other.DaemonServer())
	c.check(err)
	for range 2 { // of an agent that is not deterred by the first
		conn, err := l.Accept()
		c.check(err)
		if err := conn.(*tls.Conn).HandshakeContext(t.Context()); err == nil {
			if n, err := conn.Read(make([]byte, 1)); n > 0 || err == nil {
				t.Error("the agent has said something to it")
			}
		}
		_ = conn.Close()
	}
	c.check(l.Close())
	if h.canceled.Load() {
		t.Error("the agent believed it")
	}
	proxy.Up()
	close(h.proceed)
	if err := <-ended; err != nil {
		t.Errorf("the task: %v", err)
	}
}

// TestUnwantedStreams has an agent that dials open a stream, which it has no
// reason to: what it sent would wait in the daemon's memory.
func TestUnwantedStreams(t *testing.T) {
	t.Parallel()
	c := newCore(t, nil)
	dir := t.TempDir()
	stop := c.start(agent.Options{Name: "a", Core: c.url, Dir: dir, Host: &idle{}, Token: c.token("a")})
	c.until("it is connected", func() bool { return c.linked("a") })
	c.check(stop())
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "agent.crt"), filepath.Join(dir, "agent.key"))
	c.check(err)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{
		InsecureSkipVerify: true, Certificates: []tls.Certificate{pair}, // #nosec: of a test
	}}}
	conn, _, err := websocket.Dial(t.Context(), c.url+"/agent/v1/link", &websocket.DialOptions{HTTPClient: client, HTTPHeader: http.Header{
		"Shield-Instance": {"x"}, "Shield-Protocol": {strconv.Itoa(agent.Protocol)}, "Shield-Agent": {"a"},
	}})
	c.check(err)
	session, err := yamux.Server(websocket.NetConn(t.Context(), conn, websocket.MessageBinary), nil)
	c.check(err)
	defer session.Close()
	if _, err := session.Open(); err != nil {
		t.Fatal(err)
	}
	<-session.CloseChan()
}

// TestReleasesApart has agents of other releases connect: a minor version apart
// is well, what is further is refused in words.
func TestReleasesApart(t *testing.T) {
	t.Parallel()
	c := newCore(t, func(o *agent.DispatcherOptions) { o.Release = "v1.4.0" })
	for name, release := range map[string]string{"older": "v1.3.9", "newer": "v1.5.0", "oldest": "v1.2.0"} {
		c.start(agent.Options{Name: name, Core: c.url, Dir: t.TempDir(), Host: &idle{}, Token: c.token(name), Release: release})
	}
	c.until("those a minor version apart are connected", func() bool { return c.linked("older") && c.linked("newer") })
	c.until("an event tells of the one that is not", func() bool {
		events, err := c.catalog.Events(t.Context(), shield.Filter{})
		c.check(err)
		return slices.ContainsFunc(events, func(e *shield.Event) bool {
			return e.Kind == shield.EventAgentRefused && strings.Contains(e.Message, `release "v1.2.0"`) && strings.Contains(e.Message, "one minor version apart work together")
		})
	})
	if c.linked("oldest") {
		t.Error("it is connected all the same")
	}
}
