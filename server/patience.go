package server

import (
	"io"
	"net/http"
	"time"
)

// Patient has the answers of a handler wait for clients that read slowly, and
// break the connections of those that read nothing for so long: http.Server
// knows a time for the whole answer only, which may be long. A Server is patient
// already.
func Patient(h http.Handler, d time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) { h.ServeHTTP(patiently(w, d), req) })
}

// patiently returns w with a new deadline for each part of the answer. What is
// left of the answer before on the same connection is not for this one.
func patiently(w http.ResponseWriter, d time.Duration) http.ResponseWriter {
	p := &patientWriter{w, http.NewResponseController(w), d}
	p.extend()
	return p
}

type patientWriter struct {
	http.ResponseWriter
	control *http.ResponseController
	limit   time.Duration
}

// patientPart is how much of an answer a slow client has to read in the time.
const patientPart = 64 << 10

func (p *patientWriter) extend() { _ = p.control.SetWriteDeadline(time.Now().Add(p.limit)) }

func (p *patientWriter) Write(b []byte) (n int, err error) {
	for first := true; err == nil && (first || len(b) > 0); first = false {
		part := b[:min(len(b), patientPart)]
		p.extend()
		var wrote int
		wrote, err = p.ResponseWriter.Write(part)
		n, b = n+wrote, b[len(part):]
	}
	return n, err
}

// Unwrap is for http.ResponseController.
func (p *patientWriter) Unwrap() http.ResponseWriter { return p.ResponseWriter }

// patientBody returns a large body, whose client is waited for as long as some of
// it comes.
func (s *Server) patientBody(w http.ResponseWriter, req *http.Request) io.ReadCloser {
	return &patientReader{req.Body, http.NewResponseController(w), s.opts.Patience}
}

type patientReader struct {
	io.ReadCloser
	control *http.ResponseController
	limit   time.Duration
}

func (p *patientReader) Read(b []byte) (int, error) {
	_ = p.control.SetReadDeadline(time.Now().Add(p.limit))
	return p.ReadCloser.Read(b)
}
