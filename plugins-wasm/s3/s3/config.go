package s3

import (
	"encoding/base64"
	"net"
	"net/url"
	"path"
	"regexp"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/encrypt"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
)

// An endpoint is decoded into settings.
type settings struct {
	URL             string `json:"url"`
	Bucket          string `json:"bucket"`
	Prefix          string `json:"prefix"`
	Region          string `json:"region"`
	Style           string `json:"style"`
	AccessKey       string `json:"access_key_id"`
	SecretKey       string `json:"secret_access_key"`
	SessionToken    string `json:"session_token"`
	UseInstance     bool   `json:"use_instance_profile"`
	MetadataURL     string `json:"metadata_url"`
	RoleARN         string `json:"role_arn"`
	STSURL          string `json:"sts_url"`
	WebIdentityDir  string `json:"web_identity_dir"`
	WebIdentityFile string `json:"web_identity_file"`
	Signature       string `json:"signature_version"`
	StorageClass    string `json:"storage_class"`
	SSE             string `json:"sse"`
	KMSKey          string `json:"sse_kms_key_id"`
	CustomerKey     string `json:"sse_customer_key"`
	LockMode        string `json:"lock_mode"`
	Checksum        string `json:"checksum"`
	PartSize        string `json:"part_size"`
	Parallel        int    `json:"parallel"`
	Retries         int    `json:"retries"`
	Timeout         string `json:"timeout"`
	CA              string `json:"ca_cert"`
	Insecure        bool   `json:"skip_ssl_validation"`
	Proxy           string `json:"proxy"`
	SOCKS5          string `json:"socks5_proxy"`
	Host            string `json:"s3_host"`
	Port            string `json:"-"`
	ScalityHost     string `json:"scality_host"`
	PortNumber      int    `json:"s3_port"`
}

// A config is what the settings come to.
type config struct {
	settings
	endpoint string // host:port without the bucket
	host     string // as in the URL
	secure   bool
	lookup   minio.BucketLookupType
	sse      encrypt.ServerSide
	partSize int
	idle     time.Duration
}

const (
	minPart   = 5 << 20
	maxBuffer = 48 << 20 // of parts that wait for their confirmation
)

func decode(info *plugin.Info, e shield.Endpoint) (*config, error) {
	c := &config{}
	if err := info.Decode(plugin.RoleStore, e, &c.settings); err != nil {
		return nil, err
	}
	for _, step := range []func() error{c.readURL, c.readRegion, c.readKeys, c.readSSE, c.readTransfer, c.readProxy} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	c.Prefix = strings.Trim(c.Prefix, "/")
	if c.Prefix != "" && path.Clean(c.Prefix) != c.Prefix {
		return nil, shield.FieldErrorf("endpoint.prefix", "is %q: folders with one slash between them are wanted, and no . or ..", c.Prefix)
	}
	return c, nil
}

// readURL takes the URL apart. minio-go wants to put the bucket before the
// host by itself.
func (c *config) readURL() error {
	field := "endpoint.url"
	switch {
	case c.URL != "" && (c.Host != "" || c.ScalityHost != ""):
		return shield.FieldErrorf("endpoint.url", "and a host are both given: one of them is wanted")
	case c.Host != "":
		field, c.URL = "endpoint.s3_host", "https://"+withPort(c.Host, c.PortNumber)
	case c.ScalityHost != "":
		field, c.URL = "endpoint.scality_host", "https://"+c.ScalityHost
	case c.URL == "":
		return shield.FieldErrorf("endpoint.url", "is missing: the URL of the service is wanted, like https://s3.eu-west-1.amazonaws.com")
	}
	u, err := url.Parse(c.URL)
	switch {
	case err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https":
		return shield.FieldErrorf(field, "is not a URL like https://host:port")
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.User != nil:
		return shield.FieldErrorf(field, "has more than scheme, host and port: the bucket has a field of its own, so have the keys")
	}
	c.host, c.endpoint, c.secure, c.lookup = u.Host, u.Host, u.Scheme == "https", minio.BucketLookupPath
	rest, named := strings.CutPrefix(u.Host, c.Bucket+".")
	switch {
	case c.Style == "virtual" && !named:
		return shield.FieldErrorf(field, "is %s: for virtual-host style that of the bucket is wanted, %s://%s.%s", c.URL, u.Scheme, c.Bucket, u.Host)
	case c.Style != "path" && named:
		c.endpoint, c.lookup = rest, minio.BucketLookupDNS
	}
	return nil
}

func withPort(host string, port int) string {
	if port == 0 {
		return host
	}
	return net.JoinHostPort(host, itoa(port))
}

var amazonRegion = regexp.MustCompile(`(?:^|\.)s3(?:-fips)?(?:\.dualstack)?[.-]([a-z]{2}(?:-[a-z]+)+-\d+)\.amazonaws\.com(?:\.cn)?$`)

