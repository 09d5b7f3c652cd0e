package server_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/shieldhq/shield"
)

// TestFollowEvents loses and doubles nothing over connections that break, and
// stops where it is told to.
func TestFollowEvents(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	record := func(n int) {
		f.must(f.catalog.RecordEvent(context.Background(), &shield.Event{Kind: "test.made", Message: fmt.Sprint(n)}))
	}
	record(0) // before anybody follows
	var cut atomic.Pointer[context.CancelFunc]
	inner := f.handler
	f.serve(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		ctx, cancel := context.WithCancel(req.Context())
		defer cancel()
		if strings.Contains(req.Header.Get("Accept"), "event-stream") {
			if cut.Swap(&cancel) == nil {
				go func() { // the first stream is there
					for n := 1; n <= 20; n++ {
						record(n)
					}
				}()
			}
		}
		inner.ServeHTTP(w, req.WithContext(ctx))
	}))
	enough := errors.New("enough")
	var seen []string
	err := f.client.FollowEvents(t.Context(), func(e *shield.Event) error {
		if e.Kind != "test.made" {
			return nil
		}
		if seen = append(seen, e.Message); len(seen) == 20 {
			return enough
		}
		if len(seen)%5 == 0 {
			(*cut.Load())()
		}
		return nil
	})
	if !errors.Is(err, enough) {
		t.Fatal(err)
	}
	for n, text := range seen {
		if text != fmt.Sprint(n+1) {
			t.Fatalf("number %d is event %s: %q", n+1, text, seen)
		}
	}
}

// TestContentOfClient reads what the daemon says the digest and the length of,
// and an error where the archive cannot be had.
func TestContentOfClient(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.setUp("a")
	a := f.backup("a")
	c, err := f.client.Content(t.Context(), a.UUID, true)
	f.must(err)
	defer c.Close()
	b, err := io.ReadAll(c)
	f.must(err)
	if want := []byte(strings.Repeat("content of a", 1000)); !bytes.Equal(b, want) || c.Size != a.RawSize || c.Digest != a.RawDigest {
		t.Errorf("%d bytes of %d, %s", len(b), c.Size, c.Digest)
	}
	sealed, err := f.client.Content(t.Context(), a.UUID, false)
	f.must(err)
	defer sealed.Close()
	if sealed.Size != a.StoredSize || sealed.Digest != a.StoredDigest {
		t.Errorf("sealed it has %d bytes, %s", sealed.Size, sealed.Digest)
	}
	if _, err := f.client.Content(t.Context(), "00000000-0000-4000-8000-000000000000", false); !errors.Is(err, shield.NotFound) {
		t.Error(err)
	}
}
