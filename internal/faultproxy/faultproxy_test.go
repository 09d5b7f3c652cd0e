package faultproxy_test

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/shieldhq/shield/internal/faultproxy"
)

// backend answers a GET with content and counts what it was given whole.
type backend struct {
	mu   sync.Mutex
	got  [][]byte
	host string
}

var content = strings.Repeat("0123456789", 1000)

func (b *backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	b.mu.Lock()
	b.host, b.got = r.Host, append(b.got, body)
	b.mu.Unlock()
	_, _ = io.WriteString(w, content)
}

// saw returns what came last and whether anything did.
func (b *backend) saw() (host, body string, any bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.got) == 0 {
		return "", "", false
	}
	return b.host, string(b.got[len(b.got)-1]), true
}

func start(t *testing.T) (*backend, *faultproxy.HTTP) {
	b := &backend{}
	s := httptest.NewServer(b)
	t.Cleanup(s.Close)
	return b, faultproxy.StartHTTP(t, s.URL, nil)
}

// client uses no connection twice, so that net/http does not try again by
// itself.
func client() *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Minute}
}

func do(p *faultproxy.HTTP, method, body string) (int, string, error) {
	q, err := http.NewRequest(method, p.URL+"/x?y=z", strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	answer, err := client().Do(q)
	if err != nil {
		return 0, "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	return answer.StatusCode, string(text), err
}

func TestHTTP(t *testing.T) {
	flipped := "0123\x14" + content[5:]
	for name, c := range map[string]struct {
		fault  faultproxy.Fault
		status int
		text   string
		err    error // or none
		passed bool  // the server was asked
	}{
		"nothing":         {faultproxy.Fault{}, 200, content, nil, true},
		"reset request":   {faultproxy.ResetRequest(0), 0, "", syscall.ECONNRESET, false},
		"reset within":    {faultproxy.ResetRequest(3), 0, "", syscall.ECONNRESET, false},
		"reset after":     {faultproxy.ResetRequest(100), 0, "", syscall.ECONNRESET, false},
		"lose answer":     {faultproxy.LoseAnswer(), 0, "", syscall.ECONNRESET, true},
		"reset headers":   {faultproxy.ResetResponse(0), 200, "", syscall.ECONNRESET, true},
		"reset response":  {faultproxy.ResetResponse(10), 200, content[:10], syscall.ECONNRESET, true},
		"close response":  {faultproxy.CloseResponse(10), 200, content[:10], io.ErrUnexpectedEOF, true},
		"shorten":         {faultproxy.Shorten(10), 200, content[:10], nil, true},
		"flip request":    {faultproxy.FlipRequest(1), 200, content, nil, true},
		"flip response":   {faultproxy.FlipResponse(4), 200, flipped, nil, true},
		"slow":            {faultproxy.Slow(1 << 20), 200, content, nil, true},
		"close after":     {faultproxy.CloseAfter(), 200, content, nil, true},
		"status":          {faultproxy.Status(503, time.Second), 503, "Service Unavailable\n", nil, false},
		"lie":             {faultproxy.Say(faultproxy.Answer{Status: 201, Body: "made"}), 201, "made", nil, false},
		"refuse at once":  {faultproxy.SayAtOnce(faultproxy.Answer{Status: 403}), 403, "", nil, false},
		"another answer":  {faultproxy.SayAfter(faultproxy.Answer{Status: 500, Body: "no"}), 500, "no", nil, true},
		"stalled request": {faultproxy.StallRequest(2), 0, "", errStall, false},
		"stalled answer":  {faultproxy.StallResponse(-1), 0, "", errStall, true},
		"stalled body":    {faultproxy.StallResponse(7), 200, content[:7], errStall, true},
	} {
		t.Run(name, func(t *testing.T) {
			b, p := start(t)
			p.Set(faultproxy.Rule{Fault: c.fault})
			if c.err == errStall {
				// Only that it does not end by itself can be seen.
				done := make(chan error, 1)
				go func() {
					_, _, err := do(p, "PUT", "a body")
					done <- err
				}()
				for len(p.Seen()) == 0 {
					time.Sleep(time.Millisecond)
				}
				select {
				case err := <-done:
					t.Fatalf("it ended: %v", err)
				default:
				}
				p.Down()
				if err := <-done; err == nil {
					t.Error("no error at the end")
				}
				return
			}
			status, text, err := do(p, "PUT", "a body")
			if status != c.status || text != c.text || !errors.Is(err, c.err) {
				t.Errorf("got %d, %.20q (%d bytes), %v; want %d, %.20q (%d bytes), %v", status, text, len(text), err, c.status, c.text, len(c.text), c.err)
			}
			_, body, passed := b.saw()
			if passed != c.passed {
				t.Errorf("the server was asked: %t, want %t", passed, c.passed)
			}
			if name == "flip request" && body != "a\x00body" {
				t.Errorf("the server got %q", body)
			}
			if p.Hits() != 1 {
				t.Errorf("%d hits", p.Hits())
			}
		})
	}
}

var errStall = errors.New("stalls")

func TestRules(t *testing.T) {
	b, p := start(t)
	p.Set(
		faultproxy.Rule{Match: faultproxy.Method("PUT"), Skip: 1, Times: 2, Fault: faultproxy.Status(503, 0)},
		faultproxy.Rule{Match: faultproxy.Method("DELETE"), Fault: faultproxy.Status(403, 0)},
	)
	for n, c := range []struct {
		method string
		want   int
	}{{"PUT", 200}, {"GET", 200}, {"PUT", 503}, {"PUT", 503}, {"PUT", 200}, {"DELETE", 403}, {"DELETE", 403}} {
		if status, _, err := do(p, c.method, ""); status != c.want || err != nil {
			t.Errorf("request %d, %s: got %d, %v, want %d", n, c.method, status, err, c.want)
		}
	}
	if host, _, _ := b.saw(); host != p.Addr() {
		t.Errorf("the server saw Host %q, want the proxy's address %q", host, p.Addr())
	}
	if seen := p.Seen(); len(seen) != 7 || seen[2].Method != "PUT" || seen[2].URL != "/x?y=z" || seen[2].Status != 503 {
		t.Errorf("seen: %+v", seen)
	}
}

func TestDownAndUp(t *testing.T) {
	_, p := start(t)
	p.Down()
	if _, _, err := do(p, "GET", ""); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("got %v, want a refused connection", err)
	}
	p.Up()
	if status, _, err := do(p, "GET", ""); status != 200 || err != nil {
		t.Errorf("got %d, %v", status, err)
	}
}

func TestTLS(t *testing.T) {
	a := faultproxy.NewAuthority(t)
	s := httptest.NewServer(&backend{})
	t.Cleanup(s.Close)
	for name, c := range map[string]struct {
		config *tls.Config
		want   string
	}{
		"good":       {a.Serve(t), ""},
		"other name": {a.Serve(t, "elsewhere.example"), "127.0.0.1"},
		"expired":    {a.Expired(t), "expired"},
		"unknown":    {faultproxy.NewAuthority(t).Serve(t), "unknown authority"},
	} {
		t.Run(name, func(t *testing.T) {
			p := faultproxy.StartHTTP(t, s.URL, &faultproxy.Options{TLS: c.config})
			client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: a.Pool}}}
			answer, err := client.Get(p.URL)
			if err == nil {
				answer.Body.Close()
			}
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestTCP(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(c, c)
				c.Close()
			}()
		}
	}()
	for name, c := range map[string]struct {
		fault faultproxy.Fault
		want  string
		err   error
	}{
		"nothing":        {faultproxy.Fault{}, "hello, echo", nil},
		"reset request":  {faultproxy.ResetRequest(0), "", syscall.ECONNRESET},
		"reset response": {faultproxy.ResetResponse(0), "", syscall.ECONNRESET},
		"close response": {faultproxy.CloseResponse(5), "hello", nil},
		"flip request":   {faultproxy.FlipRequest(0), "Hello, echo", nil},
		"flip response":  {faultproxy.FlipResponse(7), "hello, Echo", nil},
		"slow":           {faultproxy.Slow(1 << 20), "hello, echo", nil},
	} {
		t.Run(name, func(t *testing.T) {
			p := faultproxy.StartTCP(t, l.Addr().String())
			p.Set(faultproxy.Rule{Fault: c.fault})
			got, err := echo(p.Addr())
			if got != c.want || !errors.Is(err, c.err) {
				t.Errorf("got %q, %v; want %q, %v", got, err, c.want, c.err)
			}
		})
	}
}

func echo(addr string) (string, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "hello, echo") // a reset may come first
	_ = conn.(*net.TCPConn).CloseWrite()
	got, err := io.ReadAll(conn)
	return string(got), err
}
