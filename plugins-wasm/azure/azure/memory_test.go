package azure_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/shieldtest"
	"github.com/shieldhq/shield/plugin/plugintest"
)

// discard acknowledges blobs and keeps only how large they are.
type discard struct {
	mu     sync.Mutex
	staged int64
	blob   http.Header // once it is committed
}

func (d *discard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n, err := io.Copy(io.Discard, r.Body)
	if err != nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case r.URL.Query().Get("comp") == "block":
		d.staged += n
		w.WriteHeader(http.StatusCreated)
	case r.Method == http.MethodPut:
		d.blob = http.Header{"Content-Length": {fmt.Sprint(d.staged)}, "X-Ms-Meta-Shieldupload": r.Header["X-Ms-Meta-Shieldupload"]}
		w.WriteHeader(http.StatusCreated)
	case d.blob == nil:
		w.Header().Set("x-ms-error-code", "BlobNotFound")
		w.WriteHeader(http.StatusNotFound)
	default:
		for k, v := range d.blob {
			w.Header()[k] = v
		}
	}
}

// TestMemory: the module stores what is larger than the memory that it has.
func TestMemory(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(&discard{})
	t.Cleanup(s.Close)
	e := shield.Endpoint(`{"account":"acct","container":"backups","endpoint":"` + s.URL + `","key":"` + goodKey + `"}`)
	st, err := shieldtest.Sandboxed(t, "azure").OpenStore(t.Context(), e, func(line string) { t.Log(line) })
	if err != nil {
		t.Fatal(err)
	}
	const size = 96 << 20 // the module has 64 MiB
	if stored, err := st.Put(t.Context(), "k", plugintest.Stream(size, 1)); err != nil || stored.Size != size {
		t.Errorf("%+v, %v", stored, err)
	}
}
