package server

import (
	"context"
	"encoding/json"
	"net/http"
)

func (s *Server) mountDocument() {
	raw(s, operation{method: "GET", path: "/v1/openapi.json", id: "getDocument", tag: "Documentation", summary: "This document, as OpenAPI 3.1"},
		"application/json", s.serveDocument)
	raw(s, operation{method: "GET", path: "/v1/docs", id: "getReference", tag: "Documentation", summary: "This document as a page for readers"},
		"text/html", s.serveReference)
}

func (s *Server) serveDocument(_ context.Context, c *call) error {
	b, err := s.Document()
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

// raw adds an operation that writes its answer, of some other type, by itself.
func raw(s *Server, op operation, media string, h func(context.Context, *call) error) {
	op.status = http.StatusOK
	s.register(&op, answer{status: op.status, media: media}, h)
}
