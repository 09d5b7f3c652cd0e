package rest_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin/plugintest"
	"github.com/shieldhq/shield/plugins-wasm/internal/rest"
)

// echo is a server that gives back what it gets, with how the length of that
// was told.
func echo(t *testing.T) (*rest.Client, *url.URL) {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("X-Encoding", strings.Join(r.TransferEncoding, ","))
		_, _ = w.Write(b)
	}))
	t.Cleanup(s.Close)
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	c, err := rest.NewClient(&rest.Settings{Place: s.URL, Stall: "1s"})
	if err != nil {
		t.Fatal(err)
	}
	return c, u
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// waits gives nothing for longer than a stall may take, and then ends.
func waits(limit time.Duration) io.Reader {
	return readerFunc(func([]byte) (int, error) {
		time.Sleep(2 * limit)
		return 0, io.EOF
	})
}

// TestStreamedBody: a body of unknown length is sent as one, however long its
// reader waits, and nobody has to hurry to read the answer.
func TestStreamedBody(t *testing.T) {
	t.Parallel()
	c, u := echo(t)
	c.Stall = 200 * time.Millisecond
	want := plugintest.Bytes(3<<20, 1)
	x, err := c.Stream(t.Context(), &rest.Request{
		Op: "send", Method: http.MethodPut, URL: u, Length: -1,
		Body: func() io.Reader { return io.MultiReader(bytes.NewReader(want), waits(c.Stall)) },
	})
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(2 * c.Stall)
	got, err := io.ReadAll(io.MultiReader(io.LimitReader(x, 1000), waits(c.Stall), x))
	if err = errors.Join(err, x.Close()); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes of %d, %v", len(got), len(want), err)
	}
	if e := x.Header.Get("X-Encoding"); e != "chunked" {
		t.Errorf("the encoding was %q", e)
	}
}

// TestStreamedBodyFails: a server must not take the beginning of a body for
// all of it.
func TestStreamedBodyFails(t *testing.T) {
	t.Parallel()
	c, u := echo(t)
	broken := errors.New("broken")
	a, err := c.Do(t.Context(), &rest.Request{
		Op: "send", Method: http.MethodPut, URL: u, Length: -1, Once: true,
		Body: func() io.Reader {
			return io.MultiReader(strings.NewReader("x"), readerFunc(func([]byte) (int, error) { return 0, broken }))
		},
	})
	if err == nil {
		t.Errorf("the answer is %+v", a)
	}
}

func TestProxySetting(t *testing.T) {
	t.Parallel()
	for proxy, good := range map[string]bool{
		"": true, "http://proxy:3128": true, "https://u:p@proxy:1": true, "socks5://[::1]:1080": true,
		"proxy:3128": false, "http://proxy": false, "ftp://proxy:1": false, "http://:3128": false, "://": false,
	} {
		_, err := rest.NewClient(&rest.Settings{Stall: "1m", Proxy: proxy})
		if (err == nil) != good || err != nil && !errors.Is(err, shield.Invalid) {
			t.Errorf("%q: %v", proxy, err)
		}
	}
}
