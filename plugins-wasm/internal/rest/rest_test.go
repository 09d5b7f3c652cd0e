package rest_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin/plugintest"
	"github.com/shieldhq/shield/plugins-wasm/internal/rest"
)

func TestBackoff(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		try    int
		chance float64
		want   time.Duration
	}{
		{0, 0, 100 * time.Millisecond}, {0, 1, 200 * time.Millisecond}, {3, 1, 1600 * time.Millisecond},
		{9, 1, 20 * time.Second}, {1000, 1, 20 * time.Second}, {1000, 0, 10 * time.Second},
	} {
		if got := rest.Backoff(c.try, c.chance); got != c.want {
			t.Errorf("try %d, chance %v: %s, want %s", c.try, c.chance, got, c.want)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"": 0, "5": 5 * time.Second, "9999": 2 * time.Minute, "-1": 0, "soon": 0,
		"Sat, 31 Jan 2026 12:00:30 GMT": 30 * time.Second, "Sat, 31 Jan 2026 11:00:00 GMT": 0, "Sat, 31 Jan 2026 22:00:00 GMT": 2 * time.Minute,
	} {
		if got := rest.RetryAfter(http.Header{"Retry-After": {text}}, now); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	for key, good := range map[string]bool{
		"2026/01/31/name": true, "ünïcödé/日本": true, ".hidden": true, "with space": true,
		"": false, "/a": false, "a/": false, "a//b": false, "..": false, "a/../b": false, "a/.": false, "dot.": false,
		"a\\b": false, "a\nb": false, "a\x00b": false, "\xff": false, strings.Repeat("x", 1025): false,
	} {
		if err := rest.CheckKey(key); (err == nil) != good || err != nil && !errors.Is(err, shield.Invalid) {
			t.Errorf("%q: %v", key, err)
		}
	}
	for prefix, want := range map[string]string{"": "", "/": "", "a": "a/", "/a/b/": "a/b/"} {
		if got, err := rest.CheckPrefix(prefix); got != want || err != nil {
			t.Errorf("%q: %q, %v", prefix, got, err)
		}
	}
}

func FuzzEscape(f *testing.F) {
	f.Add("a b/ü%2F+")
	f.Fuzz(func(t *testing.T, key string) {
		for _, slash := range []bool{false, true} {
			u, err := url.Parse("https://host/c/" + rest.Escape(key, slash))
			if err != nil || u.Path != "/c/"+key || u.RawQuery != "" || u.Fragment != "" {
				t.Errorf("%q, slash %t: %v, %v", key, slash, u, err)
			}
		}
	})
}

// TestBlocks: blocks are the stream, whatever its reader does.
func TestBlocks(t *testing.T) {
	t.Parallel()
	want, _ := io.ReadAll(plugintest.Stream(10_000, 1))
	for name, wrap := range map[string]func(io.Reader) io.Reader{
		"whole": func(r io.Reader) io.Reader { return r }, "halves": iotest.HalfReader, "bytes": iotest.OneByteReader, "end with data": iotest.DataErrReader,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pool, r := rest.NewPool(3, 256), wrap(bytes.NewReader(want))
			var got, each []byte
			for last := false; !last; {
				var b *rest.Block
				var err error
				if b, last, err = pool.Read(t.Context(), r, 3); err != nil {
					t.Fatal(err)
				}
				piece, _ := io.ReadAll(b.Reader(0))
				again, _ := io.ReadAll(iotest.OneByteReader(b.Reader(min(300, b.Size))))
				got = append(got, piece...)
				b.Each(func(p []byte) { each = append(each, p...) })
				if !bytes.HasSuffix(piece, again) || int64(len(piece)) != b.Size {
					t.Errorf("a block of %d bytes gives %d and %d", b.Size, len(piece), len(again))
				}
				b.Release()
			}
			if !bytes.Equal(got, want) || !bytes.Equal(each, want) {
				t.Errorf("%d and %d bytes, want %d", len(got), len(each), len(want))
			}
		})
	}
}

func TestBlockErrors(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	pool := rest.NewPool(2, 256)
	if _, _, err := pool.Read(t.Context(), io.MultiReader(strings.NewReader("x"), iotest.ErrReader(broken)), 1); !errors.Is(err, broken) {
		t.Errorf("error %v, want the input's", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	b, _, err := pool.Read(ctx, plugintest.Stream(1000, 1), 2)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, _, err := pool.Read(ctx, strings.NewReader(""), 1); !errors.Is(err, context.Canceled) {
		t.Errorf("without memory: %v", err)
	}
	b.Release()
	if _, _, err := pool.Read(ctx, strings.NewReader(""), 1); !errors.Is(err, context.Canceled) {
		t.Errorf("an end after the cancellation: %v", err)
	}
}

// TestRedirect: none is followed.
func TestRedirect(t *testing.T) {
	t.Parallel()
	asked := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		http.Redirect(w, r, "/elsewhere", http.StatusFound)
	}))
	t.Cleanup(s.Close)
	c, err := rest.NewClient(&rest.Settings{Place: s.URL, Stall: "1m"})
	if err != nil {
		t.Fatal(err)
	}
	u, _ := url.Parse(s.URL)
	a, err := c.Do(t.Context(), &rest.Request{Op: "ask", Method: http.MethodGet, URL: u})
	if err != nil || a.Status != http.StatusFound || asked != 1 {
		t.Errorf("%+v, %v, asked %d times", a, err, asked)
	}
}

func TestClockSkew(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	for date, want := range map[string]string{
		"Sat, 31 Jan 2026 12:00:00 GMT": "", "": "", "nonsense": "",
		"Sat, 31 Jan 2026 12:10:00 GMT": "10m0s behind", "Sat, 31 Jan 2026 11:50:00 GMT": "10m0s ahead",
	} {
		got := rest.ClockSkew(http.Header{"Date": {date}}, now, 5*time.Minute)
		if (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("%q: %q, want %q", date, got, want)
		}
	}
}
