package google

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugins-wasm/internal/rest"
)

// A page is one answer to a list.
// https://cloud.google.com/storage/docs/json_api/v1/objects/list
type page struct {
	NextPageToken string   `json:"nextPageToken"`
	Items         []object `json:"items"`
}

// List calls yield with the objects, sorted.
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
	const op = "google.list"
	query := url.Values{"prefix": {s.prefix + prefix}, "maxResults": {"1000"}, "fields": {"nextPageToken,items(name,size,updated)"}}
	for {
		p, err := s.page(ctx, query)
		if err != nil {
			return rest.WithOp(op, err)
		}
		for _, item := range p.Items {
			key, ok := strings.CutPrefix(item.Name, s.prefix)
			if !ok || rest.CheckKey(key) != nil {
				continue
			}
			at, _ := time.Parse(time.RFC3339, item.Updated) // zero if it is not there
			if err := yield(plugin.Object{Key: key, Size: item.Size, ModifiedAt: at.UTC()}); err != nil {
				return err
			}
		}
		if p.NextPageToken == "" {
			return nil
		}
		query.Set("pageToken", p.NextPageToken)
	}
}

func (s *store) page(ctx context.Context, query url.Values) (*page, error) {
	c := &call{op: "list objects", method: http.MethodGet, query: query}
	a, err := s.do(ctx, c)
	if err != nil {
		return nil, err
	}
	if a.Status != http.StatusOK {
		return nil, s.problem(ctx, c.op, a)
	}
	return parsePage(a.Body, s.client.Place)
}

func parsePage(body []byte, place string) (*page, error) {
	var p page
	if err := json.Unmarshal(body, &p); err != nil {
		return nil, shield.Errorf(shield.StoreFailed, "", "%s: list objects: the answer is not the JSON that was wanted: %w", place, err)
	}
	return &p, nil
}
