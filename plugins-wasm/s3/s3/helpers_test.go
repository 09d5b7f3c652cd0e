//go:build linux

package s3_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/faultproxy"
	"github.com/shieldhq/shield/internal/shieldtest"
	"github.com/shieldhq/shield/internal/testserver"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugins-wasm/s3/s3"
)

func TestMain(m *testing.M) { shieldtest.Main(m) }

// A service is a server, what it is trusted by, and a client beside the
// plugin that looks at what there is.
type service struct {
	*testserver.S3
	ca     *faultproxy.Authority // nil for plain HTTP
	client *minio.Client
}

func startMinIO(t testing.TB) *service {
	t.Helper()
	ca := faultproxy.NewAuthority(t)
	return serve(t, ca, testserver.StartMinIO)
}

func startVersityGW(t testing.TB) *service {
	t.Helper()
	return serve(t, nil, testserver.StartVersityGW)
}

func serve(t testing.TB, ca *faultproxy.Authority, start func(testing.TB, *testserver.S3Options) *testserver.S3) *service {
	t.Helper()
	var o *testserver.S3Options
	transport := &http.Transport{}
	if ca != nil {
		cert, key := ca.Certificate(t, "127.0.0.1")
		o = &testserver.S3Options{Certificate: cert, Key: key, Roots: ca.Pool}
		transport.TLSClientConfig = &tls.Config{RootCAs: ca.Pool}
	}
	s := &service{S3: start(t, o), ca: ca}
	_, host, _ := strings.Cut(s.URL, "://")
	client, err := minio.New(host, &minio.Options{
		Creds: credentials.NewStaticV4(s.AccessKey, s.SecretKey, ""), Secure: ca != nil, Transport: transport, Region: "us-east-1",
	})
	if err != nil {
		t.Fatal(err)
	}
	s.client = client
	t.Cleanup(transport.CloseIdleConnections)
	return s
}

var buckets atomic.Int64

// bucket makes a bucket of the test's own.
func (s *service) bucket(t testing.TB, locking bool) string {
	t.Helper()
	name := fmt.Sprintf("bucket-%d", buckets.Add(1))
	if err := s.client.MakeBucket(t.Context(), name, minio.MakeBucketOptions{ObjectLocking: locking}); err != nil {
		t.Fatal(err)
	}
	return name
}

func (s *service) versioned(t testing.TB) string {
	t.Helper()
	name := s.bucket(t, false)
	if err := s.client.EnableVersioning(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	return name
}

// fields are those of an endpoint; more replace or add to them.
type fields map[string]any

func (s *service) endpoint(t testing.TB, bucket string, more fields) shield.Endpoint {
	t.Helper()
	e := fields{
		"url": s.URL, "bucket": bucket, "prefix": "some/where", "access_key_id": s.AccessKey, "secret_access_key": s.SecretKey,
		"part_size": "5MiB",
	}
	if s.ca != nil {
		e["ca_cert"] = s.ca.PEM
	}
	maps.Copy(e, more)
	return encode(t, e)
}

func encode(t testing.TB, e fields) shield.Endpoint {
	t.Helper()
	b, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func openNative(t testing.TB, e shield.Endpoint) plugin.Store {
	t.Helper()
	st, err := s3.Plugin(nil).OpenStore(t.Context(), e, func(line string) { t.Log(line) })
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// content is bytes that do not compress, the same for each seed.
func content(seed uint64, size int) []byte {
	b := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)}).Read(b)
	return b
}

func put(t testing.TB, st plugin.Store, key string, data []byte) {
	t.Helper()
	stored, err := st.Put(t.Context(), key, bytes.NewReader(data))
	if err != nil {
		t.Fatalf("put %s: %v", key, err)
	}
	if stored.Key != key || stored.Size != int64(len(data)) {
		t.Errorf("put %s: got %+v", key, stored)
	}
}

func get(t testing.TB, st plugin.Store, key string, want []byte) {
	t.Helper()
	got, err := read(t.Context(), st, key)
	if err != nil {
		t.Fatalf("get %s: %v", key, err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("get %s: %d bytes, want the %d that were put", key, len(got), len(want))
	}
}

func read(ctx context.Context, st plugin.Store, key string) ([]byte, error) {
	r, err := st.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(r)
	return b, errors.Join(err, r.Close())
}

// left returns what a bucket holds: versions, delete markers and unfinished
// uploads.
func (s *service) left(t testing.TB, bucket string) (all []string) {
	t.Helper()
	for o := range s.client.ListObjects(context.Background(), bucket, minio.ListObjectsOptions{WithVersions: true, Recursive: true}) {
		if o.Err != nil {
			t.Fatal(o.Err)
		}
		all = append(all, fmt.Sprintf("%s (version %s, marker %t)", o.Key, o.VersionID, o.IsDeleteMarker))
	}
	return append(all, s.uploads(t, bucket)...)
}

// uploads returns the unfinished uploads of the keys that tests use: MinIO
// lists those of one object only.
func (s *service) uploads(t testing.TB, bucket string) (all []string) {
	t.Helper()
	core := minio.Core{Client: s.client}
	for _, name := range []string{"a", "a~segment"} {
		page, err := core.ListMultipartUploads(context.Background(), bucket, "some/where/"+name, "", "", "", 1000)
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range page.Uploads {
			all = append(all, "unfinished upload of "+u.Key)
		}
	}
	return all
}

func wantCode(t testing.TB, err error, code shield.Code, texts ...string) {
	t.Helper()
	if !errors.Is(err, code) {
		t.Errorf("got %v (%s), want %s", err, shield.CodeOf(err), code)
		return
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("got %q: %q is not in it", err, text)
		}
	}
}
