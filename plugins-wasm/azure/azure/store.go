package azure

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugins-wasm/internal/rest"
)

// store is a container. An archive is a block blob whose name is the prefix
// and the key.
type store struct {
	account *account
	prefix  string
	tier    string
	mode    string // of immutability
	client  *rest.Client
	log     plugin.Log
}

var (
	_ plugin.Store     = (*store)(nil)
	_ plugin.Lister    = (*store)(nil)
	_ plugin.Keeper    = (*store)(nil)
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
	s := &store{tier: c.AccessTier, mode: c.ImmutabilityMode, log: log}
	if s.account, err = newAccount(&c); err != nil {
		return nil, err
	}
	if s.prefix, err = rest.CheckPrefix(c.Prefix); err != nil {
		return nil, err
	}
	s.client, err = rest.NewClient(&rest.Settings{Place: s.account.base, Retries: c.Retries, Stall: c.StallTimeout, CA: c.CA, Log: log})
	return s, err
}

// Validate has nothing to add to what opening the store has checked.
func (s *store) Validate(context.Context) error { return nil }

// A call is one request to the service.
type call struct {
	op     string // for errors
	method string
	object string // its whole name; empty for the container
	query  url.Values
	header http.Header
	once   bool
}

// request makes the request of a call.
func (s *store) request(c *call) (*rest.Request, error) {
	u, err := s.account.url(c.object, c.query)
	if err != nil {
		return nil, err
	}
	return &rest.Request{
		Op: c.op, Method: c.method, URL: u, Header: c.header, Once: c.once,
		Sign: func(_ context.Context, r *http.Request) error {
			s.account.sign(r, time.Now())
			return nil
		},
	}, nil
}

// do sends a call without a body and returns the answer, whatever it says.
func (s *store) do(ctx context.Context, c *call) (*rest.Answer, error) {
	r, err := s.request(c)
	if err != nil {
		return nil, err
	}
	return s.client.Do(ctx, r)
}

// properties asks for those of a blob, nil if there is none.
// https://learn.microsoft.com/rest/api/storageservices/get-blob-properties
func (s *store) properties(ctx context.Context, object string) (http.Header, error) {
	c := &call{op: "properties of " + object, method: http.MethodHead, object: object}
	a, err := s.do(ctx, c)
	if err != nil {
		return nil, err
	}
	if a.Status == http.StatusOK {
		return a.Header, nil
	}
	if a.Status == http.StatusForbidden {
		// The answer to a HEAD has no words; that to this has some.
		c.method, c.query = http.MethodGet, url.Values{"comp": {"metadata"}}
		if b, err := s.do(ctx, c); err == nil && b.Status != http.StatusOK {
			a = b
		}
	}
	if err := s.problem(c.op, a); !isMissing(err) {
		return nil, err
	}
	return nil, nil
}
