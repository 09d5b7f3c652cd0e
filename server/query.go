package server

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/uptrace/bunrouter"

	"github.com/shieldhq/shield"
)

// filter reads those query parameters that a list has.
func (s *Server) filter(req bunrouter.Request, names ...string) (shield.Filter, error) {
	q := s.queryOf(req)
	f := shield.Filter{}
	readers := map[string]func(){
		"name":             func() { f.Name = q.text("name") },
		"plugin":           func() { f.Plugin = q.text("plugin") },
		"used":             func() { f.Used = q.flag("used") },
		"paused":           func() { f.Paused = q.flag("paused") },
		"suspicious":       func() { f.Suspicious = q.flag("suspicious") },
		"target":           func() { f.Target = q.uuid("target") },
		"store":            func() { f.Store = q.uuid("store") },
		"schedule":         func() { f.Schedule = q.uuid("schedule") },
		"retention_policy": func() { f.Policy = q.uuid("retention_policy") },
		"job":              func() { f.Job = q.uuid("job") },
		"op":               func() { f.Op = shield.Op(q.enum("op", ops)) },
		"after":            func() { f.After = q.time("after") },
		"before":           func() { f.Before = q.time("before") },
		"limit":            func() { f.Limit = q.number("limit") },
	}
	for _, name := range names {
		if list, ok := strings.CutPrefix(name, "status "); ok {
			f.Statuses = q.statuses(strings.Fields(list))
			continue
		}
		readers[name]()
	}
	return f, q.finish()
}

// What lists can be narrowed to.
var (
	ops = func() (names []string) {
		for _, op := range shield.Ops() {
			names = append(names, string(op))
		}
		return names
	}()

	archiveFilters = []string{"target", "store", "job", "plugin", "suspicious", "after", "before", "limit", "status valid expired purging purged invalid"}
	taskFilters    = []string{"target", "store", "job", "op", "after", "before", "limit", "status pending running done failed canceled"}
	runFilters     = []string{"job", "after", "before", "limit", "status due started succeeded failed missed skipped"}
	eventFilters   = []string{"after", "before", "limit"}
)

// A query reads query parameters and remembers the first error.
type query struct {
	server *Server
	req    bunrouter.Request
	values url.Values
	known  []string
	err    error
}

func (s *Server) queryOf(req bunrouter.Request) *query {
	q := &query{server: s, req: req}
	var err error
	if q.values, err = url.ParseQuery(req.URL.RawQuery); err != nil {
		q.fail(shield.Errorf(shield.Invalid, "", "the query is malformed: %w", err))
	}
	return q
}

func (q *query) list(name string) []string {
	q.known = append(q.known, name)
	v := q.values[name]
	delete(q.values, name)
	return v
}

func (q *query) text(name string) string {
	v := q.list(name)
	if len(v) > 1 {
		q.fail(shield.FieldErrorf(name, "is given %d times", len(v)))
	}
	if len(v) == 0 {
		return ""
	}
	return v[0]
}

func (q *query) fail(err error) {
	if q.err == nil && err != nil {
		q.err = err
	}
}

func (q *query) flag(name string) *bool {
	text := q.text(name)
	if text == "" {
		return nil
	}
	b, err := strconv.ParseBool(text)
	if err != nil {
		q.fail(shield.FieldErrorf(name, "is %.100q: true or false is wanted", text))
	}
	return &b
}

func (q *query) number(name string) int {
	text := q.text(name)
	if text == "" {
		return 0
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		q.fail(shield.FieldErrorf(name, "is %.100q: a whole number, 0 or more, is wanted", text))
	}
	return n
}

func (q *query) time(name string) time.Time {
	text := q.text(name)
	if text == "" {
		return time.Time{}
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02", "20060102"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC()
		}
	}
	q.fail(shield.FieldErrorf(name, "is %.100q: a time like 2026-01-31T04:00:00Z or a date like 20260131 is wanted", text))
	return time.Time{}
}

// enum reads one of several words.
func (q *query) enum(name string, words []string) string {
	text := q.text(name)
	if text != "" && !slices.Contains(words, text) {
		q.fail(shield.FieldErrorf(name, "is %.100q: %s are allowed", text, strings.Join(words, ", ")))
	}
	return text
}

func (q *query) statuses(words []string) []string {
	list := q.list("status")
	for _, s := range list {
		if !slices.Contains(words, s) {
			q.fail(shield.FieldErrorf("status", "is %.100q: %s are allowed", s, strings.Join(words, ", ")))
		}
	}
	return list
}

// uuid reads a name or UUID of a noun and returns its UUID.
func (q *query) uuid(name string) string {
	text := q.text(name)
	if text == "" || shield.IsUUID(text) {
		return text
	}
	id, err := q.server.lookup(q.req.Context(), name, text)
	q.fail(err)
	return id
}

// finish returns the first error; a parameter that nobody asked for is one.
func (q *query) finish() error {
	for name := range q.values {
		q.fail(shield.FieldErrorf(fmt.Sprintf("%.100s", name), "is not a parameter here: %s are", strings.Join(q.known, ", ")))
	}
	return q.err
}