func (c *config) readRegion() error {
	host, _, _ := strings.Cut(c.host, ":")
	m := amazonRegion.FindStringSubmatch(host)
	switch {
	case m != nil && c.Region == "":
		c.Region = m[1]
	case m != nil && c.Region != m[1]:
		return shield.FieldErrorf("endpoint.region", "is %q, but the URL is one of %s: leave the region out or change the URL", c.Region, m[1])
	case m == nil && c.isAmazon() && c.Region == "":
		return shield.FieldErrorf("endpoint.region", "is missing: %s does not tell it", host)
	case c.Region == "":
		c.Region = "us-east-1"
	}
	return nil
}

func (c *config) readKeys() error {
	needs := func(field, value, why string) error {
		if value != "" {
			return nil
		}
		return shield.FieldErrorf("endpoint."+field, "is missing: %s", why)
	}
	switch {
	case c.UseInstance && c.AccessKey != "":
		return shield.FieldErrorf("endpoint.use_instance_profile", "and access_key_id are both given: one of them is wanted")
	case c.UseInstance:
		return needs("metadata_url", c.MetadataURL, "use_instance_profile needs the address of the metadata service, http://169.254.169.254 on most clouds")
	case c.RoleARN != "" || c.WebIdentityDir != "":
		return shield.FirstError(
			needs("role_arn", c.RoleARN, "web_identity_dir needs the role"),
			needs("sts_url", c.STSURL, "a web identity needs the URL of the token service, like https://sts.eu-west-1.amazonaws.com"),
			needs("web_identity_dir", c.WebIdentityDir, "role_arn needs the folder with the token"),
			plainName("web_identity_file", c.WebIdentityFile),
		)
	}
	return shield.FirstError(
		needs("access_key_id", c.AccessKey, "keys, use_instance_profile or role_arn are wanted"),
		needs("secret_access_key", c.SecretKey, "it belongs to access_key_id"),
	)
}

func plainName(field, name string) error {
	if name == path.Base(name) && name != "." && name != ".." {
		return nil
	}
	return shield.FieldErrorf("endpoint."+field, "is %q: the name of a file is wanted, without its folder", name)
}

func (c *config) readSSE() (err error) {
	switch c.SSE {
	case "s3":
		c.sse = encrypt.NewSSE()
	case "kms":
		c.sse, err = encrypt.NewSSEKMS(c.KMSKey, nil)
		return err
	case "c":
		key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(c.CustomerKey))
		if err != nil || len(key) != 32 {
			return shield.FieldErrorf("endpoint.sse_customer_key", "is not what is wanted: 32 bytes in base64, like openssl rand -base64 32 makes")
		}
		if !c.secure {
			return shield.FieldErrorf("endpoint.sse", "is c, which sends the key along: an https URL is wanted")
		}
		c.sse, err = encrypt.NewSSEC(key)
		return err
	}
	return nil
}

func (c *config) readTransfer() error {
	size, err := parseSize(c.PartSize)
	if err != nil {
		return shield.FieldErrorf("endpoint.part_size", "is %q: it %v", c.PartSize, err)
	}
	switch {
	case size < minPart:
		return shield.FieldErrorf("endpoint.part_size", "is %q: at least 5MiB is wanted", c.PartSize)
	case c.Parallel < 1 || c.Parallel > 8:
		return shield.FieldErrorf("endpoint.parallel", "is %d: 1 to 8 is wanted", c.Parallel)
	case size*int64(c.Parallel) > maxBuffer:
		return shield.FieldErrorf("endpoint.part_size", "is %q and parallel %d: their product may be 48MiB at most, since it is kept in memory", c.PartSize, c.Parallel)
	case c.Retries < 0 || c.Retries > 20:
		return shield.FieldErrorf("endpoint.retries", "is %d: 0 to 20 is wanted", c.Retries)
	}
	c.partSize = int(size)
	if c.idle, err = time.ParseDuration(c.Timeout); err != nil || c.idle <= 0 {
		return shield.FieldErrorf("endpoint.timeout", `is %q: a duration above 0 is wanted, like "2m"`, c.Timeout)
	}
	return nil
}

// parseSize reads a size as shield writes them, or with a lone K, M or G for
// powers of 1024.
func parseSize(s string) (int64, error) {
	s = strings.TrimSpace(s)
	if n := len(s); n > 1 && strings.ContainsRune("KMG", rune(s[n-1])) {
		s += "iB"
	}
	return plugin.ParseBytes(s)
}

func (c *config) readProxy() error {
	if c.SOCKS5 != "" {
		if c.Proxy != "" {
			return shield.FieldErrorf("endpoint.proxy", "and socks5_proxy are both given: one of them is wanted")
		}
		c.Proxy = "socks5://" + c.SOCKS5
	}
	if c.Proxy == "" {
		return nil
	}
	u, err := url.Parse(c.Proxy)
	if err != nil || u.Hostname() == "" || u.Port() == "" || u.Scheme != "http" && u.Scheme != "https" && u.Scheme != "socks5" {
		return shield.FieldErrorf("endpoint.proxy", "is not a URL like http://host:port, https://host:port or socks5://host:port")
	}
	return nil
}
