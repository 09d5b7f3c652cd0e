package daemon_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/shieldhq/shield/daemon"
)

func TestPageBesideAPI(t *testing.T) {
	d, err := daemon.Open(t.Context(), daemon.Config{Data: t.TempDir(), Listen: "127.0.0.1:0", Sandbox: daemon.SandboxNever})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx, time.Minute) }()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	for _, test := range []struct {
		path, kind string
		status     int
	}{
		{"/", "text/html", http.StatusOK},
		{"/jobs/www", "text/html", http.StatusOK},
		{"/healthz", "application/json", http.StatusOK},
		{"/v1/jobs", "application/problem+json", http.StatusUnauthorized},
		{"/v1/nothing", "application/problem+json", http.StatusNotFound},
		{"/v1", "application/problem+json", http.StatusNotFound},
		{"/healthz/deeper", "application/problem+json", http.StatusNotFound},
	} {
		res, err := http.Get(d.URL() + test.path)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if kind := res.Header.Get("Content-Type"); res.StatusCode != test.status || !strings.HasPrefix(kind, test.kind) {
			t.Errorf("%s: %d, %s", test.path, res.StatusCode, kind)
		}
	}
}
