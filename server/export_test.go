package server

import (
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// OpenAPI is the document that the server describes itself by.
func (s *Server) OpenAPI() *huma.OpenAPI { return s.api.OpenAPI() }

// SetStreamTimeout sets how long clients of streams that read nothing are waited
// for.
func (s *Server) SetStreamTimeout(d time.Duration) { s.streamTimeout = d }
