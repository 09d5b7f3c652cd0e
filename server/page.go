package server

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/shieldhq/shield"
)

// A pager knows how a list is sorted, so that it can be given in pages.
type pager[T any] struct {
	usual string
	// keys are the fields to sort by, with how a Position has them.
	keys map[string]func(T) string
	id   func(T) string
}

// params are the parameters of a list that comes in pages.
func (p *pager[T]) params() []param {
	sort := param{name: "sort", about: "The field to sort by, with - before it to turn it round; " + p.usual + " if none is given", typ: huma.TypeString}
	for _, key := range slices.Sorted(maps.Keys(p.keys)) {
		sort.words = append(sort.words, key, "-"+key)
	}
	return []param{limit, cursorParam, sort}
}

var cursorParam = param{name: "cursor", about: "Where the page begins, from the Link of the page before; the other parameters stay the same", typ: huma.TypeString}

// A cursor is a position as clients have it: they are not to read it.
type cursor struct {
	Sort string `json:"s"`
	shield.Position
}

func (c cursor) String() string {
	b, _ := json.Marshal(c)
	return base64.RawURLEncoding.EncodeToString(b)
}

// paged answers with what a list has that the query wants. If there is more,
// the header Link says where.
func paged[T any](ctx context.Context, c *call, p *pager[T], list func(context.Context, shield.Filter) ([]T, error)) ([]T, error) {
	f, err := c.filter()
	if err != nil {
		return nil, err
	}
	f.Sort = cmp.Or(c.query.text("sort"), p.usual)
	if text := c.query.text("cursor"); text != "" {
		var at cursor
		b, err := base64.RawURLEncoding.DecodeString(text)
		if err != nil || json.Unmarshal(b, &at) != nil || at.Sort != f.Sort {
			return nil, shield.FieldErrorf("cursor", "is not one of this list: it is what the Link of the page before has, with the same sort")
		}
		f.From = &at.Position
	}
	most := f.Limit
	if most > 0 {
		f.Limit++
	}
	all, err := list(ctx, f)
	if err != nil || most == 0 || len(all) <= most {
		return nonNil(all), err
	}
	all = all[:most]
	last := all[most-1]
	next := cursor{f.Sort, shield.Position{Value: p.keys[strings.TrimPrefix(f.Sort, "-")](last), ID: p.id(last)}}
	q := maps.Clone(c.query.values)
	q.Set("cursor", next.String())
	c.w.Header().Set("Link", fmt.Sprintf("<%s?%s>; rel=%q", c.req.URL.EscapedPath(), url.Values(q).Encode(), "next"))
	return all, nil
}

func asTime(t time.Time) string { return t.Format(time.RFC3339Nano) }
func asNumber(n int64) string   { return strconv.FormatInt(n, 10) }
func byTime[T any](of func(T) time.Time) func(T) string {
	return func(v T) string { return asTime(of(v)) }
}

// How lists are sorted.
var (
	archivePager = &pager[*shield.Archive]{
		usual: "-taken_at", id: func(a *shield.Archive) string { return a.UUID },
		keys: map[string]func(*shield.Archive) string{
			"taken_at":    byTime(func(a *shield.Archive) time.Time { return a.TakenAt }),
			"raw_size":    func(a *shield.Archive) string { return asNumber(a.RawSize) },
			"stored_size": func(a *shield.Archive) string { return asNumber(a.StoredSize) },
		},
	}
	taskPager = &pager[*shield.Task]{
		usual: "-requested_at", id: func(t *shield.Task) string { return t.UUID },
		keys: map[string]func(*shield.Task) string{"requested_at": byTime(func(t *shield.Task) time.Time { return t.RequestedAt })},
	}
	runPager = &pager[*shield.Run]{
		usual: "-due_at", id: func(r *shield.Run) string { return r.UUID },
		keys: map[string]func(*shield.Run) string{"due_at": byTime(func(r *shield.Run) time.Time { return r.DueAt })},
	}
	eventPager = &pager[*shield.Event]{
		usual: "-at", id: func(e *shield.Event) string { return asNumber(e.ID) },
		keys: map[string]func(*shield.Event) string{"at": byTime(func(e *shield.Event) time.Time { return e.At })},
	}
)

// metaPager is the pager of what has a Meta.
func metaPager[T any](meta func(T) *shield.Meta) *pager[T] {
	return &pager[T]{
		usual: "name", id: func(v T) string { return meta(v).UUID },
		keys: map[string]func(T) string{
			"name":       func(v T) string { return meta(v).Name },
			"created_at": byTime(func(v T) time.Time { return meta(v).CreatedAt }),
			"updated_at": byTime(func(v T) time.Time { return meta(v).UpdatedAt }),
		},
	}
}

var (
	tokenPager = metaPager(func(t *shield.Token) *shield.Meta { return &t.Meta })
	agentPager = metaPager(func(a *shield.Agent) *shield.Meta { return &a.Meta })
)

// pager returns how a list of what users make is sorted.
func (n *noun[T]) pager() *pager[*T] { return metaPager(n.meta) }
