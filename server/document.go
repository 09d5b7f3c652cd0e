package server

import (
	"cmp"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
)

// newAPI returns an empty document, its routes to be served by a. Of what huma
// would add, its page of documentation loads scripts from elsewhere, and links
// to schemas trust the header Host: neither is wanted.
func (s *Server) newAPI(a huma.Adapter) huma.API {
	doc := &huma.OpenAPI{
		OpenAPI: "3.1.0",
		Info: &huma.Info{
			Title: "shield", Version: cmp.Or(s.opts.Release, "unknown"),
			Description: "Backs up and restores data systems. Prose and examples: docs/api.md.",
			License:     &huma.License{Name: "MIT", Identifier: "MIT"},
		},
		Components: &huma.Components{
			Schemas: huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer),
			SecuritySchemes: map[string]*huma.SecurityScheme{
				"token": {Type: "http", Scheme: "bearer", Description: "A token of the daemon"},
			},
		},
		Security: []map[string][]string{{"token": {}}},
	}
	r := doc.Components.Schemas
	r.RegisterTypeAlias(reflect.TypeFor[shield.Endpoint](), reflect.TypeFor[map[string]any]())
	r.RegisterTypeAlias(reflect.TypeFor[plugin.Size](), reflect.TypeFor[string]())
	return huma.NewAPI(huma.Config{OpenAPI: doc}, a)
}

// A body is what an operation takes.
type body struct {
	of reflect.Type // nil: a module, not JSON
	// name is that of its schema; empty: that of the type.
	name     string
	required []string // fields; the others may be left out
	optional bool     // the body may be left out
	media    []string
}

// bodyOf describes a body that is decoded into a T.
func bodyOf[T any](required ...string) *body {
	return &body{of: reflect.TypeFor[T](), required: required, media: []string{"application/json"}}
}

// optional is a body that can be left out.
func optional[T any]() *body {
	b := bodyOf[T]()
	b.optional = true
	return b
}

// An answer is what an operation answers with if all is well.
type answer struct {
	of     reflect.Type // nil: nothing, or no JSON
	status int
	media  string
}

func answerOf[O any]() answer {
	t := reflect.TypeFor[O]()
	if t == reflect.TypeFor[nothing]() {
		return answer{status: http.StatusNoContent}
	}
	return answer{of: t, status: http.StatusOK, media: "application/json"}
}

// document describes an operation.
func (s *Server) document(op *operation, a answer) *huma.Operation {
	doc := &huma.Operation{
		Method: op.method, Path: op.path, OperationID: op.id, Summary: op.summary, Tags: []string{op.tag},
		Responses: map[string]*huma.Response{}, Extensions: map[string]any{}, DefaultStatus: op.status,
	}
	if op.role == "" {
		doc.Security = []map[string][]string{}
	} else {
		doc.Extensions[roleKey] = op.role
	}
	if strings.Contains(op.path, "{ref}") {
		doc.Parameters = append(doc.Parameters, &huma.Param{
			Name: "ref", In: "path", Required: true, Description: "Name or UUID", Schema: &huma.Schema{Type: huma.TypeString},
		})
	}
	for _, p := range op.params {
		doc.Parameters = append(doc.Parameters, p.document())
	}
	doc.Parameters = append(doc.Parameters, op.headers()...)
	if op.body != nil {
		doc.RequestBody = s.documentBody(op.body)
	}
	doc.Responses[strconv.Itoa(op.status)] = s.documentAnswer(op, a)
	if op.ranged {
		doc.Responses["206"] = &huma.Response{Description: http.StatusText(http.StatusPartialContent), Content: doc.Responses["200"].Content}
	}
	s.documentFailures(op, doc)
	return doc
}

// headers describes the headers of a request that the operation obeys.
func (op *operation) headers() []*huma.Param {
	var all []*huma.Param
	for _, h := range []struct {
		obeyed      bool
		name, about string
	}{
		{op.ranged, "Range", "One range of bytes of the sealed blob, like bytes=1000-"},
		{op.streamed, "Last-Event-ID", "The id of the last message that was seen: the stream goes on behind it"},
		{op.keyed, "Idempotency-Key", "Names the request: sent again with the same key it gets the same task"},
		{op.guarded, "If-Match", "The ETag of the version that is to be changed"},
	} {
		if h.obeyed {
			all = append(all, &huma.Param{Name: h.name, In: "header", Description: h.about, Schema: &huma.Schema{Type: huma.TypeString}})
		}
	}
	return all
}

