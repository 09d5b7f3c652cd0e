package azure

import (
	"encoding/base64"
	"net"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugins-wasm/internal/rest"
)

// An account is where the container is and what proves that we may use it.
type account struct {
	name     string
	base     string // the URL of the container
	key      []byte // of the account; nil with a signature
	sas      url.Values
	sasUntil time.Time // zero if it does not say
}

// The rules of the service for names.
// https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules
var (
	accountName   = regexp.MustCompile(`^[a-z0-9]{3,24}$`)
	containerName = regexp.MustCompile(`^[a-z0-9](-?[a-z0-9]){2,62}$`)
)

func invalid(field, format string, args ...any) error {
	return shield.FieldErrorf("endpoint."+field, format, args...)
}

// newAccount makes sense of the fields that say where and who.
func newAccount(c *config) (*account, error) {
	if !containerName.MatchString(c.Container) || len(c.Container) > 63 {
		return nil, invalid("container", "is %q: 3 to 63 lower-case letters and digits are wanted, with single dashes between them", c.Container)
	}
	if c.Account != "" && !accountName.MatchString(c.Account) {
		return nil, invalid("account", "is %q: 3 to 24 lower-case letters and digits are wanted", c.Account)
	}
	if err := onlyOne(c); err != nil {
		return nil, err
	}
	a := &account{}
	service, err := serviceOf(c)
	if err != nil {
		return nil, err
	}
	key, sas := c.Key, c.SAS
	keyField, sasField := "key", "sas"
	a.name = c.Account
	if c.ConnectionString != "" {
		parts, err := parseConnectionString(c.ConnectionString)
		if err != nil {
			return nil, err
		}
		if err := parts.fits(c); err != nil {
			return nil, err
		}
		key, sas, a.name = parts.key, parts.sas, parts.account
		keyField, sasField = "connection_string", "connection_string"
	}
	if a.name == "" {
		a.name = accountOf(service)
	}
	a.base = service + "/" + c.Container
	if sas != "" {
		return a, a.setSAS(sasField, sas)
	}
	if a.name == "" {
		return nil, invalid("account", "is missing: the endpoint %s does not begin with it, and signatures need it", service)
	}
	if a.key, err = base64.StdEncoding.DecodeString(key); err != nil || len(a.key) == 0 {
		return nil, invalid(keyField, "has no account key in base64: 88 characters, as the portal shows it, are wanted")
	}
	return a, nil
}

func onlyOne(c *config) error {
	set := 0
	for _, v := range []string{c.Key, c.SAS, c.ConnectionString} {
		if v != "" {
			set++
		}
	}
	if set == 0 {
		return invalid("key", "is missing: one of key, sas and connection_string is wanted")
	}
	if set > 1 {
		return invalid("key", "is one of several credentials: only one of key, sas and connection_string is wanted")
	}
	return nil
}

// serviceOf returns the URL of the blob service, as the capabilities have it.
func serviceOf(c *config) (string, error) {
	if c.Endpoint == "" {
		if c.Account == "" {
			return "", invalid("account", "is missing: it, or the endpoint of another cloud, is wanted, also beside a connection string")
		}
		return "https://" + c.Account + ".blob.core.windows.net", nil
	}
	u, err := url.Parse(c.Endpoint)
	switch {
	case err != nil || u.Scheme != "https" && u.Scheme != "http":
		return "", invalid("endpoint", "is no URL like https://mybackups.blob.core.windows.net")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return "", invalid("endpoint", "has more than a host and a path: a signature belongs into the field sas")
	case strings.HasSuffix(u.Path, "/"):
		return "", invalid("endpoint", "is %q: leave out the slash at its end", c.Endpoint)
	}
	return c.Endpoint, nil
}

// accountOf returns the account that a service's URL names: its first label,
// or, for emulators, the path behind an address.
func accountOf(service string) string {
	u, err := url.Parse(service)
	if err != nil {
		return ""
	}
	name, _, _ := strings.Cut(u.Hostname(), ".")
	if net.ParseIP(u.Hostname()) != nil || u.Hostname() == "localhost" {
		name = strings.TrimPrefix(u.Path, "/")
	}
	if !accountName.MatchString(name) {
		return ""
	}
	return name
}

func (a *account) setSAS(field, text string) error {
	values, err := url.ParseQuery(strings.TrimPrefix(strings.TrimSpace(text), "?"))
	if err != nil || values.Get("sig") == "" {
		return invalid(field, "has no shared access signature: a text like sv=...&se=...&sig=... is wanted")
	}
	a.sas = values
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04Z", "2006-01-02"} {
		if at, err := time.Parse(layout, values.Get("se")); err == nil {
			a.sasUntil = at
		}
	}
	return nil
}

// url returns the URL of an object, or of the container if that is empty,
// with what it is asked.
func (a *account) url(object string, query url.Values) (*url.URL, error) {
	text := a.base
	if object != "" {
		text += "/" + rest.Escape(object, false)
	}
	u, err := url.Parse(text)
	if err != nil {
		return nil, err
	}
	all := url.Values{}
	for _, from := range []url.Values{a.sas, query} {
		for k, v := range from {
			all[k] = v
		}
	}
	u.RawQuery = all.Encode()
	return u, nil
}
