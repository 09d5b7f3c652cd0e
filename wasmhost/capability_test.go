package wasmhost_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/wasmhost"
)

// A journal collects audit events.
type journal struct {
	mu     sync.Mutex
	events []wasmhost.Event
}

func (j *journal) add(e wasmhost.Event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.events = append(j.events, e)
}

func (j *journal) text() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return fmt.Sprint(j.events)
}

// backup runs a backup and returns what it wrote.
func backup(t testing.TB, ctx context.Context, o plugin.Opener, fields map[string]any) (string, error) {
	t.Helper()
	tg, err := o.OpenTarget(ctx, endpoint(t, fields), func(line string) { t.Log("guest:", line) })
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	err = tg.Backup(ctx, &out)
	return out.String(), err
}

// serve runs a TCP server and returns its address.
func serve(t testing.TB, on string, handle func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", on)
	if err != nil {
		t.Skip(err) // a host without IPv6
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				handle(c)
			}()
		}
	}()
	return l.Addr().String()
}

func echo(c net.Conn) { _, _ = io.Copy(c, c) }

func silent(c net.Conn) { _, _ = io.Copy(io.Discard, c) }

func wantError(t testing.TB, err error, code shield.Code, text string) {
	t.Helper()
	if shield.CodeOf(err) != code || !strings.Contains(fmt.Sprint(err), text) {
		t.Fatalf("error is %v (%s), want %s with %q", err, shield.CodeOf(err), code, text)
	}
}

func TestDial(t *testing.T) {
	o := open(t, newHost(t, nil), "probe", nil)
	out, err := backup(t, t.Context(), o, map[string]any{"do": "echo", "addr": serve(t, "127.0.0.1:0", echo)})
	if err != nil || len(out) != 4<<20 {
		t.Fatalf("%d bytes, %v", len(out), err)
	}
}

func TestDialRefused(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close()
	o := open(t, newHost(t, nil), "probe", nil)
	_, err = backup(t, t.Context(), o, map[string]any{"do": "echo", "addr": addr})
	wantError(t, err, shield.Unavailable, "refused")
}

// Deadlines that move, and other goroutines, work while a server is silent.
func TestWaiting(t *testing.T) {
	o := open(t, newHost(t, nil), "probe", nil)
	addr := serve(t, "127.0.0.1:0", silent)
	for do, want := range map[string]string{"deadline": "all three", "together": "ticked"} {
		out, err := backup(t, t.Context(), o, map[string]any{"do": do, "addr": addr})
		if err != nil || out != want {
			t.Errorf("%s: %q, %v", do, out, err)
		}
	}
}

func TestNotGranted(t *testing.T) {
	other := serve(t, "127.0.0.1:0", echo)
	_, otherPort, _ := net.SplitHostPort(other)
	v6 := serve(t, "[::1]:0", echo)
	_, v6Port, _ := net.SplitHostPort(v6)
	granted := serve(t, "127.0.0.1:0", echo)
	tests := []struct{ name, use string }{
		{"another port", other},
		{"a name for the address", net.JoinHostPort("localhost", otherPort)},
		{"IPv6", net.JoinHostPort("::1", v6Port)},
		{"long IPv6", net.JoinHostPort("0:0:0:0:0:0:0:1", v6Port)},
		{"IPv4 in IPv6", net.JoinHostPort("::ffff:127.0.0.1", otherPort)},
		{"unspecified", net.JoinHostPort("0.0.0.0", otherPort)},
		{"short", net.JoinHostPort("127.1", otherPort)},
		{"a number", net.JoinHostPort("2130706433", otherPort)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var j journal
			o := open(t, newHost(t, &wasmhost.Options{Audit: j.add}), "probe", nil)
			_, err := backup(t, t.Context(), o, map[string]any{"do": "echo", "addr": granted, "use": tt.use})
			wantError(t, err, shield.Forbidden, "tcp")
			if !strings.Contains(j.text(), tt.use) {
				t.Errorf("the audit has %s", j.text())
			}
		})
	}
}