func (s *Server) documentAnswer(op *operation, a answer) *huma.Response {
	r := &huma.Response{Description: http.StatusText(op.status)}
	if slices.ContainsFunc(op.params, func(p param) bool { return p.name == cursorParam.name }) {
		r.Headers = map[string]*huma.Param{"Link": {Description: "The next page, rel=next, if there is one", Schema: &huma.Schema{Type: huma.TypeString}}}
	}
	if op.tagged {
		r.Headers = map[string]*huma.Param{"ETag": {Description: "The version", Schema: &huma.Schema{Type: huma.TypeString}}}
	}
	if a.media == "" {
		return r
	}
	schema := &huma.Schema{Type: huma.TypeString}
	if a.of != nil {
		schema = s.schema(a.of)
		schema.Nullable = false // a list without anything is empty
	}
	r.Content = map[string]*huma.MediaType{a.media: {Schema: schema}}
	if op.streamed {
		r.Content["text/event-stream"] = &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString}}
	}
	return r
}

// schema returns that of a type: what has a place of its own in the document is
// referred to.
func (s *Server) schema(t reflect.Type) *huma.Schema {
	return s.api.OpenAPI().Components.Schemas.Schema(t, true, "")
}

// bodySuffix ends the names of the schemas of bodies.
const bodySuffix = "Body"

// documentBody describes a body. A noun that is sent needs fewer fields than
// one that is read has, and no others are taken, so it has a schema of its own.
func (s *Server) documentBody(b *body) *huma.RequestBody {
	rb := &huma.RequestBody{Required: !b.optional, Content: map[string]*huma.MediaType{}}
	r := s.api.OpenAPI().Components.Schemas
	schema := &huma.Schema{Type: huma.TypeString, Format: "binary"}
	if b.of != nil {
		name := cmp.Or(b.name, strings.TrimSuffix(b.of.Name(), "Request")) + bodySuffix
		schema = huma.SchemaFromType(r, b.of)
		schema.Required, schema.AdditionalProperties = b.required, false
		r.Map()[name] = schema
		schema = &huma.Schema{Ref: "#/components/schemas/" + name}
	}
	for _, media := range b.media {
		rb.Content[media] = &huma.MediaType{Schema: schema}
	}
	return rb
}

// documentFailures adds the problems that an operation can end with.
func (s *Server) documentFailures(op *operation, doc *huma.Operation) {
	codes := append([]shield.Code{shield.Invalid, shield.Internal}, op.fails...)
	if op.role != "" {
		codes = append(codes, shield.Unauthorized, shield.Forbidden)
	}
	if strings.Contains(op.path, "{ref}") {
		codes = append(codes, shield.NotFound)
	}
	content := map[string]*huma.MediaType{"application/problem+json": {Schema: s.schema(reflect.TypeFor[problem]())}}
	doc.Responses["default"] = &huma.Response{Description: "any other failure", Content: content}
	for _, c := range codes {
		status := strconv.Itoa(statusOf(c))
		if r := doc.Responses[status]; r != nil {
			r.Description += ", " + string(c)
			continue
		}
		doc.Responses[status] = &huma.Response{Description: string(c), Content: content}
	}
	if op.guarded {
		doc.Responses["412"] = &huma.Response{Description: string(shield.Conflict), Content: content}
	}
}

// finishDocument says what huma cannot know of the types.
func (s *Server) finishDocument() {
	doc := s.api.OpenAPI()
	for name, schema := range doc.Components.Schemas.Map() {
		if !strings.HasSuffix(name, bodySuffix) {
			open(schema)
		}
		for property, p := range schema.Properties {
			p.Enum = enums[name+"."+property]
			p.ReadOnly = schema.Properties["version"] != nil && slices.Contains(slices.Concat(readOnly, told), property)
		}
	}
}

// open lets an object that is answered have fields that the document does not
// name yet, and makes lists never null: they are empty.
func open(s *huma.Schema) {
	if s.Type == huma.TypeObject && s.Properties != nil {
		s.AdditionalProperties = nil
	}
	for _, p := range s.Properties {
		if p.Type == huma.TypeArray {
			p.Nullable = false
		}
	}
}

// enums are the values of fields that have few.
var enums = map[string][]any{
	"Task.op": values(ops), "Task.status": values(taskStatuses), "Finding.state": values(findingStates), "Archive.status": values(archiveStatuses),
	"Run.status": values(runStatuses), "Schedule.catch_up": {shield.CatchUpOne, shield.CatchUpNone},
	"Job.overlap": {shield.OverlapSkip, shield.OverlapQueue, shield.OverlapReplace},
}

func values(words []string) []any {
	all := make([]any, len(words))
	for n, w := range words {
		all[n] = w
	}
	return all
}
