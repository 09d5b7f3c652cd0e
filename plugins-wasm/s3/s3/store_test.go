//go:build linux

package s3_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/faultproxy"
	"github.com/shieldhq/shield/internal/shieldtest"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugins-wasm/s3/s3"
)

// each runs a test against both servers.
func each(t *testing.T, test func(t *testing.T, s *service)) {
	t.Parallel()
	for name, start := range map[string]func(testing.TB) *service{"MinIO": startMinIO, "versitygw": startVersityGW} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, start(t))
		})
	}
}

// TestRoundTrips: one part, exactly one, several, with every checksum, and
// every way to keep them.
func TestRoundTrips(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		cases := map[string]fields{
			"defaults": nil, "sha256": {"checksum": "sha256"}, "md5": {"checksum": "md5"}, "none": {"checksum": "none"},
			"no prefix": {"prefix": ""}, "one at a time": {"parallel": 1}, "signature 2": {"signature_version": "2"},
		}
		if s.ca != nil {
			cases["sse s3"] = fields{"sse": "s3"}
			cases["sse kms"] = fields{"sse": "kms", "sse_kms_key_id": "test"}
			cases["sse c"] = fields{"sse": "c", "sse_customer_key": base64.StdEncoding.EncodeToString(content(9, 32))}
			cases["storage class"] = fields{"storage_class": "REDUCED_REDUNDANCY"}
		} else {
			delete(cases, "signature 2") // it has none
		}
		bucket := s.bucket(t, false)
		for name, more := range cases {
			t.Run(name, func(t *testing.T) {
				st := openNative(t, s.endpoint(t, bucket, more))
				for n, size := range []int{0, 1, 5 << 20, 5<<20 + 1, 12 << 20} {
					data := content(uint64(n), size)
					put(t, st, "a", data)
					get(t, st, "a", data)
				}
				if err := st.Delete(t.Context(), "a"); err != nil {
					t.Error(err)
				}
			})
		}
		if left := s.left(t, bucket); len(left) > 0 {
			t.Errorf("left behind: %q", left)
		}
	})
}

// TestSegments: what is more than the parts of an upload can hold is copied
// into it by the service, and nothing else stays.
func TestSegments(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		bucket := s.versioned(t)
		for name, more := range map[string]fields{"crc32c": nil, "md5": {"checksum": "md5"}, "sha256": {"checksum": "sha256"}} {
			t.Run(name, func(t *testing.T) {
				st := openNative(t, s.endpoint(t, bucket, more))
				s3.SetPlan(st, 2, 3, 2) // two parts, then three segments of two
				for _, parts := range []int{10, 11, 12, 20, 25, 39} {
					data := content(uint64(parts), parts<<20)
					put(t, st, "a", data)
					get(t, st, "a", data)
					if err := st.Delete(t.Context(), "a"); err != nil {
						t.Fatal(err)
					}
					if left := s.left(t, bucket); len(left) > 0 {
						t.Fatalf("%d MiB: left behind: %q", parts, left)
					}
				}
				_, err := st.Put(t.Context(), "a", bytes.NewReader(content(1, 41<<20)))
				wantCode(t, err, shield.Invalid, "5 TiB")
				if left := s.left(t, bucket); len(left) > 0 {
					t.Errorf("left behind: %q", left)
				}
			})
		}
	})
}

