package webdav_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shieldhq/shield/internal/shieldtest"
	"github.com/shieldhq/shield/internal/testserver"
	"github.com/shieldhq/shield/plugin/plugintest"
	"github.com/shieldhq/shield/plugins-wasm/internal/resttest"
)

func TestSandbox(t *testing.T) {
	t.Parallel()
	o := shieldtest.Sandboxed(t, "webdav")
	t.Run("conformance", func(t *testing.T) {
		t.Parallel()
		ca := testserver.NewCA(t)
		cert, key := ca.Issue("127.0.0.1")
		w := testserver.StartApacheDAV(t, &testserver.WebDAVOptions{Certificate: cert, Key: key})
		plugintest.Run(t, o, plugintest.Config{StoreEndpoint: endpoint(t, w, w.URL, "ca", ca.PEM, "prefix", "a b/c")})
		wantEmpty(t, w)
	})
	x := subject(o)
	x.Killed = true
	x.Run(t)
}

// TestStoppedGuest: the host removes what a guest that it has stopped was
// writing.
func TestStoppedGuest(t *testing.T) {
	t.Parallel()
	w := testserver.StartApacheDAV(t, nil)
	st, err := shieldtest.Sandboxed(t, "webdav").OpenStore(t.Context(), endpoint(t, w, w.URL), func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	r := io.MultiReader(plugintest.Stream(5<<20, 1), readerFunc(func([]byte) (int, error) {
		for len(w.Files(t)) == 0 { // the server has begun
			select {
			case <-t.Context().Done():
				return 0, t.Context().Err()
			default:
			}
		}
		return 0, io.ErrUnexpectedEOF
	}))
	if _, err := st.Put(t.Context(), "k", r); err == nil {
		t.Error("put whose input fails returned no error")
	}
	// Apache has a temporary file of its own until it notices.
	for from := time.Now(); len(w.Files(t)) > 0 && time.Since(from) < time.Minute; {
		time.Sleep(10 * time.Millisecond)
	}
	wantEmpty(t, w)
}

func TestStory(t *testing.T) {
	t.Parallel()
	ca := testserver.NewCA(t)
	cert, key := ca.Issue("127.0.0.1")
	w := testserver.StartApacheDAV(t, &testserver.WebDAVOptions{Certificate: cert, Key: key})
	resttest.Story(t, "webdav", endpoint(t, w, w.URL, "ca", ca.PEM, "prefix", "shield"))
	wantEmpty(t, w)
}

// discard is a server that keeps only how large files are.
type discard struct {
	mu    sync.Mutex
	sizes map[string]int64
}

func (d *discard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n, err := io.Copy(io.Discard, r.Body)
	d.mu.Lock()
	defer d.mu.Unlock()
	size, there := d.sizes[r.URL.Path]
	switch {
	case err != nil:
	case r.Method == http.MethodPut:
		d.sizes[r.URL.Path] = n
		w.WriteHeader(http.StatusCreated)
	case r.Method == "MOVE":
		_, path, _ := strings.Cut(strings.TrimPrefix(r.Header.Get("Destination"), "http://"), "/")
		d.sizes["/"+path] = size
		delete(d.sizes, r.URL.Path)
		w.WriteHeader(http.StatusCreated)
	case !there:
		w.WriteHeader(http.StatusNotFound)
	default:
		w.WriteHeader(http.StatusMultiStatus)
		fmt.Fprintf(w, `<multistatus xmlns="DAV:"><response><href>%s</href><propstat><prop><getcontentlength>%d</getcontentlength></prop></propstat></response></multistatus>`, r.URL.Path, size)
	}
}

// TestMemory: the module stores what is larger than the memory that it has.
func TestMemory(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(&discard{sizes: map[string]int64{}})
	t.Cleanup(s.Close)
	w := &testserver.WebDAV{User: "u", Password: "p"}
	st, err := shieldtest.Sandboxed(t, "webdav").OpenStore(t.Context(), endpoint(t, w, s.URL), func(line string) { t.Log(line) })
	if err != nil {
		t.Fatal(err)
	}
	const size = 128 << 20 // the module has 64 MiB
	if stored, err := st.Put(t.Context(), "k", plugintest.Stream(size, 1)); err != nil || stored.Size != size {
		t.Errorf("%+v, %v", stored, err)
	}
}
