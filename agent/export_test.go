package agent

import (
	"net/http"
	"net/url"
	"testing"
)

// Links is how many links are known, whether they live or not.
func (d *Dispatcher) Links() int { return len(d.hub.all()) }

// RunOrder runs an order on an agent that has no daemon.
func RunOrder(t *testing.T, h Host, o *Order) {
	t.Helper()
	a, err := New(Options{Name: "a", Core: "https://127.0.0.1:1", Dir: t.TempDir(), Host: h, Proxy: func(*http.Request) (*url.URL, error) { return nil, nil }})
	if err != nil {
		t.Fatal(err)
	}
	defer a.lock.Close()
	if err := a.begin(o); err != nil {
		t.Fatal(err)
	}
	if err := a.begin(o); err != nil { // the same again is the same
		t.Fatal(err)
	}
	a.running.Wait()
}
