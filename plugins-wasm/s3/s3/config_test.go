package s3

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
)

func decodeWith(t *testing.T, more map[string]any) (*config, error) {
	t.Helper()
	e := map[string]any{"url": "https://s3.example:9000", "bucket": "b1", "access_key_id": "AK", "secret_access_key": "very-secret"}
	for k, v := range more {
		if v == nil {
			delete(e, k)
		} else {
			e[k] = v
		}
	}
	b, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	info := (&Dialect{Name: "s3"}).info()
	return decode(&info, b)
}

func TestWrongEndpoints(t *testing.T) {
	for name, c := range map[string]struct {
		more  map[string]any
		field string
		says  string
	}{
		"no url":             {map[string]any{"url": nil}, "url", "is missing"},
		"url and host":       {map[string]any{"s3_host": "h"}, "url", "both"},
		"url with bucket":    {map[string]any{"url": "https://s3.example/b1"}, "url", "a field of its own"},
		"url with keys":      {map[string]any{"url": "https://a:b@s3.example"}, "url", "a field of its own"},
		"ftp":                {map[string]any{"url": "ftp://s3.example"}, "url", "https://host:port"},
		"no bucket":          {map[string]any{"bucket": ""}, "bucket", "is missing"},
		"virtual":            {map[string]any{"style": "virtual"}, "url", "https://b1.s3.example:9000"},
		"region of another":  {map[string]any{"url": "https://s3.eu-west-1.amazonaws.com", "region": "us-east-1"}, "region", "eu-west-1"},
		"Amazon's nowhere":   {map[string]any{"url": "https://s3.amazonaws.com"}, "region", "is missing"},
		"no keys":            {map[string]any{"access_key_id": nil, "secret_access_key": nil}, "access_key_id", "use_instance_profile or role_arn"},
		"no secret":          {map[string]any{"secret_access_key": nil}, "secret_access_key", "belongs to"},
		"two kinds of keys":  {map[string]any{"use_instance_profile": true}, "use_instance_profile", "both"},
		"instance nowhere":   {map[string]any{"use_instance_profile": true, "access_key_id": nil}, "metadata_url", "http://169.254.169.254"},
		"role without token": {map[string]any{"role_arn": "r", "access_key_id": nil, "sts_url": "https://sts"}, "web_identity_dir", "folder"},
		"role without sts":   {map[string]any{"role_arn": "r", "access_key_id": nil, "web_identity_dir": "/d"}, "sts_url", "https://sts"},
		"token elsewhere":    {map[string]any{"role_arn": "r", "sts_url": "https://sts", "web_identity_dir": "/d", "web_identity_file": "../x"}, "web_identity_file", "without its folder"},
		"sse c without key":  {map[string]any{"sse": "c"}, "sse_customer_key", "32 bytes"},
		"sse c without tls":  {map[string]any{"sse": "c", "url": "http://s3.example", "sse_customer_key": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}, "sse", "https"},
		"small parts":        {map[string]any{"part_size": "4MiB"}, "part_size", "at least 5MiB"},
		"odd parts":          {map[string]any{"part_size": "many"}, "part_size", "number of bytes"},
		"much memory":        {map[string]any{"part_size": "16MiB", "parallel": 4}, "part_size", "48MiB at most"},
		"no lanes":           {map[string]any{"parallel": 0}, "parallel", "1 to 8"},
		"endless retries":    {map[string]any{"retries": 99}, "retries", "0 to 20"},
		"no time":            {map[string]any{"timeout": "0s"}, "timeout", "above 0"},
		"proxy without port": {map[string]any{"proxy": "http://proxy"}, "proxy", "host:port"},
		"two proxies":        {map[string]any{"proxy": "http://proxy:1", "socks5_proxy": "p:2"}, "proxy", "both"},
		"prefix that climbs": {map[string]any{"prefix": "a/../b"}, "prefix", "no . or .."},
		"unknown":            {map[string]any{"colour": "red"}, "colour", "is not a field"},
		"lock mode":          {map[string]any{"lock_mode": "eternal"}, "lock_mode", "none, governance, compliance"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := decodeWith(t, c.more)
			var field string
			if e, ok := err.(*shield.Error); ok {
				field = e.Field
			}
			if shield.CodeOf(err) != shield.Invalid || field != "endpoint."+c.field || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v; want endpoint.%s and %q", err, c.field, c.says)
			}
			if err != nil && strings.Contains(err.Error(), "very-secret") {
				t.Errorf("the error has the secret in it: %v", err)
			}
		})
	}
}

