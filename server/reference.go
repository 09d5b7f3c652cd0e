package server

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	htmltemplate "html/template"
	"io"
	"maps"
	"slices"
	"strings"
	"text/template"

	"github.com/danielgtaylor/huma/v2"

	"github.com/shieldhq/shield"
)

//go:generate go test -run TestReference -update .

// A reference is the document as people read it.
type reference struct {
	Style  htmltemplate.CSS
	Groups []*group
	Types  []described
}

// A group is the operations of one tag.
type group struct {
	Tag        string
	Operations []entry
}

// An entry is an operation.
type entry struct {
	Method, Path, ID, Summary string
	Role                      shield.Role
	Params                    []described
	Body, Answer              string // types; "": none
	Optional                  bool   // the body can be left out
	Status                    string // of a good answer
	Fails                     string
}

// A described is a parameter, or a type with its fields.
type described struct {
	Name, Type, Text string
	Required         bool
	Fields           []described
}

// reference returns the operations in the order in which they were made, and
// the types by name.
func (s *Server) reference() *reference {
	doc := s.api.OpenAPI()
	ref := &reference{Style: htmltemplate.CSS(referenceStyle)}
	groups := map[string]*group{}
	for _, op := range s.operations {
		g := groups[op.tag]
		if g == nil {
			g = &group{Tag: op.tag}
			groups[op.tag] = g
			ref.Groups = append(ref.Groups, g)
		}
		g.Operations = append(g.Operations, entryOf(op, operationOf(doc.Paths[op.path], op.method)))
	}
	schemas := doc.Components.Schemas.Map()
	for _, name := range slices.Sorted(maps.Keys(schemas)) {
		t := described{Name: name}
		for _, field := range slices.Sorted(maps.Keys(schemas[name].Properties)) {
			p := schemas[name].Properties[field]
			text := wordsOf(p)
			if p.ReadOnly {
				text = strings.TrimPrefix(text+"; never set by clients", "; ")
			}
			t.Fields = append(t.Fields, described{Name: field, Type: typeName(p), Text: text, Required: slices.Contains(schemas[name].Required, field)})
		}
		ref.Types = append(ref.Types, t)
	}
	return ref
}

func operationOf(item *huma.PathItem, method string) *huma.Operation {
	return map[string]*huma.Operation{"GET": item.Get, "PUT": item.Put, "POST": item.Post, "PATCH": item.Patch, "DELETE": item.Delete}[method]
}

func entryOf(op *operation, doc *huma.Operation) entry {
	e := entry{Method: op.method, Path: op.path, ID: op.id, Summary: op.summary, Role: op.role, Status: fmt.Sprint(op.status)}
	for _, p := range doc.Parameters {
		if p.In == "path" {
			continue
		}
		text := strings.TrimPrefix(p.Description+"; "+wordsOf(p.Schema), "; ")
		e.Params = append(e.Params, described{Name: p.Name, Type: typeName(p.Schema), Text: strings.TrimSuffix(text, "; ")})
	}
	if doc.RequestBody != nil {
		e.Optional = !doc.RequestBody.Required
		e.Body = contentName(doc.RequestBody.Content)
	}
	e.Answer = contentName(doc.Responses[e.Status].Content)
	var fails []string
	for _, status := range slices.Sorted(maps.Keys(doc.Responses)) {
		if status >= "4" && status != "default" {
			fails = append(fails, status+" "+doc.Responses[status].Description)
		}
	}
	e.Fails = strings.Join(fails, ", ")
	return e
}

// contentName returns the type of a body, or its media type if it is not JSON.
func contentName(content map[string]*huma.MediaType) string {
	media := slices.Sorted(maps.Keys(content))
	switch {
	case len(media) == 0:
		return ""
	case strings.HasSuffix(media[0], "json") && content[media[0]].Schema.Type != huma.TypeString:
		return typeName(content[media[0]].Schema)
	}
	return media[0]
}

// typeName says what a schema is in words.
func typeName(s *huma.Schema) string {
	switch {
	case s.Ref != "":
		return s.Ref[strings.LastIndex(s.Ref, "/")+1:]
	case s.Type == huma.TypeArray:
		return "list of " + typeName(s.Items)
	case s.Type == huma.TypeObject:
		if of, is := s.AdditionalProperties.(*huma.Schema); is && typeName(of) != "any" {
			return "map of " + typeName(of)
		}
		return "object"
	case s.Format == "date-time":
		return "time"
	case s.Type == "":
		return "any"
	}
	return s.Type
}

// wordsOf lists what a value can be, if that is little.
func wordsOf(s *huma.Schema) string {
	if s.Items != nil {
		s = s.Items
	}
	var all []string
	for _, w := range s.Enum {
		all = append(all, fmt.Sprint(w))
	}
	return strings.Join(all, ", ")
}

var (
	//go:embed reference.html
	referenceHTML string
	//go:embed reference.css
	referenceStyle string
	//go:embed reference.md
	referenceMarkdown string

	htmlReference     = htmltemplate.Must(htmltemplate.New("reference").Parse(referenceHTML))
	markdownReference = template.Must(template.New("reference").Parse(referenceMarkdown))
)

// WriteReference writes the document as Markdown.
func (s *Server) WriteReference(w io.Writer) error {
	return markdownReference.Execute(w, s.reference())
}

// serveReference answers with the document as a page that loads nothing.
func (s *Server) serveReference(_ context.Context, c *call) error {
	page, err := s.rendered.page()
	if err != nil {
		return err
	}
	sum := sha256.Sum256([]byte(referenceStyle))
	h := c.w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	_, _ = c.w.Write(page)
	return nil
}

func (s *Server) renderReference() ([]byte, error) {
	var page bytes.Buffer
	err := htmlReference.Execute(&page, s.reference())
	return page.Bytes(), err
}
