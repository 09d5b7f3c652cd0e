package server_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/server"
)

// open are the routes that everybody may use.
var open = []string{"GET /healthz", "GET /readyz", "POST /v1/session", "GET /v1/openapi.json", "GET /v1/docs"}

// TestRoles asks for every route as every role: the one that the document names
// and those above it are let through, nobody else.
func TestRoles(t *testing.T) {
	t.Parallel()
	f := &fixture{t: t, log: &logBuffer{}}
	var who shield.Role
	f.serve(server.New(nilCatalog{}, nil, failing{}, nil, server.Options{
		Library: noLibrary{}, Agents: noAgents{},
		Authenticate: func(*http.Request) (shield.Principal, error) {
			if who == "" {
				return shield.Principal{}, shield.Errorf(shield.Unauthorized, "", "nobody")
			}
			return shield.Principal{Name: "somebody", Role: who}, nil
		},
	}))
	for _, r := range routesOf(f.handler.(*server.Server).OpenAPI()) {
		if slices.Contains(open, r.String()) {
			if r.role() != "" {
				t.Errorf("%s is open to everybody and wants %s", r, r.role())
			}
			continue
		}
		if err := r.role().Validate(); err != nil {
			t.Errorf("%s: %v", r, err)
		}
		for _, who = range append(shield.Roles, "") {
			// A parameter that no operation has ends the request behind the door.
			a := f.do(r.Method, strings.Replace(r.Path, "{ref}", "x", 1)+"?no-such-parameter=", "")
			switch p := f.refused(a); {
			case who == "" && p.Status != 401, who != "" && !who.Allows(r.role()) && p.Status != 403, who.Allows(r.role()) && p.Field != "no-such-parameter":
				t.Errorf("%s as %q: %+v", r, who, p)
			}
		}
	}
}
