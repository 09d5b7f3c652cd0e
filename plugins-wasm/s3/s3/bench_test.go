//go:build linux

package s3_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/shieldhq/shield/internal/shieldtest"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugins-wasm/s3/s3"
)

// discard is a server that speaks as much S3 as an upload and a download need,
// keeps nothing and compares nothing, so that what is measured is the client.
// Objects have zeros in them.
func discard(t testing.TB, size int64) *httptest.Server {
	zeros := make([]byte, 1<<20)
	mark, stored := "", size
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		switch {
		case r.Method == http.MethodPost && q.Has("uploads"):
			mark = r.Header.Get("X-Amz-Meta-Shield-Upload")
			fmt.Fprint(w, "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>")
		case r.Method == http.MethodPost:
			fmt.Fprint(w, "<CompleteMultipartUploadResult><Bucket>b</Bucket><ETag>e</ETag></CompleteMultipartUploadResult>")
		case r.Method == http.MethodPut:
			_, _ = io.Copy(io.Discard, r.Body)
			w.Header().Set("Etag", `"e"`)
			w.Header().Set("X-Amz-Checksum-Crc32c", r.Header.Get("X-Amz-Checksum-Crc32c"))
		default:
			w.Header().Set("Etag", `"e"`)
			w.Header().Set("Last-Modified", time.Now().UTC().Format(http.TimeFormat))
			w.Header().Set("X-Amz-Meta-Shield-Upload", mark)
			w.Header().Set("Content-Length", fmt.Sprint(stored))
			status := http.StatusOK
			if r.Header.Get("Range") != "" {
				w.Header().Set("Content-Range", fmt.Sprintf("bytes 0-%d/%d", stored-1, stored))
				status = http.StatusPartialContent
			}
			w.WriteHeader(status)
			for left := stored; r.Method == http.MethodGet && left > 0; left -= int64(len(zeros)) {
				if _, err := w.Write(zeros[:min(left, int64(len(zeros)))]); err != nil {
					return
				}
			}
		}
	}))
	t.Cleanup(s.Close)
	return s
}

// endless gives the same bytes over and over. They are copied, as the bytes of
// any stream are: a reader that leaves the buffer as it is would have whoever
// reads straight into its parts get them for nothing.
type endless struct{}

var stuff = bytes.Repeat([]byte("0123456789abcdef"), 16<<10)

func (endless) Read(p []byte) (int, error) {
	for n := 0; n < len(p); {
		n += copy(p[n:], stuff)
	}
	return len(p), nil
}

func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkTransfer compares what a transfer costs: in the sandbox, natively,
// and by minio-go alone with its defaults. The server, the same for all, is
// part of the figure.
func BenchmarkTransfer(b *testing.B) {
	const size = 2 << 30
	server := discard(b, size)
	_, host, _ := strings.Cut(server.URL, "://")
	endpoint := encode(b, fields{"url": server.URL, "bucket": "bench", "access_key_id": "k", "secret_access_key": "s", "skip_ssl_validation": true})
	client, err := minio.New(host, &minio.Options{
		Creds: credentials.NewStaticV4("k", "s", ""), Secure: true, Region: "us-east-1", Transport: server.Client().Transport, TrailingHeaders: true,
	})
	if err != nil {
		b.Fatal(err)
	}
	open := func(o plugin.Opener) plugin.Store {
		st, err := o.OpenStore(context.Background(), endpoint, nil)
		if err != nil {
			b.Fatal(err)
		}
		return st
	}
	up := func(st plugin.Store) func() error {
		return func() error {
			_, err := st.Put(context.Background(), "a", io.LimitReader(endless{}, size))
			if err != nil && strings.Contains(err.Error(), "bytes of") {
				return nil
			}
			return err
		}
	}
	down := func(get func() (io.ReadCloser, error)) func() error {
		return func() error {
			r, err := get()
			if err != nil {
				return err
			}
			defer r.Close()
			n, err := io.Copy(struct{ io.Writer }{io.Discard}, r)
			if err == nil && n != size {
				err = fmt.Errorf("%d bytes", n)
			}
			return err
		}
	}
	get := func(st plugin.Store) func() (io.ReadCloser, error) {
		return func() (io.ReadCloser, error) { return st.Get(context.Background(), "a") }
	}
	native, guest := open(s3.Plugin(nil)), open(shieldtest.Sandboxed(b, "s3"))
	for _, c := range []struct {
		name string
		run  func() error
	}{
		{"up/minio-go", func() error {
			_, err := client.PutObject(context.Background(), "bench", "a", io.LimitReader(endless{}, size), -1,
				minio.PutObjectOptions{PartSize: 16 << 20, ConcurrentStreamParts: true, NumThreads: 3})
			return err
		}},
		{"up/native", up(native)},
		{"up/sandbox", up(guest)},
		{"down/minio-go", down(func() (io.ReadCloser, error) {
			return client.GetObject(context.Background(), "bench", "a", minio.GetObjectOptions{})
		})},
		{"down/native", down(get(native))},
		{"down/sandbox", down(get(guest))},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(size)
			from := cpu()
			for b.Loop() {
				if err := c.run(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric((cpu()-from).Seconds()/float64(b.N)/(float64(size)/(1<<30)), "cpu-s/GiB")
		})
	}
}

// TestMemory: an upload takes no more memory the longer it gets. The module
// is run with the 80 MiB that it asks for.
func TestMemory(t *testing.T) {
	t.Parallel()
	size := int64(256 << 20)
	if n, err := strconv.ParseInt(os.Getenv("S3_TEST_GIB"), 10, 64); err == nil {
		size = n << 30
	}
	server := discard(t, size)
	e := encode(t, fields{"url": server.URL, "bucket": "bench", "access_key_id": "k", "secret_access_key": "s", "skip_ssl_validation": true})
	st, err := shieldtest.Sandboxed(t, "s3").OpenStore(t.Context(), e, nil)
	if err != nil {
		t.Fatal(err)
	}
	stored, err := st.Put(t.Context(), "a", io.LimitReader(endless{}, size))
	if err != nil || stored.Size != size {
		t.Errorf("got %+v, %v", stored, err)
	}
	r, err := st.Get(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	n, err := io.Copy(io.Discard, r)
	if err := errors.Join(err, r.Close()); err != nil || n != size {
		t.Errorf("got %d bytes, %v", n, err)
	}
}
