package server

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/shieldhq/shield"
)

// A param is a query parameter of an operation.
type param struct {
	name  string
	about string
	typ   string   // of JSON
	words []string // that are allowed; nil: any
	many  bool     // it can be repeated
}

func (p param) document() *huma.Param {
	schema := &huma.Schema{Type: p.typ}
	if p.typ == huma.TypeInteger {
		least := 0.0
		schema.Minimum = &least
	}
	if p.words != nil {
		schema.Enum = values(p.words)
	}
	doc := &huma.Param{Name: p.name, In: "query", Description: p.about, Schema: schema}
	if p.many {
		explode := true
		doc.Schema, doc.Explode = &huma.Schema{Type: huma.TypeArray, Items: schema}, &explode
	}
	return doc
}

// What lists can be narrowed by.
var (
	byName       = param{name: "name", about: "Exactly this name", typ: huma.TypeString}
	byPlugin     = param{name: "plugin", about: "Of this plugin", typ: huma.TypeString}
	byUse        = param{name: "used", about: "Whether a job refers to it", typ: huma.TypeBoolean}
	byPause      = param{name: "paused", about: "Whether it is paused", typ: huma.TypeBoolean}
	bySuspicion  = param{name: "suspicious", about: "Whether it is suspicious and nobody has acknowledged it", typ: huma.TypeBoolean}
	byTarget     = param{name: "target", about: "Name or UUID of a target", typ: huma.TypeString}
	byStore      = param{name: "store", about: "Name or UUID of a store", typ: huma.TypeString}
	bySchedule   = param{name: "schedule", about: "Name or UUID of a schedule", typ: huma.TypeString}
	byPolicy     = param{name: "retention_policy", about: "Name or UUID of a retention policy", typ: huma.TypeString}
	byJob        = param{name: "job", about: "Name or UUID of a job", typ: huma.TypeString}
	byOp         = param{name: "op", about: "Of this operation", typ: huma.TypeString, words: ops}
	after        = param{name: "after", about: "At or after this time: 2026-01-31T04:00:00Z, 2026-01-31 or 20260131", typ: huma.TypeString}
	before       = param{name: "before", about: "Before this time", typ: huma.TypeString}
	limit        = param{name: "limit", about: "At most so many, with a Link to the next page if there are more; 0: all", typ: huma.TypeInteger}
	byTaskStatus = param{name: "status", about: "In one of these states", typ: huma.TypeString, words: taskStatuses, many: true}
	byArchive    = param{name: "status", about: "In one of these states", typ: huma.TypeString, words: archiveStatuses, many: true}
	byRunStatus  = param{name: "status", about: "In one of these states", typ: huma.TypeString, words: runStatuses, many: true}
)

// The words of what has few.
var (
	ops             = words(shield.Ops()...)
	taskStatuses    = words(shield.TaskPending, shield.TaskRunning, shield.TaskDone, shield.TaskFailed, shield.TaskCanceled)
	archiveStatuses = words(shield.ArchiveValid, shield.ArchiveExpired, shield.ArchivePurging, shield.ArchivePurged, shield.ArchiveInvalid)
	findingStates   = words(shield.FindingOK, shield.FindingWarning, shield.FindingFailed, shield.FindingSkipped)
	runStatuses     = words(shield.RunDue, shield.RunStarted, shield.RunSucceeded, shield.RunFailed, shield.RunMissed, shield.RunSkipped)
)

func words[T ~string](all ...T) []string {
	names := make([]string, len(all))
	for n, w := range all {
		names[n] = string(w)
	}
	return names
}

// filter reads those parameters of the operation that narrow a list.
func (c *call) filter() (shield.Filter, error) {
	q := c.query
	f := shield.Filter{
		Name: q.text("name"), Plugin: q.text("plugin"), Used: q.flag("used"), Paused: q.flag("paused"), Suspicious: q.flag("suspicious"),
		Op: shield.Op(q.text("op")), Statuses: q.values["status"], After: q.time("after"), Before: q.time("before"), Limit: q.number("limit"),
		Target: q.uuid("target"), Store: q.uuid("store"), Schedule: q.uuid("schedule"), Policy: q.uuid("retention_policy"), Job: q.uuid("job"),
	}
	return f, q.err
}

// A query reads query parameters and remembers the first error.
type query struct {
	server *Server
	ctx    context.Context
	values url.Values
	err    error
}

// readQuery reads the query and refuses a parameter that the operation does not
// have, or not like this.
func (c *call) readQuery(ctx context.Context) error {
	q := &query{server: c.server, ctx: ctx}
	var err error
	if q.values, err = url.ParseQuery(c.req.URL.RawQuery); err != nil {
		return shield.Errorf(shield.Invalid, "", "the query is malformed: %w", err)
	}
	c.query = q
	for name, given := range q.values {
		n := slices.IndexFunc(c.op.params, func(p param) bool { return p.name == name })
		if n < 0 {
			return c.op.unknown(name)
		}
		q.check(c.op.params[n], given)
	}
	return q.err
}

// unknown is the error of a parameter that an operation does not have.
func (op *operation) unknown(name string) error {
	if len(op.params) == 0 {
		return shield.FieldErrorf(fmt.Sprintf("%.100s", name), "is not a parameter here: there are none")
	}
	var known []string
	for _, p := range op.params {
		known = append(known, p.name)
	}
	return shield.FieldErrorf(fmt.Sprintf("%.100s", name), "is not a parameter here: %s are", strings.Join(known, ", "))
}

func (q *query) check(p param, given []string) {
	if !p.many && len(given) > 1 {
		q.fail(shield.FieldErrorf(p.name, "is given %d times", len(given)))
	}
	for _, text := range given {
		if p.words != nil && (text != "" || p.many) && !slices.Contains(p.words, text) {
			q.fail(shield.FieldErrorf(p.name, "is %.100q: %s are allowed", text, strings.Join(p.words, ", ")))
		}
	}
}

func (q *query) text(name string) string { return q.values.Get(name) }

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

// uuid reads a name or UUID of a noun and returns its UUID.
func (q *query) uuid(name string) string {
	text := q.text(name)
	if text == "" || shield.IsUUID(text) {
		return text
	}
	id, err := q.server.lookup(q.ctx, name, text)
	q.fail(err)
	return id
}
