//go:build linux

package testserver

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
)

// S3 is a running server that speaks S3, without buckets.
type S3 struct {
	*Process
	URL       string
	AccessKey string
	SecretKey string
}

// S3Options are the settings of a server. nil is none of them.
type S3Options struct {
	// Certificate and Key, in PEM form and for 127.0.0.1, have it speak TLS;
	// Roots is what it is checked with.
	Certificate, Key string
	Roots            *x509.CertPool
}

func newS3(t testing.TB, o *S3Options) (*S3, string, func(context.Context) error) {
	t.Helper()
	addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(Port(t)))
	s := &S3{URL: "http://" + addr, AccessKey: "shield-test-key", SecretKey: "shield-test-secret"}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	if o != nil && o.Certificate != "" {
		s.URL = "https://" + addr
		client.Transport = &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: o.Roots}}
	}
	return s, addr, func(ctx context.Context) error {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/", nil)
		if err != nil {
			return err
		}
		answer, err := client.Do(r)
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		if answer.StatusCode >= 500 {
			return &net.AddrError{Err: answer.Status, Addr: addr}
		}
		return nil
	}
}

// StartMinIO runs a MinIO server.
func StartMinIO(t testing.TB, o *S3Options) *S3 {
	t.Helper()
	path := Built(t, "minio")
	s, addr, ready := newS3(t, o)
	dir := Dir(t)
	certs := filepath.Join(dir, "certs")
	write(t, filepath.Join(certs, "CAs", "none"), "")
	if o != nil && o.Certificate != "" {
		write(t, filepath.Join(certs, "public.crt"), o.Certificate)
		write(t, filepath.Join(certs, "private.key"), o.Key)
	}
	cmd := exec.Command(path, "server", "--quiet", "--address", addr, "--certs-dir", certs, filepath.Join(dir, "data"))
	cmd.Env = append(os.Environ(), "MINIO_ROOT_USER="+s.AccessKey, "MINIO_ROOT_PASSWORD="+s.SecretKey,
		"MINIO_UPDATE=off", "MINIO_BROWSER=off", "MINIO_KMS_SECRET_KEY=test:OSMM+vkKUTCvQs9YL/CVMIMt43HFhkUpqJxTmGl6rYw=")
	s.Process = Start(t, cmd, ready)
	return s
}

// StartVersityGW runs a Versity S3 gateway over a folder, with versions.
func StartVersityGW(t testing.TB, o *S3Options) *S3 {
	t.Helper()
	path := Built(t, "versitygw")
	s, addr, ready := newS3(t, o)
	dir := Dir(t)
	for _, name := range []string{"data", "iam", "versions"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	args := []string{"-q", "--port", addr, "--access", s.AccessKey, "--secret", s.SecretKey, "--iam-dir", filepath.Join(dir, "iam")}
	if o != nil && o.Certificate != "" {
		write(t, filepath.Join(dir, "cert.pem"), o.Certificate)
		write(t, filepath.Join(dir, "key.pem"), o.Key)
		args = append(args, "--cert", filepath.Join(dir, "cert.pem"), "--key", filepath.Join(dir, "key.pem"))
	}
	args = append(args, "posix", "--versioning-dir", filepath.Join(dir, "versions"), filepath.Join(dir, "data"))
	s.Process = Start(t, exec.Command(path, args...), ready)
	return s
}

func write(t testing.TB, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