// A guest that does not mind being refused has still failed.
func TestNotGrantedIgnored(t *testing.T) {
	o := open(t, newHost(t, nil), "probe", nil)
	_, err := backup(t, t.Context(), o, map[string]any{"do": "ignore", "addr": "127.0.0.1:1", "use": "127.0.0.1:2"})
	wantError(t, err, shield.Forbidden, "the capability tcp does not allow it to connect to 127.0.0.1:2")
}

// What the plugin asks for is bounded by the grant, which has the same marks.
func TestGrantBounds(t *testing.T) {
	addr := serve(t, "127.0.0.1:0", echo)
	for _, tt := range []struct {
		name string
		tcp  []string
		ok   bool
	}{
		{"nothing", nil, false}, {"the endpoint's", []string{"{addr}"}, true}, {"the same", []string{addr}, true},
		{"any", []string{"*:*"}, true}, {"another", []string{"127.0.0.1:1"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := open(t, newHost(t, nil), "probe", &plugin.Grant{TCP: tt.tcp})
			_, err := backup(t, t.Context(), o, map[string]any{"do": "echo", "addr": addr})
			if tt.ok != (err == nil) {
				t.Errorf("error is %v", err)
			}
			if !tt.ok {
				wantError(t, err, shield.Forbidden, "tcp")
			}
		})
	}
}

func TestHTTP(t *testing.T) {
	body := strings.Repeat("0123456789abcdef", 1<<16)
	var got bytes.Buffer
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == "PUT":
			_, _ = io.Copy(&got, r.Body)
		case r.URL.Path == "/away":
			http.Redirect(w, r, "http://127.0.0.1:1/secret", http.StatusFound)
		default:
			_, _ = io.WriteString(w, body)
		}
	}))
	defer s.Close()
	o := open(t, newHost(t, nil), "probe", nil)
	out, err := backup(t, t.Context(), o, map[string]any{"do": "get", "url": s.URL + "/x"})
	if err != nil || out != body {
		t.Errorf("get: %d bytes, %v", len(out), err)
	}
	out, err = backup(t, t.Context(), o, map[string]any{"do": "get", "url": s.URL + "/away"})
	if err != nil || out != "redirect to http://127.0.0.1:1/secret" {
		t.Errorf("redirect: %q, %v", out, err)
	}
	for _, use := range []string{"http://127.0.0.1:1/secret", s.URL + "/y", s.URL + "/x/../y", s.URL + "/x/%2e%2e/y", strings.Replace(s.URL, "http:", "https:", 1) + "/x"} {
		_, err = backup(t, t.Context(), o, map[string]any{"do": "get", "url": s.URL + "/x", "use": use})
		wantError(t, err, shield.Forbidden, "http")
	}
	tg, err := o.OpenTarget(t.Context(), endpoint(t, map[string]any{"do": "put", "url": s.URL + "/put"}), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := tg.Restore(t.Context(), strings.NewReader(body)); err != nil || got.String() != body {
		t.Errorf("put: %d bytes, %v", got.Len(), err)
	}
}

// A body that breaks off must not look whole to the server.
func TestHTTPBroken(t *testing.T) {
	began, ended := make(chan struct{}), make(chan error, 1)
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(began)
		_, err := io.Copy(io.Discard, r.Body)
		ended <- err
	}))
	defer s.Close()
	o := open(t, newHost(t, nil), "probe", nil)
	tg, err := o.OpenTarget(t.Context(), endpoint(t, map[string]any{"do": "put", "url": s.URL}), nil)
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	err = tg.Restore(t.Context(), io.MultiReader(strings.NewReader(strings.Repeat("x", 1<<20)), lateError{began, broken}))
	if !errors.Is(err, broken) {
		t.Errorf("error is %v", err)
	}
	select {
	case err := <-ended:
		if err == nil {
			t.Error("the server saw a whole body")
		}
	case <-time.After(time.Minute):
		t.Error("the server still waits")
	}
}

// A lateError fails once something has begun.
type lateError struct {
	began <-chan struct{}
	err   error
}

func (e lateError) Read([]byte) (int, error) {
	<-e.began
	return 0, e.err
}

type errorReader struct{ err error }

func (e errorReader) Read([]byte) (int, error) { return 0, e.err }
