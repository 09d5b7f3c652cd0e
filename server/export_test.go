package server

import "github.com/danielgtaylor/huma/v2"

// OpenAPI is the document that the server describes itself by.
func (s *Server) OpenAPI() *huma.OpenAPI { return s.api.OpenAPI() }