func TestGoodEndpoints(t *testing.T) {
	for name, c := range map[string]struct {
		more           map[string]any
		endpoint, host string
		region         string
		dns, secure    bool
	}{
		"path":          {nil, "s3.example:9000", "s3.example:9000", "us-east-1", false, true},
		"virtual":       {map[string]any{"url": "http://b1.s3.example"}, "s3.example", "b1.s3.example", "us-east-1", true, false},
		"forced path":   {map[string]any{"url": "http://b1.s3.example", "style": "path"}, "b1.s3.example", "b1.s3.example", "us-east-1", false, false},
		"Amazon":        {map[string]any{"url": "https://s3.eu-west-1.amazonaws.com/"}, "s3.eu-west-1.amazonaws.com", "s3.eu-west-1.amazonaws.com", "eu-west-1", false, true},
		"Amazon bucket": {map[string]any{"url": "https://b1.s3.cn-north-1.amazonaws.com.cn"}, "s3.cn-north-1.amazonaws.com.cn", "b1.s3.cn-north-1.amazonaws.com.cn", "cn-north-1", true, true},
		"predecessor": {map[string]any{"url": nil, "s3_host": "s3.example", "s3_port": "9001", "signature_version": "2", "part_size": "5M", "socks5_proxy": "p:1080", "skip_ssl_validation": "yes"},
			"s3.example:9001", "s3.example:9001", "us-east-1", false, true},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := decodeWith(t, c.more)
			if err != nil {
				t.Fatal(err)
			}
			if got.endpoint != c.endpoint || got.host != c.host || got.Region != c.region || got.secure != c.secure || (got.lookup == 1) != c.dns {
				t.Errorf("got endpoint %s, host %s, region %s, secure %t, lookup %v", got.endpoint, got.host, got.Region, got.secure, got.lookup)
			}
		})
	}
}

// TestPlan: 5 TiB fit into 10,000 parts, whatever their size, and no segment
// is larger than what can be copied.
func TestPlan(t *testing.T) {
	for _, part := range []int{minPart, 5<<20 + 1, 7_000_000, 16 << 20, 48 << 20} {
		p := defaultPlan(part)
		all := part * (p.direct + p.segments*p.segment)
		if p.direct+p.segments > partsLimit || p.direct < 1 || all < objectBytes || p.segment*part > segmentBytes || p.segment > partsLimit {
			t.Errorf("parts of %d: %+v holds %d bytes", part, p, all)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, " 7 ": 7 * time.Second, "-1": 0, "soon": 0,
		"Fri, 02 Jan 2026 03:05:05 GMT": time.Minute, "Fri, 02 Jan 2026 03:03:05 GMT": 0, "99999999999999": 1 << 20 * time.Second,
	} {
		if got := retryAfter(text, now); got != want {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
	}
}

func FuzzRetryAfter(f *testing.F) {
	f.Add("7")
	f.Add("Fri, 02 Jan 2026 03:05:05 GMT")
	f.Fuzz(func(t *testing.T, text string) {
		if got := retryAfter(text, time.Unix(0, 0)); got < 0 {
			t.Errorf("%q: %s", text, got)
		}
	})
}

func FuzzSize(f *testing.F) {
	for _, s := range []string{"5M", "16MiB", "5242880", "1G", "K"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if n, err := parseSize(text); err == nil && n < 0 {
			t.Errorf("%q: %d", text, n)
		}
	})
}

func TestCapabilities(t *testing.T) {
	for _, d := range []*Dialect{{Name: "s3"}, Scality()} {
		info := d.info()
		if err := info.Check(); err != nil {
			t.Fatal(err)
		}
		c, err := plugin.ParseCapabilities(info.Capabilities)
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.Resolve(shield.Endpoint(`{"url":"https://s3.example:9000","bucket":"b"}`))
		if err != nil {
			t.Fatal(err)
		}
		if len(got.HTTP) != 1 || got.HTTP[0] != "https://s3.example:9000" || len(got.TCP)+len(got.Read)+len(got.Write)+len(got.Exec) != 0 {
			t.Errorf("%s may reach more than its endpoint: %+v", d.Name, got)
		}
	}
}
