package google_test

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/shieldhq/shield/internal/shieldtest"
	"github.com/shieldhq/shield/plugin/plugintest"
)

// discard acknowledges resumable uploads and keeps only how large they are and
// their checksums.
type discard struct {
	mu   sync.Mutex
	size int64
	crc  uint32
}

func (d *discard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	table := crc32.MakeTable(crc32.Castagnoli)
	switch {
	case r.Method == http.MethodPost:
		w.Header().Set("Location", "http://"+r.Host+r.URL.Path+"?upload_id=1")
		return
	case r.Method == http.MethodPut:
		buf := make([]byte, 64<<10)
		for {
			n, err := r.Body.Read(buf)
			d.size += int64(n)
			d.crc = crc32.Update(d.crc, table, buf[:n])
			if err == io.EOF {
				break
			}
			if err != nil {
				return
			}
		}
		if strings.HasSuffix(r.Header.Get("Content-Range"), "/*") {
			w.Header().Set("Range", fmt.Sprintf("bytes=0-%d", d.size-1))
			w.WriteHeader(http.StatusPermanentRedirect)
			return
		}
	}
	sum := base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, d.crc))
	fmt.Fprintf(w, `{"name": "k", "generation": "1", "size": "%d", "crc32c": %q}`, d.size, sum)
}

// TestMemory: the module stores what is larger than the memory that it has.
func TestMemory(t *testing.T) {
	t.Parallel()
	tokens, s := newService(t), httptest.NewServer(&discard{})
	t.Cleanup(s.Close)
	st, err := shieldtest.Sandboxed(t, "google").OpenStore(t.Context(), tokens.endpoint(t, s.URL), func(line string) { t.Log(line) })
	if err != nil {
		t.Fatal(err)
	}
	const size = 96 << 20 // the module has 80 MiB
	if stored, err := st.Put(t.Context(), "k", plugintest.Stream(size, 1)); err != nil || stored.Size != size {
		t.Errorf("%+v, %v", stored, err)
	}
}
