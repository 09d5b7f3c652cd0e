package azure

import (
	"context"
	"encoding/xml"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugins-wasm/internal/rest"
)

// listPage is how many blobs an answer may have: enough for few round trips,
// and few enough for a small memory.
const listPage = "1000"

// A page is one answer to a list.
// https://learn.microsoft.com/rest/api/storageservices/list-blobs
type page struct {
	Blobs struct {
		Blob []struct {
			Name       string
			Properties struct {
				LastModified  string `xml:"Last-Modified"`
				ContentLength int64  `xml:"Content-Length"`
				ResourceType  string
			}
		}
	}
	NextMarker string
}

// List calls yield with the blobs, sorted. Blocks without a blob are not
// there.
func (s *store) List(ctx context.Context, prefix string, yield func(plugin.Object) error) error {
	return s.ListAll(ctx, prefix, func(o plugin.Object) error {
		if strings.HasPrefix(o.Key, rest.TrialPrefix) {
			return nil
		}
		return yield(o)
	})
}

// ListAll is List with the objects by which the store is tried.
func (s *store) ListAll(ctx context.Context, prefix string, yield func(plugin.Object) error) error {
	const op = "azure.list"
	query := url.Values{
		"restype": {"container"}, "comp": {"list"}, "maxresults": {listPage}, "prefix": {s.prefix + prefix},
	}
	for {
		p, err := s.page(ctx, query)
		if err != nil {
			return rest.WithOp(op, err)
		}
		for _, b := range p.Blobs.Blob {
			key, ok := strings.CutPrefix(b.Name, s.prefix)
			if !ok || rest.CheckKey(key) != nil || b.Properties.ResourceType == "directory" {
				continue
			}
			at, _ := time.Parse(http.TimeFormat, b.Properties.LastModified) // zero if it is not there
			if err := yield(plugin.Object{Key: key, Size: b.Properties.ContentLength, ModifiedAt: at.UTC()}); err != nil {
				return err
			}
		}
		if p.NextMarker == "" {
			return nil
		}
		query.Set("marker", p.NextMarker)
	}
}

func (s *store) page(ctx context.Context, query url.Values) (*page, error) {
	c := &call{op: "list blobs", method: http.MethodGet, query: query}
	a, err := s.do(ctx, c)
	if err != nil {
		return nil, err
	}
	if a.Status != http.StatusOK {
		return nil, s.problem(c.op, a)
	}
	return parsePage(a.Body, s.account.base)
}

func parsePage(body []byte, place string) (*page, error) {
	var p page
	if err := xml.Unmarshal(body, &p); err != nil {
		return nil, shield.Errorf(shield.StoreFailed, "", "%s: list blobs: the answer is not the XML that was wanted: %w", place, err)
	}
	return &p, nil
}
