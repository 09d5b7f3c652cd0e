package server_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/server"
)

// A route is an operation as the document has it.
type route struct {
	*huma.Operation
	item *huma.PathItem
}

func (r route) String() string { return r.Method + " " + r.Path }

// role is what the operation wants, empty if everybody may.
func (r route) role() shield.Role {
	role, _ := r.Extensions["x-shield-role"].(shield.Role)
	return role
}

// routesOf returns all operations of a document.
func routesOf(doc *huma.OpenAPI) []route {
	var all []route
	for _, item := range doc.Paths {
		for _, op := range []*huma.Operation{item.Get, item.Put, item.Post, item.Delete, item.Patch} {
			if op != nil {
				all = append(all, route{op, item})
			}
		}
	}
	slices.SortFunc(all, func(a, b route) int { return strings.Compare(a.String(), b.String()) })
	return all
}

// find returns the operation that a request is for, nil if there is none.
func find(doc *huma.OpenAPI, req *http.Request) *huma.Operation {
	have := strings.Split(req.URL.EscapedPath(), "/")
	for _, r := range routesOf(doc) {
		want := strings.Split(r.Path, "/")
		same := slices.EqualFunc(want, have, func(w, h string) bool { return w == h || w == "{ref}" })
		if same && r.Method == req.Method {
			return r.Operation
		}
	}
	return nil
}

// documented checks that an answer is one that the document promises.
func (f *fixture) documented(req *http.Request, a answer) {
	f.t.Helper()
	s, is := f.handler.(*server.Server)
	if !is {
		return
	}
	op := find(s.OpenAPI(), req)
	if op == nil {
		return // there is no such route
	}
	r := op.Responses[strconv.Itoa(a.status)]
	if r == nil && a.status >= 400 {
		r = op.Responses["default"]
	}
	if r == nil {
		f.t.Errorf("%s %s: the document does not have the status %d: %.300s", req.Method, op.Path, a.status, a.body)
		return
	}
	media, _, _ := strings.Cut(a.header.Get("Content-Type"), ";")
	content := r.Content[media]
	if media == "" && a.body == "" && len(r.Content) == 0 {
		return
	}
	if content == nil {
		f.t.Errorf("%s %s: the document does not have %d as %q", req.Method, op.Path, a.status, media)
		return
	}
	if !strings.HasSuffix(media, "json") || content.Schema.Type == huma.TypeString {
		return
	}
	var v any
	f.must(json.Unmarshal([]byte(a.body), &v))
	res := &huma.ValidateResult{}
	huma.Validate(s.OpenAPI().Components.Schemas, content.Schema, huma.NewPathBuffer(nil, 0), huma.ModeReadFromServer, v, res)
	for _, err := range res.Errors {
		f.t.Errorf("%s %s: %d is not as documented: %v", req.Method, op.Path, a.status, err)
	}
}

// TestDocument holds the document to what readers and generators of clients
// need.
func TestDocument(t *testing.T) {
	t.Parallel()
	s := server.New(nilCatalog{}, nil, failing{}, nil, server.Options{Token: token, Library: noLibrary{}, Agents: noAgents{}})
	ids := map[string]string{}
	for _, r := range routesOf(s.OpenAPI()) {
		if other := ids[r.OperationID]; r.OperationID == "" || other != "" {
			t.Errorf("%s and %s have the id %q", r, other, r.OperationID)
		}
		ids[r.OperationID] = r.String()
		if r.Summary == "" || len(r.Tags) != 1 || r.Responses["400"] == nil || r.Responses["500"] == nil || len(r.Responses) < 4 {
			t.Errorf("%s lacks a summary, a tag or what it is answered with: %+v", r, r.Operation)
		}
		for _, p := range r.Parameters {
			if p.Description == "" || p.Schema == nil {
				t.Errorf("%s: the parameter %s lacks a description or a type", r, p.Name)
			}
		}
		if r.RequestBody != nil && len(r.RequestBody.Content) == 0 {
			t.Errorf("%s: the body has no type", r)
		}
	}
}
