package s3

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/shieldhq/shield/plugin/pdk"
	"github.com/shieldhq/shield/plugin/pdk/pdkhttp"
)

func itoa(n int) string { return strconv.Itoa(n) }

// newClient returns minio-go without what we do ourselves: it neither tries
// again nor computes checksums, which in the sandbox is for the host.
func (c *config) newClient() (*minio.Core, error) {
	transport, err := c.transport()
	if err != nil {
		return nil, err
	}
	keys, err := c.credentials()
	if err != nil {
		return nil, err
	}
	core, err := minio.NewCore(c.endpoint, &minio.Options{
		Creds: keys, Secure: c.secure, Transport: transport, Region: c.Region, BucketLookup: c.lookup, MaxRetries: 1,
	})
	if err != nil {
		return nil, err
	}
	if c.isAmazon() {
		// Otherwise minio-go asks the host that it knows of for the region,
		// which is another one than the endpoint names.
		core.SetS3TransferAccelerate(c.endpoint)
	}
	return core, nil
}

func (c *config) httpOptions() *pdkhttp.Options {
	o := &pdkhttp.Options{Proxy: c.Proxy, Idle: c.idle}
	if c.CA != "" || c.Insecure {
		o.TLS = &pdk.TLSConfig{CA: c.CA, Insecure: c.Insecure}
	}
	return o
}

func (c *config) transport() (http.RoundTripper, error) {
	t, err := pdkhttp.New(c.httpOptions())
	if err != nil {
		return nil, err
	}
	return noting{t}, nil
}

// credentials are asked for when the first request is made. The services that
// give them out are not behind the proxy and have certificates of their own.
func (c *config) credentials() (*credentials.Credentials, error) {
	direct, err := pdkhttp.New(&pdkhttp.Options{Idle: c.idle})
	if err != nil {
		return nil, err
	}
	client := &http.Client{Transport: direct}
	switch {
	case c.UseInstance:
		return credentials.New(&credentials.IAM{Client: client, Endpoint: strings.TrimSuffix(c.MetadataURL, "/")}), nil
	case c.RoleARN != "":
		return credentials.New(&credentials.STSWebIdentity{
			Client: client, STSEndpoint: c.STSURL, RoleARN: c.RoleARN, GetWebIDTokenExpiry: c.webToken,
		}), nil
	case c.Signature == "2":
		return credentials.NewStaticV2(c.AccessKey, c.SecretKey, c.SessionToken), nil
	}
	return credentials.NewStaticV4(c.AccessKey, c.SecretKey, c.SessionToken), nil
}

// webToken reads the token each time, since it is changed now and then.
func (c *config) webToken() (*credentials.WebIdentityToken, error) {
	token, err := os.ReadFile(filepath.Join(c.WebIdentityDir, c.WebIdentityFile))
	if err != nil {
		return nil, err
	}
	return &credentials.WebIdentityToken{Token: strings.TrimSpace(string(token))}, nil
}

// A note is what an answer told beside what minio-go passes on.
type note struct {
	retryAfter   time.Duration
	skew         time.Duration // of the server's clock against ours
	deleteMarker bool
}

type noteKey struct{}

// noting fills in the note of a request's context.
type noting struct{ http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (t noting) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := t.RoundTripper.RoundTrip(r)
	n, _ := r.Context().Value(noteKey{}).(*note)
	if err != nil || n == nil {
		return answer, err
	}
	now := time.Now()
	n.retryAfter = retryAfter(answer.Header.Get("Retry-After"), now)
	n.deleteMarker = answer.Header.Get("X-Amz-Delete-Marker") == "true"
	if date, err := http.ParseTime(answer.Header.Get("Date")); err == nil {
		n.skew = date.Sub(now)
	}
	return answer, nil
}

// CloseIdleConnections closes those that nobody uses.
func (t noting) CloseIdleConnections() {
	if c, ok := t.RoundTripper.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// retryAfter reads the header of that name: seconds or a date.
func retryAfter(text string, now time.Time) time.Duration {
	if n, err := strconv.Atoi(strings.TrimSpace(text)); err == nil {
		return time.Duration(max(0, min(n, 1<<20))) * time.Second
	}
	if t, err := http.ParseTime(text); err == nil {
		return max(0, t.Sub(now))
	}
	return 0
}

func withNote(ctx context.Context) (context.Context, *note) {
	n := &note{}
	return context.WithValue(ctx, noteKey{}, n), n
}
