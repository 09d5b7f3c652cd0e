package server

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
)

func (s *Server) mountDocument() {
	raw(s, operation{method: "GET", path: "/v1/openapi.json", id: "getDocument", tag: "Documentation", summary: "This document, as OpenAPI 3.1"},
		"application/json", s.serveDocument)
	raw(s, operation{method: "GET", path: "/v1/docs", id: "getReference", tag: "Documentation", summary: "This document as a page for readers"},
		"text/html", s.serveReference)
}

func (s *Server) serveDocument(_ context.Context, c *call) error {
	b, err := s.rendered.document()
	if err != nil {
		return err
	}
	c.w.Header().Set("Content-Type", "application/json")
	_, _ = c.w.Write(b)
	return nil
}

// Document returns the description of the API, OpenAPI 3.1 as JSON.
func (s *Server) Document() ([]byte, error) {
	return json.MarshalIndent(s.api.OpenAPI(), "", "  ")
}

// rendered is the description of the API as clients get it: made when the first
// one asks, since it stays what it is while the server runs.
type rendered struct{ document, page func() ([]byte, error) }

func (s *Server) render() rendered {
	return rendered{sync.OnceValues(s.Document), sync.OnceValues(s.renderReference)}
}

// raw adds an operation that writes its answer, of some other type, by itself.
func raw(s *Server, op operation, media string, h func(context.Context, *call) error) {
	op.status = http.StatusOK
	s.register(&op, answer{status: op.status, media: media}, h)
}