// TestFailedInput: an input that breaks off at any place leaves nothing.
func TestFailedInput(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		bucket := s.versioned(t)
		st := openNative(t, s.endpoint(t, bucket, nil))
		s3.SetPlan(st, 2, 3, 2)
		broken := errors.New("the dump broke off")
		for _, size := range []int{0, 100, 5 << 20, 7 << 20, 12 << 20, 22 << 20} {
			_, err := st.Put(t.Context(), "a", io.MultiReader(bytes.NewReader(content(1, size)), failing{broken}))
			if !errors.Is(err, broken) {
				t.Errorf("%d bytes: got %v", size, err)
			}
			if left := s.left(t, bucket); len(left) > 0 {
				t.Errorf("%d bytes: left behind: %q", size, left)
			}
		}
	})
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// TestSandboxStopped: a guest that is stopped in the middle of an upload
// cannot clean up. The host does.
func TestSandboxStopped(t *testing.T) {
	t.Parallel()
	s := startMinIO(t)
	bucket := s.bucket(t, false)
	st, err := shieldtest.Sandboxed(t, "s3").OpenStore(t.Context(), s.endpoint(t, bucket, nil), nil)
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("the dump broke off")
	begun := func() error {
		for len(s.uploads(t, bucket)) == 0 {
			time.Sleep(10 * time.Millisecond)
		}
		return broken
	}
	_, err = st.Put(t.Context(), "a", io.MultiReader(bytes.NewReader(content(1, 12<<20)), late(begun)))
	if !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	if left := s.left(t, bucket); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// A late reader fails once something is so.
type late func() error

func (l late) Read([]byte) (int, error) { return 0, l() }

// TestLeftovers: Delete frees what a Put that was killed has left.
func TestLeftovers(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		bucket := s.bucket(t, false)
		core := minio.Core{Client: s.client}
		for _, name := range []string{"a", "a~segment", "ab"} {
			if _, err := core.NewMultipartUpload(t.Context(), bucket, "some/where/"+name, minio.PutObjectOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		st := openNative(t, s.endpoint(t, bucket, nil))
		if err := st.Delete(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		if left := s.uploads(t, bucket); len(left) > 0 && strings.Contains(fmt.Sprint(left), "where/a ") || len(left) > 1 {
			t.Errorf("left behind: %q", left)
		}
	})
}

// TestVersions: a purge removes all versions and markers of a key, and those
// of no other.
func TestVersions(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		bucket := s.versioned(t)
		st := openNative(t, s.endpoint(t, bucket, nil))
		for n := range 3 {
			put(t, st, "a", content(uint64(n), 10))
			put(t, st, "a.manifest", content(uint64(n), 10))
		}
		if err := s.client.RemoveObject(t.Context(), bucket, "some/where/a", minio.RemoveObjectOptions{}); err != nil {
			t.Fatal(err)
		}
		_, err := st.Get(t.Context(), "a")
		wantCode(t, err, shield.NotFound)
		if err := st.Delete(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		if left := s.left(t, bucket); len(left) != 3 || !strings.Contains(left[0], "a.manifest") {
			t.Errorf("left: %q", left)
		}
	})
}

// TestLocks: a locked blob is Locked until its time, in either mode, and so
// is one with a legal hold.
func TestLocks(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		bucket := s.bucket(t, true)
		until := time.Now().Add(time.Hour).Truncate(time.Second) // what a service keeps is whole
		for _, mode := range []string{"governance", "compliance"} {
			for _, size := range []int{1, 12 << 20} {
				for _, checksum := range []string{"crc32c", "none"} {
					st := openNative(t, s.endpoint(t, bucket, fields{"lock_mode": mode, "checksum": checksum}))
					key := fmt.Sprintf("%s-%d-%s", mode, size, checksum)
					if _, err := st.(plugin.Keeper).PutUntil(t.Context(), key, bytes.NewReader(content(1, size)), until); err != nil {
						t.Fatalf("%s: %v", key, err)
					}
					err := st.Delete(t.Context(), key)
					wantCode(t, err, shield.Locked, "purge", key, until.UTC().Format("2006-01-02T15:04"))
					var e *shield.Error
					if errors.As(err, &e) && (e.Until.Before(until.Truncate(time.Second)) || e.Until.After(until.Add(time.Minute))) {
						t.Errorf("%s: locked until %s, want %s", key, e.Until, until)
					}
					get(t, st, key, content(1, size))
				}
			}
		}
		st := openNative(t, s.endpoint(t, bucket, nil))
		put(t, st, "held", content(1, 10))
		on := minio.LegalHoldEnabled
		if err := s.client.PutObjectLegalHold(t.Context(), bucket, "some/where/held", minio.PutObjectLegalHoldOptions{Status: &on}); err != nil {
			t.Fatal(err)
		}
		wantCode(t, st.Delete(t.Context(), "held"), shield.Locked, "legal hold")
		off := minio.LegalHoldDisabled
		if err := s.client.PutObjectLegalHold(t.Context(), bucket, "some/where/held", minio.PutObjectLegalHoldOptions{Status: &off}); err != nil {
			t.Fatal(err)
		}
		if err := st.Delete(t.Context(), "held"); err != nil {
			t.Error(err)
		}
	})
}

// TestLockExpires: once its time has come the blob can be purged.
func TestLockExpires(t *testing.T) {
	t.Parallel()
	s := startMinIO(t)
	bucket := s.bucket(t, true)
	st := openNative(t, s.endpoint(t, bucket, fields{"lock_mode": "governance"}))
	if _, err := st.(plugin.Keeper).PutUntil(t.Context(), "a", strings.NewReader("x"), time.Now().Add(3*time.Second)); err != nil {
		t.Fatal(err)
	}
	wantCode(t, st.Delete(t.Context(), "a"), shield.Locked)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		err := st.Delete(ctx, "a")
		if err == nil {
			break
		}
		if !errors.Is(err, shield.Locked) {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
	}
	if left := s.left(t, bucket); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// TestLockExpiresMeanwhile: a removal is refused for a lock that is over when
// the service is asked for it.
func TestLockExpiresMeanwhile(t *testing.T) {
	t.Parallel()
	s := startMinIO(t)
	bucket := s.bucket(t, true)
	p := faultproxy.StartHTTP(t, s.URL, &faultproxy.Options{TLS: s.ca.Serve(t), Upstream: &tls.Config{RootCAs: s.ca.Pool}})
	st := openNative(t, s.endpoint(t, bucket, fields{"url": p.URL, "lock_mode": "governance"}))
	until := time.Now().Add(3 * time.Second).Truncate(time.Second)
	if _, err := st.(plugin.Keeper).PutUntil(t.Context(), "a", strings.NewReader("x"), until); err != nil {
		t.Fatal(err)
	}
	var refused atomic.Bool
	p.Set(faultproxy.Rule{
		Match: func(r *http.Request) bool {
			if r.Method == http.MethodHead {
				refused.Store(true)
				time.Sleep(time.Until(until.Add(10 * time.Millisecond)))
			}
			return false
		},
	})
	if err := st.Delete(t.Context(), "a"); err != nil {
		t.Error(err)
	}
	if !refused.Load() {
		t.Error("the service has not been asked for the lock")
	}
	if left := s.left(t, bucket); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestTest(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		for name, bucket := range map[string]string{"plain": s.bucket(t, false), "versioned": s.versioned(t)} {
			st := openNative(t, s.endpoint(t, bucket, nil))
			if err := st.(plugin.Tester).Test(t.Context()); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if left := s.left(t, bucket); len(left) > 0 {
				t.Errorf("%s: left behind: %q", name, left)
			}
		}
	})
}
