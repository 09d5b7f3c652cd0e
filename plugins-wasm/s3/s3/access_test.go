//go:build linux

package s3_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/faultproxy"
	"github.com/shieldhq/shield/internal/storefault"
	"github.com/shieldhq/shield/plugin"
)

// TestMissingPermissions: the action test names the permission that a policy
// lacks, and cleans up as far as it may.
func TestMissingPermissions(t *testing.T) {
	t.Parallel()
	s := startMinIO(t)
	bucket := s.versioned(t)
	p := faultproxy.StartHTTP(t, s.URL, &faultproxy.Options{TLS: s.ca.Serve(t), Upstream: &tls.Config{RootCAs: s.ca.Pool}})
	for permission, match := range map[string]func(*http.Request) bool{
		"s3:PutObject": request(http.MethodPut, "partNumber", false),
		"s3:GetObject": func(r *http.Request) bool {
			return r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/some/")
		},
		"s3:ListBucket": func(r *http.Request) bool {
			return r.Method == http.MethodGet && r.URL.Query().Get("list-type") == "2"
		},
		"s3:AbortMultipartUpload":       request(http.MethodDelete, "uploadId", true),
		"s3:ListBucketMultipartUploads": request(http.MethodGet, "uploads", true),
		"s3:DeleteObjectVersion":        request(http.MethodDelete, "uploadId", false),
	} {
		p.Set(faultproxy.Rule{Match: match, Fault: faultproxy.Say(answer(storefault.Denied))})
		st := openNative(t, s.endpoint(t, bucket, fields{"url": p.URL}))
		wantCode(t, st.(plugin.Tester).Test(t.Context()), shield.Forbidden, permission+" is needed")
	}
}

// TestInstanceProfile: keys of the machine's role by IMDSv2, with its token.
func TestInstanceProfile(t *testing.T) {
	t.Parallel()
	s := startMinIO(t)
	var asked atomic.Int32
	metadata := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		switch {
		case r.Method == http.MethodPut && r.URL.Path == "/latest/api/token" && r.Header.Get("X-aws-ec2-metadata-token-ttl-seconds") != "":
			_, _ = io.WriteString(w, "imds-token")
		case r.Header.Get("X-aws-ec2-metadata-token") != "imds-token":
			w.WriteHeader(http.StatusUnauthorized)
		case r.URL.Path == "/latest/meta-data/iam/security-credentials/":
			_, _ = io.WriteString(w, "backup-role")
		default:
			fmt.Fprintf(w, `{"Code":"Success","AccessKeyId":%q,"SecretAccessKey":%q,"Expiration":%q}`,
				s.AccessKey, s.SecretKey, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
		}
	}))
	defer metadata.Close()
	bucket := s.bucket(t, false)
	endpoint := s.endpoint(t, bucket, fields{"access_key_id": "", "secret_access_key": "", "use_instance_profile": true, "metadata_url": metadata.URL})
	for name, o := range openers(t) {
		t.Run(name, func(t *testing.T) {
			st, err := o.OpenStore(t.Context(), endpoint, nil)
			if err != nil {
				t.Fatal(err)
			}
			put(t, st, "a", content(1, 100))
			get(t, st, "a", content(1, 100))
		})
	}
	if asked.Load() == 0 {
		t.Error("the metadata service was not asked")
	}
}

// TestWebIdentity: keys of a role for a token in a file.
func TestWebIdentity(t *testing.T) {
	t.Parallel()
	s := startMinIO(t)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "token"), []byte("the-jwt\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	sts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil || r.Form.Get("WebIdentityToken") != "the-jwt" || r.Form.Get("RoleArn") != "arn:role" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		fmt.Fprintf(w, `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>%s</AccessKeyId>
<SecretAccessKey>%s</SecretAccessKey><Expiration>%s</Expiration></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`,
			s.AccessKey, s.SecretKey, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
	}))
	defer sts.Close()
	bucket := s.bucket(t, false)
	endpoint := s.endpoint(t, bucket, fields{"access_key_id": "", "secret_access_key": "", "role_arn": "arn:role", "sts_url": sts.URL, "web_identity_dir": dir})
	for name, o := range openers(t) {
		t.Run(name, func(t *testing.T) {
			st, err := o.OpenStore(t.Context(), endpoint, nil)
			if err != nil {
				t.Fatal(err)
			}
			put(t, st, "a", content(1, 100))
			get(t, st, "a", content(1, 100))
		})
	}
}

// TestProxies: by HTTP and by SOCKS5, natively and in the sandbox.
func TestProxies(t *testing.T) {
	t.Parallel()
	s := startMinIO(t)
	bucket := s.bucket(t, false)
	for kind, start := range map[string]func(*testing.T) (net.Addr, *atomic.Int32){"http": connectProxy, "socks5": socksProxy} {
		for name, o := range openers(t) {
			t.Run(kind+"/"+name, func(t *testing.T) {
				addr, asked := start(t)
				more := fields{"proxy": "http://" + addr.String()}
				if kind == "socks5" {
					more = fields{"socks5_proxy": addr.String()}
				}
				st, err := o.OpenStore(t.Context(), s.endpoint(t, bucket, more), nil)
				if err != nil {
					t.Fatal(err)
				}
				put(t, st, "a", content(1, 6<<20))
				get(t, st, "a", content(1, 6<<20))
				if asked.Load() == 0 {
					t.Error("the proxy was not asked")
				}
			})
		}
	}
}

// connectProxy knows CONNECT alone.
func connectProxy(t *testing.T) (net.Addr, *atomic.Int32) {
	var asked atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		far, err := net.Dial("tcp", r.Host)
		if r.Method != http.MethodConnect || err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		near, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		_, _ = io.WriteString(near, "HTTP/1.1 200 OK\r\n\r\n")
		join(near, far)
	}))
	t.Cleanup(s.Close)
	return s.Listener.Addr(), &asked
}

// socksProxy knows connections to IPv4 addresses without a password.
func socksProxy(t *testing.T) (net.Addr, *atomic.Int32) {
	var asked atomic.Int32
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			asked.Add(1)
			go func() {
				hello := make([]byte, 2)
				_, _ = io.ReadFull(near, hello)
				_, _ = io.CopyN(io.Discard, near, int64(hello[1]))
				_, _ = near.Write([]byte{5, 0})
				b := make([]byte, 10)
				if _, err := io.ReadFull(near, b); err != nil || b[3] != 1 {
					near.Close()
					return
				}
				far, err := net.DialTCP("tcp", nil, &net.TCPAddr{IP: b[4:8], Port: int(b[8])<<8 | int(b[9])})
				if err != nil {
					near.Close()
					return
				}
				_, _ = near.Write([]byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0})
				join(near, far)
			}()
		}
	}()
	return l.Addr(), &asked
}

func join(a, b net.Conn) {
	var once sync.Once
	end := func() { once.Do(func() { a.Close(); b.Close() }) }
	go func() { _, _ = io.Copy(a, b); end() }()
	_, _ = io.Copy(b, a)
	end()
}
