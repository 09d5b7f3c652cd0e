package server_test

import (
	"bytes"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/shieldhq/shield/server"
)

var update = flag.Bool("update", false, "write docs/api/http.md anew")

// TestReference holds docs/api/http.md to the document.
func TestReference(t *testing.T) {
	const file = "../docs/api/http.md"
	s := server.New(nilCatalog{}, nil, failing{}, nil, server.Options{Token: token, Library: noLibrary{}})
	var b bytes.Buffer
	if err := s.WriteReference(&b); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(file)
	if err != nil || !bytes.Equal(have, b.Bytes()) {
		t.Errorf("%s is not current: run go generate ./server (%v)", file, err)
	}
}

// TestReferencePage looks at the page for readers: it has every route and
// loads nothing.
func TestReferencePage(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	a := f.send(httpGet(f.url + "/v1/docs"))
	if a.status != 200 || a.header.Get("Content-Type") != "text/html; charset=utf-8" || !strings.Contains(a.header.Get("Content-Security-Policy"), "default-src 'none'; style-src 'sha256-") {
		t.Errorf("%d %v", a.status, a.header)
	}
	for _, r := range routesOf(f.handler.(*server.Server).OpenAPI()) {
		if !strings.Contains(a.body, r.String()+"</h3>") {
			t.Errorf("the page lacks %s", r)
		}
	}
	for _, bad := range []string{"<script", "http://", "https://", "src=", "@import", "url(", "ZgotmplZ"} {
		if strings.Contains(a.body, bad) {
			t.Errorf("the page has %s", bad)
		}
	}
}
