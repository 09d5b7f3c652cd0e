package webdav

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugins-wasm/internal/rest"
)

// The properties that are asked for.
const (
	wantedProperties = "<resourcetype/><getcontentlength/><getlastmodified/>"
	quotaProperties  = "<resourcetype/><quota-available-bytes/>"
)

// propfind asks for properties of what has a name, and with depth 1 of what is
// in it. Deeper lists are refused by many servers.
func (s *session) propfind(op, name, depth, properties string) *rest.Request {
	r := s.request(op, "PROPFIND", name)
	text := `<?xml version="1.0" encoding="utf-8"?><propfind xmlns="DAV:"><prop>` + properties + `</prop></propfind>`
	r.Header.Set("Depth", depth)
	r.Header.Set("Content-Type", "application/xml; charset=utf-8")
	r.Body, r.Length = func() io.Reader { return strings.NewReader(text) }, int64(len(text))
	return r
}

// properties sends a request for properties, again if need be, and returns
// what the answer says.
func (s *session) properties(ctx context.Context, r *rest.Request) ([]resource, error) {
	for try := 0; ; try++ {
		all, err := s.propertiesOnce(ctx, r)
		if err == nil {
			return all, nil
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if try >= s.client.Retries || !rest.Passing(err) {
			return nil, err
		}
		if err := s.client.Pause(ctx, r.Op, try, answerOf(err), err); err != nil {
			return nil, err
		}
	}
}

func (s *session) propertiesOnce(ctx context.Context, r *rest.Request) ([]resource, error) {
	x, err := s.open(ctx, r, http.StatusMultiStatus)
	if err != nil {
		return nil, err
	}
	defer x.Close()
	var all []resource
	err = parseMultistatus(x, func(found resource) error {
		all = append(all, found)
		return nil
	})
	var own *shield.Error
	if err != nil && !errors.As(err, &own) {
		err = shield.Errorf(shield.StoreFailed, "", "%s: %s: %w", s.client.Place, r.Op, err)
	}
	return all, err
}

// stat returns what the server has under a name, nil if nothing.
func (s *session) stat(ctx context.Context, name string) (*resource, error) {
	r := s.propfind("look at "+s.shown(name), name, "0", wantedProperties)
	all, err := s.properties(ctx, r)
	if a := answerOf(err); a != nil && leadsIntoFolder(r.URL, a) {
		return &resource{folder: true, size: -1, free: -1}, nil
	}
	if errors.Is(err, shield.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if len(all) != 1 {
		return nil, shield.Errorf(shield.StoreFailed, "", "%s: %s: the answer is about %d files, not about that one", s.client.Place, r.Op, len(all))
	}
	return &all[0], nil
}

// leadsIntoFolder reports whether an answer says that a name is a folder's, by
// a redirect to the same with a slash.
func leadsIntoFolder(asked *url.URL, a *rest.Answer) bool {
	to, err := asked.Parse(a.Header.Get("Location"))
	return a.Status >= 300 && a.Status < 400 && err == nil && to.Path == asked.Path+"/"
}

// shown is how errors call a name.
func (s *store) shown(name string) string {
	if name == "" {
		return "the folder"
	}
	return name
}

// checkBase returns an error if the folder of the store is not there. Nothing
// may be taken for deleted, or for an empty store, only because a mount is
// missing.
func (s *session) checkBase(ctx context.Context) error {
	found, err := s.stat(ctx, "")
	switch {
	case err != nil:
		return err
	case found == nil:
		return invalid("url", "%s does not exist: make the folder, or name another", s.base)
	case !found.folder:
		return invalid("url", "%s is a file: a folder is wanted", s.base)
	}
	return nil
}

// children calls yield with what is in a folder, by name, sorted. A folder
// that is not there has nothing in it.
func (s *session) children(ctx context.Context, folder string, yield func(name string, found resource) error) error {
	r := s.propfind("list "+s.shown(folder), folder, "1", wantedProperties)
	all, err := s.properties(ctx, r)
	if errors.Is(err, shield.NotFound) {
		return s.checkBase(ctx)
	}
	if err != nil {
		return err
	}
	slices.SortFunc(all, func(a, b resource) int { return strings.Compare(a.path, b.path) })
	own := strings.TrimRight(r.URL.Path, "/")
	seen := false
	for _, found := range all {
		name, ok := strings.CutPrefix(found.path, own)
		if ok && name == "" {
			seen = true
			continue
		}
		name, ok = strings.CutPrefix(name, "/")
		if !ok || name == "" || strings.Contains(name, "/") {
			return shield.Errorf(shield.StoreFailed, "", "%s: %s: the server lists %q, which is not in %q: name the url as the server itself does",
				s.client.Place, r.Op, found.path, own)
		}
		if err := yield(name, found); err != nil {
			return err
		}
	}
	if !seen {
		return shield.Errorf(shield.StoreFailed, "", "%s: %s: the answer does not name the folder", s.client.Place, r.Op)
	}
	return nil
}
