//go:build linux

package storewire_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/zeebo/blake3"

	"github.com/shieldhq/shield/internal/pki"
	"github.com/shieldhq/shield/internal/storewire"
	"github.com/shieldhq/shield/plugin"
)

// BenchmarkPut and BenchmarkGet move a blob between two ends as an agent and a
// daemon do, by mutual TLS over the loopback interface, and report what that
// takes of processor time for both ends together.
//
//	go test ./internal/storewire -run '^$' -bench . -benchtime 5x
func BenchmarkPut(b *testing.B) {
	s := overTLS(b)
	h := blake3.New()
	if _, err := io.Copy(h, &zeros{left: benchSize}); err != nil {
		b.Fatal(err)
	}
	digest := fmt.Sprintf("blake3:%x", h.Sum(nil))
	measured(b, func() error {
		_, err := s.Put(b.Context(), "k", &digested{zeros{left: benchSize}, digest})
		return err
	})
}

func BenchmarkGet(b *testing.B) {
	s := overTLS(b)
	measured(b, func() error {
		r, err := s.Get(b.Context(), "k")
		if err != nil {
			return err
		}
		defer r.Close()
		_, err = io.CopyBuffer(struct{ io.Writer }{io.Discard}, r, make([]byte, 64<<10))
		return err
	})
}

const benchSize = 512 << 20

func measured(b *testing.B, f func() error) {
	b.SetBytes(benchSize)
	before := cpuTime(b)
	for b.Loop() {
		if err := f(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric((cpuTime(b)-before).Seconds()/float64(b.N)/(float64(benchSize)/(1<<30)), "cpu-s/GiB")
}

func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// overTLS returns a store that keeps nothing, at the other end of a connection.
func overTLS(b *testing.B) plugin.Store {
	data, err := pki.Generate()
	if err != nil {
		b.Fatal(err)
	}
	a, err := pki.Parse(data)
	if err != nil {
		b.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(&storewire.Handler{Store: &void{}})
	srv.TLS = a.DaemonServer()
	srv.StartTLS()
	b.Cleanup(srv.Close)
	t := &http.Transport{DisableCompression: true, TLSClientConfig: &tls.Config{
		ServerName: pki.DaemonName, RootCAs: a.Pool(), NextProtos: []string{"http/1.1"}, Certificates: []tls.Certificate{issued(b, a)},
	}}
	b.Cleanup(t.CloseIdleConnections)
	o := &storewire.Opener{Client: &http.Client{Transport: t}, Base: srv.URL}
	s, err := o.OpenStore(b.Context(), nil, nil)
	if err != nil {
		b.Fatal(err)
	}
	return s
}

func issued(b *testing.B, a *pki.Authority) tls.Certificate {
	key, err := pki.NewKey()
	if err != nil {
		b.Fatal(err)
	}
	request, err := pki.RequestFor(key)
	if err != nil {
		b.Fatal(err)
	}
	der, _, err := a.Issue(request, uuid.NewString(), time.Hour)
	if err != nil {
		b.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		b.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// void takes all and gives zeros.
type void struct{ plugin.Store }

func (void) Put(_ context.Context, key string, r io.Reader) (plugin.Stored, error) {
	n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, r, make([]byte, 256<<10))
	return plugin.Stored{Key: key, Size: n}, err
}

func (void) Get(context.Context, string) (io.ReadCloser, error) {
	return io.NopCloser(&zeros{left: benchSize}), nil
}

type zeros struct{ left int64 }

func (z *zeros) Read(p []byte) (int, error) {
	if z.left == 0 {
		return 0, io.EOF
	}
	n := min(int64(len(p)), z.left)
	z.left -= n
	clear(p[:n])
	return int(n), nil
}

// digested is what a backup gives to its store.
type digested struct {
	zeros
	digest string
}

func (d *digested) Digest() string { return d.digest }
