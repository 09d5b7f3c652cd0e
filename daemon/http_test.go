package daemon_test

import (
	"context"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/daemon"
	"github.com/shieldhq/shield/server"
)

// run runs a daemon until the test is over.
func run(t *testing.T, c daemon.Config) *daemon.Daemon {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	d, err := daemon.Open(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx, time.Second) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return d
}

// serve runs a daemon without a sandbox, on a folder of its own, until the test is
// over.
func serve(t *testing.T, c daemon.Config) (*daemon.Daemon, *server.Client) {
	t.Helper()
	c.Data, c.Listen, c.Sandbox = filepath.Join(t.TempDir(), "data"), "127.0.0.1:0", daemon.SandboxNever
	d := run(t, c)
	api, err := server.NewClient(d.URL(), d.Token())
	if err != nil {
		t.Fatal(err)
	}
	return d, api
}

// TestTrustedProxy: a daemon believes the proxies that its operator names about
// where requests come from, and nobody else.
func TestTrustedProxy(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		proxies []string
		want    string
	}{
		"none": {nil, "127.0.0.1"}, "another": {[]string{"192.0.2.1", "10.0.0.0/8"}, "127.0.0.1"},
		"this": {[]string{"127.0.0.1"}, "198.51.100.9"}, "its network": {[]string{"127.0.0.0/8", "::1"}, "198.51.100.9"},
	} {
		d, api := serve(t, daemon.Config{TrustedProxies: c.proxies})
		req, err := http.NewRequest("POST", d.URL()+"/v1/schedules", strings.NewReader(`{"name":"a","timespec":"daily 4:00"}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+d.Token().Reveal())
		req.Header.Set("X-Forwarded-For", "127.0.0.1, 198.51.100.9")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		log, err := api.Audit(t.Context(), nil)
		if err != nil || len(log) != 1 || log[0].From != c.want {
			t.Errorf("%s: %+v, %v, want one from %s", name, log, err, c.want)
		}
	}
}

func TestTrustedProxyRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "x", "10.0.0.0/33", "0.0.0.0/0", "::/0", "10.0.0.1:80", "::ffff:10.0.0.1", "fe80::1%eth0", "10.0.0.1-10.0.0.9"} {
		d, err := daemon.Open(t.Context(), daemon.Config{Data: t.TempDir(), Listen: "127.0.0.1:0", TrustedProxies: []string{text}})
		if e, ok := err.(*shield.Error); !ok || e.Field != "trusted-proxy" {
			t.Errorf("%q: %v", text, err)
		}
		if d != nil {
			d.Close()
		}
	}
}
