package webdav

import (
	"context"
	"crypto/tls"
	"net/url"
	"strings"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugins-wasm/internal/rest"
)

// store is a folder. An archive is a file whose path is the prefix and the
// key.
type store struct {
	base    *url.URL // of the folder, without a slash at its end
	prefix  string
	auth    auth // as each session begins
	streams bool // send small archives like large ones
	client  *rest.Client
	log     plugin.Log
}

var (
	_ plugin.Store     = (*store)(nil)
	_ plugin.Lister    = (*store)(nil)
	_ plugin.Tester    = (*store)(nil)
	_ plugin.Validator = (*store)(nil)
)

func openStore(e shield.Endpoint, log plugin.Log) (plugin.Store, error) {
	c, err := decode(e)
	if err != nil {
		return nil, err
	}
	if log == nil {
		log = func(string) {}
	}
	s := &store{auth: newAuth(&c), log: log}
	if s.base, err = parseBase(c.URL); err != nil {
		return nil, err
	}
	if s.prefix, err = rest.CheckPrefix(c.Prefix); err != nil {
		return nil, err
	}
	if err := checkCredentials(&c); err != nil {
		return nil, err
	}
	settings := rest.Settings{
		Place: s.base.String(), Retries: c.Retries, Stall: c.StallTimeout,
		CA: c.CA, Cert: c.Cert, Key: c.Key, Insecure: c.Insecure, Proxy: c.Proxy, Log: log,
	}
	s.client, err = rest.NewClient(&settings)
	return s, err
}

func parseBase(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "":
		return nil, invalid("url", "is no URL that begins with https:// or http://")
	case u.User != nil:
		return nil, invalid("url", "has a user name in it: that has a field of its own")
	case u.RawQuery != "" || u.Fragment != "":
		return nil, invalid("url", "has more than a host and a path")
	}
	return url.Parse(u.Scheme + "://" + u.Host + strings.TrimRight(u.EscapedPath(), "/"))
}

func checkCredentials(c *config) error {
	switch {
	case c.Token != "" && (c.Username != "" || c.Password != ""):
		return invalid("token", "and a user name or password are both given: one way is wanted")
	case c.Username == "" && c.Password != "":
		return invalid("username", "is missing: it belongs to password")
	case c.Username == "" && c.Auth != authAuto:
		return invalid("username", "is missing: auth is %s", c.Auth)
	case strings.ContainsAny(c.Username, ":\r\n") && c.Auth != authDigest:
		return invalid("username", "has a colon or a line end, which only digest authentication can carry")
	case strings.ContainsAny(c.Username+c.Token, "\r\n"):
		return invalid("token", "or username has a line end")
	case (c.Cert == "") != (c.Key == ""):
		return invalid("cert", "and key belong together: one of them is missing")
	}
	if c.Cert == "" {
		return nil
	}
	if _, err := tls.X509KeyPair([]byte(c.Cert), []byte(c.Key)); err != nil {
		return invalid("cert", "and key are not a certificate and its key in PEM form: %v", err)
	}
	return nil
}

// Validate has nothing to add to what opening the store has checked.
func (s *store) Validate(context.Context) error { return nil }

// limits of names: file systems have 255 bytes for one, and temporary names
// are longer than those of keys.
const segmentLimit = 200

// checkKey returns why a key cannot be the path of a file, Invalid.
func checkKey(key string) error {
	if err := rest.CheckKey(key); err != nil {
		return err
	}
	for part := range strings.SplitSeq(key, "/") {
		switch {
		case len(part) > segmentLimit:
			return shield.FieldErrorf("key", "%.100q has a segment of more than %d bytes", key, segmentLimit)
		case strings.HasPrefix(part, tempPrefix):
			return shield.FieldErrorf("key", "%q has a segment that begins with %s, as unfinished archives do", key, tempPrefix)
		}
	}
	return nil
}

// tempPrefix begins the names of files that are being written. Lists leave
// them out.
const tempPrefix = ".shield-part-"

// tempName returns a name that nothing has yet, beside a file.
func tempName(name string) string {
	folder, file := split(name)
	return folder + tempPrefix + rest.Token() + "-" + file
}

// isTempOf reports whether a file in the same folder is one that an unfinished
// Put of file has left.
func isTempOf(name, file string) bool {
	rest, ok := strings.CutPrefix(name, tempPrefix)
	if !ok {
		return false
	}
	_, of, ok := strings.Cut(rest, "-")
	return ok && of == file
}

// split takes the name of a file from its folder, which keeps its slash.
func split(name string) (folder, file string) {
	n := strings.LastIndexByte(name, '/') + 1
	return name[:n], name[n:]
}
