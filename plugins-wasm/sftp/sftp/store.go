package sftp

import (
	"context"
	"net"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugins-wasm/internal/rest"
)

// store is a folder of a server. Each of its methods has a connection of its
// own.
type store struct {
	addr    string // host:port
	user    string
	place   string // for errors
	login   *login
	known   *hostKeys // nil if they are in a file
	file    string    // known_hosts
	base    string    // must exist
	prefix  string    // below base, with a slash at its end unless empty
	retries int
	connect time.Duration
	stall   time.Duration
	log     plugin.Log
}

var (
	_ plugin.Store     = (*store)(nil)
	_ plugin.Lister    = (*store)(nil)
	_ plugin.Tester    = (*store)(nil)
	_ plugin.Validator = (*store)(nil)
)

const retriesLimit = 100

func openStore(e shield.Endpoint, log plugin.Log) (plugin.Store, error) {
	c, err := decode(e)
	if err != nil {
		return nil, err
	}
	if log == nil {
		log = func(string) {}
	}
	s := &store{user: c.User, file: c.KnownHostsFile, retries: c.Retries, log: log}
	if strings.ContainsAny(c.Host, "/@ ") {
		return nil, shield.FieldErrorf("endpoint.host", "is %q: a name or an address is wanted, without user, port or path", c.Host)
	}
	s.addr = net.JoinHostPort(strings.Trim(c.Host, "[]"), strconv.Itoa(c.Port))
	if s.login, err = newLogin(&c); err != nil {
		return nil, err
	}
	if err := s.know(&c); err != nil {
		return nil, err
	}
	if err := s.locate(&c); err != nil {
		return nil, err
	}
	return s, s.limits(&c)
}

// know settles what the server is known by. A file is read when it is needed.
func (s *store) know(c *config) (err error) {
	switch {
	case c.HostKey != "" && c.KnownHostsFile != "":
		return shield.FieldErrorf("endpoint.known_hosts_file", "is set, and host_key is too: one of them is wanted")
	case c.KnownHostsFile != "":
		return nil
	case c.HostKey == "":
		return shield.FieldErrorf("endpoint.host_key", "is missing: without it anybody could answer in the server's place. "+
			"`ssh-keyscan -p %d %s | ssh-keygen -lf -` shows what answers now; compare that with what the server's operator says", c.Port, c.Host)
	}
	s.known, err = parseHostKeys([]byte(c.HostKey), s.addr)
	if err != nil {
		return shield.FieldErrorf("endpoint.host_key", "%v", err)
	}
	return nil
}

func (s *store) locate(c *config) (err error) {
	if strings.HasPrefix(c.BaseDir, "~") {
		return shield.FieldErrorf("endpoint.base_dir", "is %q: servers do not know ~; a path without / at its begin is in the user's folder", c.BaseDir)
	}
	s.base = path.Clean(c.BaseDir)
	if s.prefix, err = rest.CheckPrefix(c.Prefix); err != nil {
		return err
	}
	s.place = "sftp://" + s.user + "@" + s.addr + "/" + strings.TrimPrefix(s.base, "/")
	return nil
}

func (s *store) limits(c *config) (err error) {
	if s.retries < 0 || s.retries > retriesLimit {
		return shield.FieldErrorf("endpoint.retries", "is %d: 0 to %d is wanted", s.retries, retriesLimit)
	}
	for _, f := range []struct {
		name, text string
		into       *time.Duration
	}{{"connect_timeout", c.ConnectTimeout, &s.connect}, {"stall_timeout", c.StallTimeout, &s.stall}} {
		if *f.into, err = time.ParseDuration(f.text); err != nil || *f.into < time.Second {
			return shield.FieldErrorf("endpoint."+f.name, "is %q: a duration of at least 1s is wanted, like 2m", f.text)
		}
	}
	return nil
}

// Validate has nothing to add to what opening the store has checked.
func (s *store) Validate(context.Context) error { return nil }

// Test lists, writes, reads and deletes a small file, and logs how much room
// there is.
func (s *store) Test(ctx context.Context) error {
	const op = "sftp.test"
	c, err := s.open(ctx, op, s.retries)
	if err != nil {
		return err
	}
	err = c.checkRoom(s.base, s.log)
	c.close()
	if err != nil {
		return s.failed(op, "look for room", err)
	}
	needs := rest.Needs{
		List:   "the right to list (r and x) in base_dir",
		Write:  "the right to write (w and x) in base_dir",
		Read:   "the right to read what the user has written",
		Delete: "the right to delete (w and x) in base_dir, without a sticky bit of another",
	}
	return rest.WithOp(op, rest.Try(ctx, s, needs, s.log))
}
