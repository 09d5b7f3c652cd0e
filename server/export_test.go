package server

import (
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// OpenAPI is the document that the server describes itself by.
func (s *Server) OpenAPI() *huma.OpenAPI { return s.api.OpenAPI() }

// SetPatience sets how long clients that read nothing are waited for.
func (s *Server) SetPatience(d time.Duration) { s.opts.Patience = d }
