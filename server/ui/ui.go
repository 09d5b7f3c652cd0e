// Package ui is the web page of shield, as a handler that can be mounted under
// any prefix. The page uses the HTTP API alone, which it expects beside itself,
// under v1/. Its sources are in src; `make ui` builds them into dist, which is
// committed, so that a plain go build has the page.
package ui

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"
)

//go:embed dist
var dist embed.FS

// policy lets the page load and ask what is of its own origin, and nothing
// else. Svelte makes its templates under the one policy of trusted types.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'self'; form-action 'none'; frame-ancestors 'none'; " +
	"require-trusted-types-for 'script'; trusted-types svelte-trusted-html"

// types are those of the files in dist. Those of the host's registry differ
// from host to host.
var types = map[string]string{
	".css":  "text/css; charset=utf-8",
	".html": "text/html; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
}

// An asset is a file as it is sent.
type asset struct {
	body, packed []byte // packed by gzip
	tag          string // of the body, in hex
	kind         string
}

// assets are all files of dist by name.
var assets = sync.OnceValue(func() map[string]asset {
	all := map[string]asset{}
	files, _ := dist.ReadDir("dist") // embedded, like the files in it
	for _, f := range files {
		body, _ := dist.ReadFile("dist/" + f.Name())
		all[f.Name()] = pack(body, types[path.Ext(f.Name())])
	}
	return all
})

func pack(body []byte, kind string) asset {
	sum := sha256.Sum256(body)
	var b bytes.Buffer
	w, _ := gzip.NewWriterLevel(&b, gzip.BestCompression) // the level is one
	_, _ = w.Write(body)                                  // a buffer takes all
	_ = w.Close()
	return asset{body: body, packed: b.Bytes(), tag: hex.EncodeToString(sum[:16]), kind: kind}
}

// Handler returns the handler of the page. Every path that is no file of it is
// answered with the page, which knows its own addresses. The page finds
// everything by the depth of the path that the handler sees: it can stand
// behind http.StripPrefix, or a proxy that takes a prefix away.
func Handler() http.Handler {
	files := assets()
	// Files have the same names for ever. Asked for by their content, they can
	// be kept for ever, too.
	page := string(files["index.html"].body)
	for name, f := range files {
		page = strings.ReplaceAll(page, `"./`+name+`"`, `"`+name+`?v=`+f.tag+`"`)
	}
	return handler{files: files, page: page}
}

type handler struct {
	files map[string]asset
	page  string
}

func (h handler) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if req.Method != http.MethodGet && req.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "only GET and HEAD are allowed here", http.StatusMethodNotAllowed)
		return
	}
	if req.URL.Path == "" { // the prefix itself: what is relative would miss it
		asked, _, _ := strings.Cut(req.RequestURI, "?")
		w.Header().Set("Location", "./"+path.Base(asked)+"/")
		w.WriteHeader(http.StatusPermanentRedirect)
		return
	}
	head := w.Header()
	head.Set("Content-Security-Policy", policy)
	head.Set("Cross-Origin-Opener-Policy", "same-origin")
	head.Set("Cross-Origin-Resource-Policy", "same-origin")
	head.Set("Referrer-Policy", "no-referrer")
	head.Set("X-Content-Type-Options", "nosniff")
	head.Set("X-Frame-Options", "DENY")
	name := strings.TrimPrefix(req.URL.Path, "/")
	f, ok := h.files[name]
	if !ok || name == "index.html" {
		h.index(w, req)
		return
	}
	head.Set("Cache-Control", "no-cache")
	if req.URL.Query().Get("v") == f.tag {
		head.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	f.send(w, req)
}

// index answers with the page as it is to be at the depth of the path.
func (h handler) index(w http.ResponseWriter, req *http.Request) {
	base := strings.Repeat("../", strings.Count(req.URL.EscapedPath(), "/")-1)
	if base == "" {
		base = "./"
	}
	body := strings.Replace(h.page, "<head>", `<head><base href="`+base+`">`, 1)
	w.Header().Set("Cache-Control", "no-cache")
	pack([]byte(body), types[".html"]).send(w, req)
}

// send answers with a file, packed where the client takes that, or with
// nothing where the client has it.
func (f asset) send(w http.ResponseWriter, req *http.Request) {
	head, body, tag := w.Header(), f.body, f.tag
	head.Set("Content-Type", f.kind)
	head.Add("Vary", "Accept-Encoding")
	if takesGzip(req) {
		body, tag = f.packed, f.tag+"-gzip"
		head.Set("Content-Encoding", "gzip")
	}
	head.Set("ETag", `"`+tag+`"`)
	http.ServeContent(w, req, "", time.Time{}, bytes.NewReader(body))
}

// takesGzip reports whether a client takes what gzip packed. A quality of
// zero says that it does not.
func takesGzip(req *http.Request) bool {
	for part := range strings.SplitSeq(req.Header.Get("Accept-Encoding"), ",") {
		name, quality, _ := strings.Cut(strings.ReplaceAll(part, " ", ""), ";q=")
		if name != "gzip" {
			continue
		}
		q, err := strconv.ParseFloat(quality, 64)
		return quality == "" || err == nil && q > 0
	}
	return false
}
