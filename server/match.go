package server

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/shieldhq/shield"
)

// etag is the entity tag of a version.
func etag(version int64) string { return strconv.Quote(strconv.FormatInt(version, 10)) }

// tag has the answer tell the version of what it shows.
func (c *call) tag(version int64) { c.w.Header().Set("ETag", etag(version)) }

// stale is an error that says that If-Match does not hold.
type stale struct{ error }

func (e stale) Unwrap() error { return e.error }

// match refuses a change of what is not in a version that the header If-Match
// names; without one all versions are fine.
func (c *call) match(version int64) error {
	header := strings.Join(c.req.Header.Values("If-Match"), ",")
	if header == "" {
		return nil
	}
	for tag := range strings.SplitSeq(header, ",") {
		if tag = strings.TrimSpace(tag); tag == "*" || tag == etag(version) {
			return nil
		}
	}
	return stale{&shield.Error{Code: shield.Conflict, Field: "If-Match", Message: fmt.Sprintf(
		"is %.100s, and the current version is %s: somebody changed it meanwhile", header, etag(version))}}
}

// fresh are the fields of conflicts that say that something was changed
// meanwhile: the version, and what the catalog compares of archives before it.
var fresh = []string{"version", "status", "held", "review_at"}

// matched is the error of a change that lost a race after its If-Match held.
func (c *call) matched(err error) error {
	var e *shield.Error
	if c.req.Header.Get("If-Match") != "" && errors.As(err, &e) && e.Code == shield.Conflict && slices.Contains(fresh, e.Field) {
		return stale{err}
	}
	return err
}

// write changes one, if it still is in a version that the client wants.
func (n *noun[T]) write(ctx context.Context, c *call, old, next *T) (*T, error) {
	if err := n.prepare(ctx, next, old); err != nil {
		return nil, err
	}
	n.server.deletes.Lock()
	err := n.service.update(ctx, next)
	n.server.deletes.Unlock()
	if err != nil {
		return nil, c.matched(err)
	}
	n.changed()
	return n.find(ctx, c, n.meta(old).UUID)
}

// old returns what is to be changed, if it is in a version that the client
// wants.
func (n *noun[T]) old(ctx context.Context, c *call) (*T, error) {
	v, err := n.service.get(ctx, c.ref())
	if err != nil {
		return nil, err
	}
	return v, c.match(n.meta(v).Version)
}

// patch changes the fields that the body names and keeps the others. The
// member "version", where given, must be the current one.
func (n *noun[T]) patch(ctx context.Context, c *call) (*T, error) {
	body, err := c.read()
	if err != nil {
		return nil, err
	}
	old, err := n.old(ctx, c)
	if err != nil {
		return nil, err
	}
	next, err := merge(old, body, n.aliases)
	if err != nil {
		return nil, err
	}
	return n.write(ctx, c, old, next)
}

// put replaces one by the body: fields that it leaves out become what they are
// of a new one.
func (n *noun[T]) put(ctx context.Context, c *call) (*T, error) {
	body, err := c.read()
	if err != nil {
		return nil, err
	}
	old, err := n.old(ctx, c)
	if err != nil {
		return nil, err
	}
	blank := new(T)
	if n.defaults != nil {
		n.defaults(blank)
	}
	*n.meta(blank) = *n.meta(old)
	n.meta(blank).Name, n.meta(blank).Summary = "", ""
	if n.refer != nil {
		n.refer(blank, old)
	}
	next, err := merge(blank, body, n.aliases)
	if err != nil {
		return nil, err
	}
	if err := complete(body, n.aliases); err != nil {
		return nil, err
	}
	return n.write(ctx, c, old, next)
}

// complete refuses a body that leaves out a reference.
func complete(body []byte, aliases map[string]string) error {
	var given fields
	if err := decode(body, &given); err != nil {
		return err
	}
	for name, field := range aliases {
		if given[name] == nil && given[field] == nil {
			return shield.FieldErrorf(name, "is missing: what replaces has everything that is wanted; PATCH changes some fields")
		}
	}
	return nil
}

func (n *noun[T]) delete(ctx context.Context, c *call) (nothing, error) {
	n.server.deletes.Lock() // nobody changes between look and deletion
	defer n.server.deletes.Unlock()
	old, err := n.old(ctx, c)
	if err != nil {
		return nothing{}, err
	}
	if err := n.service.remove(ctx, n.meta(old).UUID); err != nil {
		return nothing{}, err
	}
	n.changed()
	return nothing{}, nil
}
