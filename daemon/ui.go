package daemon

import (
	"net/http"
	"strings"
	"time"

	"github.com/shieldhq/shield/server"
	"github.com/shieldhq/shield/server/ui"
)

// withUI has the web page answer all that the API has no routes near: whatever
// begins like one of its routes, as /v1 does, is the API's.
func withUI(api *server.Server, patience time.Duration) http.Handler {
	page, taken := server.Patient(ui.Handler(), patience), map[string]bool{}
	for _, r := range api.Routes() {
		_, path, _ := strings.Cut(r, " ")
		taken[first(path)] = true
	}
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if taken[first(req.URL.Path)] {
			api.ServeHTTP(w, req)
			return
		}
		page.ServeHTTP(w, req)
	})
}

// first returns the first segment of a path.
func first(path string) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	return name
}
