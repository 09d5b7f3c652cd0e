package server

import "net/http"

// headed returns a HEAD request as the GET that it stands for: net/http sends no
// body. The content of an archive would have to be read for that, and a stream
// never ends: these know GET alone.
func (s *Server) headed(req *http.Request) *http.Request {
	if req.Method != http.MethodHead {
		return req
	}
	for _, op := range s.operations {
		if op.method == http.MethodGet && op.heads() && matches(pattern(op.path), req.URL.EscapedPath()) {
			r := *req
			r.Method = http.MethodGet
			return &r
		}
	}
	return req
}

// heads reports whether an operation answers HEAD, too.
func (op *operation) heads() bool { return op.method == http.MethodGet && !op.ranged && !op.streamed }
