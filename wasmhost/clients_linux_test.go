package wasmhost_test

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/shieldhq/shield/internal/testserver"
)

// TestClients uses client libraries as they are, in the sandbox: that is what
// plugins in Go are made of. The servers are real ones, but for the one of S3.
func TestClients(t *testing.T) {
	web := httptest.NewServer(http.HandlerFunc(webServer))
	t.Cleanup(web.Close)
	bucket := httptest.NewServer(&fakeS3{objects: map[string][]byte{}})
	t.Cleanup(bucket.Close)
	o := open(t, newHost(t, nil), "clients", nil)
	for _, tt := range []struct {
		name   string
		fields func(t *testing.T) map[string]any
		steps  int
	}{
		{"http", func(*testing.T) map[string]any {
			return map[string]any{"url": web.URL, "addr": strings.TrimPrefix(web.URL, "http://")}
		}, 12},
		{"s3", func(*testing.T) map[string]any { return map[string]any{"url": bucket.URL, "password": "secret key"} }, 8},
		{"redis", func(t *testing.T) map[string]any {
			s := testserver.StartRedis(t)
			return map[string]any{"addr": s.Addr, "password": s.Password}
		}, 9},
		{"postgres", func(t *testing.T) map[string]any {
			s := testserver.StartPostgres(t)
			return map[string]any{"addr": fmt.Sprintf("127.0.0.1:%d", s.Port), "password": s.Password}
		}, 10},
	} {
		t.Run(tt.name, func(t *testing.T) {
			fields := tt.fields(t)
			fields["do"] = tt.name
			out, err := backup(t, t.Context(), o, fields)
			if steps := strings.Count(out, "\n"); err != nil || steps != tt.steps {
				t.Errorf("%d of %d steps went well, the last ones: %q, %v", steps, tt.steps, out[max(0, len(out)-200):], err)
			}
		})
	}
}

func webServer(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/echo":
		b, err := io.ReadAll(r.Body)
		if err == nil {
			_, _ = w.Write(b)
		}
	case "/never":
		<-r.Context().Done()
	case "/endless":
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 1<<16)); err != nil {
				return
			}
		}
	default:
		http.NotFound(w, r)
	}
}

// fakeS3 is as much of S3 as the guest uses. It does not check signatures, and
// keeps what belongs to an upload beside the objects.
type fakeS3 struct {
	mu      sync.Mutex
	objects map[string][]byte
}

func (s *fakeS3) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	key, _ := strings.CutPrefix(r.URL.Path, "/bucket/")
	q := r.URL.Query()
	if key == "never" {
		<-r.Context().Done()
		return
	}
	body, err := readS3(r)
	if err != nil || !strings.Contains(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 Credential=key/") {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case r.Method == "POST" && q.Has("uploads"):
		writeXML(w, struct {
			XMLName               xml.Name `xml:"InitiateMultipartUploadResult"`
			Bucket, Key, UploadId string
		}{Bucket: "bucket", Key: key, UploadId: "one"})
	case r.Method == "PUT" && q.Has("uploadId"):
		s.put(w, fmt.Sprintf("%s?%06s", key, q.Get("partNumber")), body)
	case r.Method == "POST" && q.Has("uploadId"):
		for _, name := range slices.Sorted(maps.Keys(s.objects)) {
			if strings.HasPrefix(name, key+"?") {
				s.objects[key] = append(s.objects[key], s.objects[name]...)
				delete(s.objects, name)
			}
		}
		writeXML(w, struct {
			XMLName           xml.Name `xml:"CompleteMultipartUploadResult"`
			Bucket, Key, ETag string
		}{Bucket: "bucket", Key: key, ETag: etag(s.objects[key])})
	case r.Method == "PUT":
		s.put(w, key, body)
	case r.Method == "DELETE":
		delete(s.objects, key)
		w.WriteHeader(http.StatusNoContent)
	case q.Has("prefix"):
		s.list(w, q.Get("prefix"))
	default:
		s.get(w, r, key)
	}
}

// readS3 returns the body of a request, which may come in signed chunks.
func readS3(r *http.Request) ([]byte, error) {
	b, err := io.ReadAll(r.Body)
	if err != nil || !strings.HasPrefix(r.Header.Get("X-Amz-Content-Sha256"), "STREAMING-") {
		return b, err
	}
	var out []byte
	for rest := string(b); ; {
		head, after, _ := strings.Cut(rest, "\r\n")
		var n int
		if _, err := fmt.Sscanf(head, "%x", &n); err != nil || n > len(after) {
			return nil, fmt.Errorf("a chunk begins with %.80q", head)
		}
		if n == 0 {
			return out, nil
		}
		out = append(out, after[:n]...)
		rest = strings.TrimPrefix(after[n:], "\r\n")
	}
}

func etag(b []byte) string {
	sum := md5.Sum(b)
	return `"` + hex.EncodeToString(sum[:]) + `"`
}

func (s *fakeS3) put(w http.ResponseWriter, key string, b []byte) {
	s.objects[key] = b
	w.Header().Set("ETag", etag(b))
}

func (s *fakeS3) get(w http.ResponseWriter, r *http.Request, key string) {
	b, ok := s.objects[key]
	if !ok {
		w.WriteHeader(http.StatusNotFound)
		if r.Method != "HEAD" {
			writeXML(w, struct {
				XMLName xml.Name `xml:"Error"`
				Code    string
			}{Code: "NoSuchKey"})
		}
		return
	}
	w.Header().Set("ETag", etag(b))
	w.Header().Set("Last-Modified", "Wed, 21 Oct 2015 07:28:00 GMT")
	w.Header().Set("Content-Length", fmt.Sprint(len(b)))
	if r.Method != "HEAD" {
		_, _ = w.Write(b)
	}
}

func (s *fakeS3) list(w http.ResponseWriter, prefix string) {
	type object struct{ Key, ETag string }
	var list struct {
		XMLName  xml.Name `xml:"ListBucketResult"`
		Contents []object
	}
	for _, key := range slices.Sorted(maps.Keys(s.objects)) {
		if strings.HasPrefix(key, prefix) {
			list.Contents = append(list.Contents, object{key, etag(s.objects[key])})
		}
	}
	writeXML(w, list)
}

func writeXML(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/xml")
	_ = xml.NewEncoder(w).Encode(v)
}
