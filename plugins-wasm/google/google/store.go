package google

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugins-wasm/internal/rest"
)

// store is a bucket. An archive is an object whose name is the prefix and the
// key.
type store struct {
	endpoint string
	bucket   string
	prefix   string
	class    string
	mode     string // of retention
	tokens   *tokenSource
	client   *rest.Client
	log      plugin.Log
}

var (
	_ plugin.Store     = (*store)(nil)
	_ plugin.Lister    = (*store)(nil)
	_ plugin.Keeper    = (*store)(nil)
	_ plugin.Tester    = (*store)(nil)
	_ plugin.Validator = (*store)(nil)
)

// The rules of the service for names.
// https://cloud.google.com/storage/docs/buckets#naming
var bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$`)

func openStore(e shield.Endpoint, log plugin.Log) (plugin.Store, error) {
	c, err := decode(e)
	if err != nil {
		return nil, err
	}
	if log == nil {
		log = func(string) {}
	}
	if !bucketName.MatchString(c.Bucket) || strings.Contains(c.Bucket, "..") {
		return nil, invalid("bucket", "is %q: 3 to 222 lower-case letters, digits, dashes, underscores and dots are wanted", c.Bucket)
	}
	for field, text := range map[string]string{"endpoint": c.Endpoint, "token_url": c.TokenURL} {
		if err := checkURL(field, text); err != nil {
			return nil, err
		}
	}
	s := &store{endpoint: c.Endpoint, bucket: c.Bucket, class: strings.ToUpper(c.StorageClass), mode: c.RetentionMode, log: log}
	if s.prefix, err = rest.CheckPrefix(c.Prefix); err != nil {
		return nil, err
	}
	if c.AccessID != "" || c.Secret != "" {
		return c.interoperable(log)
	}
	if c.JSONKey == "" {
		return nil, invalid("json_key", "is missing: the key of a service account is wanted, or access_id and secret")
	}
	account, err := parseKey(c.JSONKey, c.TokenURL)
	if err != nil {
		return nil, err
	}
	settings := rest.Settings{Place: c.Endpoint + "/" + c.Bucket, Retries: c.Retries, Stall: c.StallTimeout, CA: c.CA, Log: log}
	if s.client, err = rest.NewClient(&settings); err != nil {
		return nil, err
	}
	tokens := *s.client
	tokens.Place = c.TokenURL
	s.tokens = &tokenSource{account: account, client: &tokens}
	return s, nil
}

func checkURL(field, text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Scheme != "https" && u.Scheme != "http":
		return invalid(field, "is no URL that begins with https://")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return invalid(field, "has more than a host and a path")
	case field == "endpoint" && u.Path != "":
		return invalid(field, "is %q: only a host is wanted, like https://storage.googleapis.com, without a slash at its end", text)
	}
	return nil
}

// Validate has nothing to add to what opening the store has checked.
func (s *store) Validate(context.Context) error { return nil }

// A call is one request to the service.
type call struct {
	op     string // for errors
	method string
	upload bool   // by the path for uploads
	object string // its whole name; empty for the bucket's objects
	query  url.Values
	header http.Header
	body   func() io.Reader
	length int64
}

func (s *store) url(c *call) (*url.URL, error) {
	text := s.endpoint
	if c.upload {
		text += "/upload"
	}
	text += "/storage/v1/b/" + s.bucket + "/o"
	if c.object != "" {
		text += "/" + rest.Escape(c.object, true)
	}
	u, err := url.Parse(text)
	if err != nil {
		return nil, err
	}
	u.RawQuery = c.query.Encode()
	return u, nil
}

// request makes the request of a call, and returns the token that it has.
func (s *store) request(ctx context.Context, c *call) (r *rest.Request, token string, err error) {
	u, err := s.url(c)
	if err != nil {
		return nil, "", err
	}
	if token, err = s.tokens.token(ctx); err != nil {
		return nil, "", err
	}
	h := c.header.Clone()
	if h == nil {
		h = http.Header{}
	}
	h.Set("Authorization", "Bearer "+token)
	return &rest.Request{Op: c.op, Method: c.method, URL: u, Header: h, Body: c.body, Length: c.length}, token, nil
}

// do sends a call and returns the answer, whatever it says. A token that is
// not taken is replaced once.
func (s *store) do(ctx context.Context, c *call) (*rest.Answer, error) {
	for fresh := false; ; fresh = true {
		r, token, err := s.request(ctx, c)
		if err != nil {
			return nil, err
		}
		a, err := s.client.Do(ctx, r)
		if err != nil || a.Status != http.StatusUnauthorized || fresh {
			return a, err
		}
		s.tokens.drop(token)
	}
}

// An object is what the service says of one.
// https://cloud.google.com/storage/docs/json_api/v1/objects#resource
type object struct {
	Name                    string            `json:"name"`
	Size                    int64             `json:"size,string"`
	Generation              string            `json:"generation"`
	Updated                 string            `json:"updated"`
	CRC32C                  string            `json:"crc32c"`
	Metadata                map[string]string `json:"metadata"`
	TemporaryHold           bool              `json:"temporaryHold"`
	EventBasedHold          bool              `json:"eventBasedHold"`
	RetentionExpirationTime string            `json:"retentionExpirationTime"`
	Retention               *retention        `json:"retention"`
}

type retention struct {
	Mode            string `json:"mode"`
	RetainUntilTime string `json:"retainUntilTime"`
}

func (s *store) parseObject(op string, body []byte) (*object, error) {
	var o object
	if err := json.Unmarshal(body, &o); err != nil {
		return nil, shield.Errorf(shield.StoreFailed, "", "%s: %s: the answer is not the JSON that was wanted: %w", s.client.Place, op, err)
	}
	return &o, nil
}

// properties asks for those of an object, nil if there is none.
func (s *store) properties(ctx context.Context, name string) (*object, error) {
	c := &call{op: "properties of " + name, method: http.MethodGet, object: name}
	a, err := s.do(ctx, c)
	if err != nil {
		return nil, err
	}
	if a.Status == http.StatusOK {
		return s.parseObject(c.op, a.Body)
	}
	if err := s.problem(ctx, c.op, a); !errors.Is(err, shield.NotFound) {
		return nil, err
	}
	return nil, nil
}

// problem returns what an answer that is not the wanted one means.
func (s *store) problem(ctx context.Context, op string, a *rest.Answer) error {
	reason, message := explain(a)
	code := rest.StatusCode(a.Status)
	if c, ok := codes[reason]; ok {
		code = c
	}
	if code == shield.NotFound && !strings.Contains(message, "No such object") && s.lacksBucket(ctx) {
		return invalid("bucket", "%s does not exist at %s: make it, or name another", s.bucket, s.endpoint)
	}
	if a.Status >= 300 && a.Status < 400 {
		message = "a redirect, which is not followed: name the service itself as the endpoint"
	}
	text := a.Words(reason, message)
	if code == shield.Unauthorized {
		if skew := rest.ClockSkew(a.Header, time.Now(), skewLimit); skew != "" {
			text += "; " + skew
		} else {
			text += "; the token has expired early, or the key is not the account's any more"
		}
	}
	return &shield.Error{Code: code, Message: fmt.Sprintf("%s: %s: %s", s.client.Place, op, text)}
}

// codes says what the service's reasons mean to shield where their status does
// not say enough.
// https://cloud.google.com/storage/docs/json_api/v1/status-codes
// It is never written to.
var codes = map[string]shield.Code{
	"retentionPolicyNotMet":       shield.Locked,
	"objectUnderActiveHold":       shield.Locked,
	"objectRetentionPeriodNotMet": shield.Locked,
	"rateLimitExceeded":           shield.Unavailable,
	"userRateLimitExceeded":       shield.Unavailable,
	"authError":                   shield.Unauthorized,
}

func explain(a *rest.Answer) (reason, message string) {
	var answer struct {
		Error struct {
			Message string `json:"message"`
			Errors  []struct {
				Reason string `json:"reason"`
			} `json:"errors"`
		} `json:"error"`
	}
	if json.Unmarshal(a.Body, &answer) != nil {
		// Media are refused in plain text.
		if text := string(a.Body); len(text) < 500 && !strings.ContainsAny(text, "<{") {
			return "", text
		}
		return "", ""
	}
	if len(answer.Error.Errors) > 0 {
		reason = answer.Error.Errors[0].Reason
	}
	return reason, answer.Error.Message
}

// lacksBucket tells a bucket that is not there from an object that is not.
func (s *store) lacksBucket(ctx context.Context) bool {
	a, err := s.do(ctx, &call{op: "look for the bucket", method: http.MethodGet, query: url.Values{"maxResults": {"1"}, "fields": {"kind"}}})
	return err == nil && a.Status == http.StatusNotFound
}
