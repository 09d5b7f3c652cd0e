//go:build linux

package s3_test

import (
	"crypto/tls"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/faultproxy"
	"github.com/shieldhq/shield/internal/storefault"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugins-wasm/s3/s3"
)

// TestFaults: the table of faults, natively against MinIO with TLS.
func TestFaults(t *testing.T) {
	t.Parallel()
	s := startMinIO(t)
	storefault.Run(t, faults(t, s, s.versioned(t), s3.Plugin(nil)))
}

func faults(t *testing.T, s *service, bucket string, o plugin.Opener) storefault.Config {
	endpoint := func(more fields) func(testing.TB, string, string) shield.Endpoint {
		return func(t testing.TB, url, prefix string) shield.Endpoint {
			e := fields{"url": url, "prefix": prefix, "retries": 2, "timeout": "2s"}
			maps.Copy(e, more)
			return s.endpoint(t, bucket, e)
		}
	}
	return storefault.Config{
		Plugin: o, Upstream: s.URL, UpstreamTLS: &tls.Config{RootCAs: s.ca.Pool}, Authority: s.ca,
		Endpoint: endpoint(nil),
		Left:     func(t testing.TB, prefix string) []string { return s.leftBelow(t, bucket, prefix) },
		Size:     12 << 20, Resumes: true, Says: "bucket ",
		Stages: map[string]storefault.Stage{
			"begin":    {Match: request(http.MethodPost, "uploads", true)},
			"part":     {Match: request(http.MethodPut, "partNumber", true), Body: 2 << 20, Compared: true},
			"complete": {Match: request(http.MethodPost, "uploadId", true)},
		},
		Download: func(r *http.Request) bool { return r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/a") },
		Remove:   request(http.MethodDelete, "uploadId", false),
		Answer:   answer, Lie: lie,
		Broken: map[string]storefault.Broken{
			"unknown access key": {Endpoint: endpoint(fields{"access_key_id": "nobody"}), Code: shield.Unauthorized, Says: "access key"},
			"wrong secret key":   {Endpoint: endpoint(fields{"secret_access_key": "wrong-secret"}), Code: shield.Unauthorized, Says: "secret key"},
			"bucket missing":     {Endpoint: endpoint(fields{"bucket": "missing-bucket"}), Code: shield.Invalid, Says: "missing-bucket"},
			"DNS failure":        {Endpoint: endpoint(fields{"url": "https://nowhere.invalid"}), Code: shield.Unavailable, Says: "nowhere.invalid"},
		},
	}
}

func request(method, query string, with bool) func(*http.Request) bool {
	return func(r *http.Request) bool { return r.Method == method && r.URL.Query().Has(query) == with }
}

// answer is what Amazon's service says.
func answer(e storefault.Error) faultproxy.Answer {
	c := map[storefault.Error]struct {
		status        int
		code, message string
	}{
		storefault.Denied:      {403, "AccessDenied", "Access Denied"},
		storefault.ClockSkew:   {403, "RequestTimeTooSkewed", "The difference between the request time and the current time is too large."},
		storefault.Expired:     {400, "ExpiredToken", "The provided token has expired."},
		storefault.Unavailable: {503, "SlowDown", "Please reduce your request rate."},
		storefault.Internal:    {500, "InternalError", "We encountered an internal error. Please try again."},
		storefault.TooMany:     {429, "TooManyRequests", "Slow down."},
	}[e]
	return xmlAnswer(c.status, fmt.Sprintf("<Error><Code>%s</Code><Message>%s</Message></Error>", c.code, c.message))
}

func xmlAnswer(status int, text string) faultproxy.Answer {
	return faultproxy.Answer{Status: status, Header: http.Header{"Content-Type": {"application/xml"}}, Body: `<?xml version="1.0" encoding="UTF-8"?>` + text}
}

// lie is success as the service words it.
func lie(stage string) faultproxy.Answer {
	switch stage {
	case "begin":
		return xmlAnswer(200, "<InitiateMultipartUploadResult><Bucket>b</Bucket><Key>k</Key><UploadId>none</UploadId></InitiateMultipartUploadResult>")
	case "complete":
		return xmlAnswer(200, "<CompleteMultipartUploadResult><Bucket>b</Bucket><Key>k</Key><ETag>e</ETag></CompleteMultipartUploadResult>")
	case "remove":
		return faultproxy.Answer{Status: 204}
	}
	return faultproxy.Answer{Status: 200, Header: http.Header{"Etag": {`"5eb63bbbe01eeed093cb22bb8f5acdc3"`}}}
}

// leftBelow is left for one prefix.
func (s *service) leftBelow(t testing.TB, bucket, prefix string) (all []string) {
	t.Helper()
	for o := range s.client.ListObjects(t.Context(), bucket, minio.ListObjectsOptions{WithVersions: true, Recursive: true, Prefix: prefix}) {
		if o.Err != nil {
			t.Fatal(o.Err)
		}
		all = append(all, o.Key)
	}
	page, err := minio.Core{Client: s.client}.ListMultipartUploads(t.Context(), bucket, prefix+"/a", "", "", "", 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range page.Uploads {
		all = append(all, "unfinished upload of "+u.Key)
	}
	return all
}
