package azure_test

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/testserver"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugins-wasm/azure/azure"
	"github.com/shieldhq/shield/plugins-wasm/internal/resttest"
)

func TestMain(m *testing.M) { resttest.Main(m) }

// server is one Azurite for many tests: it takes seconds to start.
type server struct {
	*testserver.Azure
	made atomic.Int64
}

func startServer(t testing.TB) *server {
	t.Helper()
	return &server{Azure: testserver.StartAzure(t)}
}

// container makes a container and returns its name.
func (s *server) container(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("container-%d", s.made.Add(1))
	if status, _, _ := s.ask(t, http.MethodPut, name, "restype=container"); status != http.StatusCreated {
		t.Fatalf("making the container %s: status %d", name, status)
	}
	return name
}

// ask sends a signed request past the plugin.
func (s *server) ask(t testing.TB, method, path, query string) (int, http.Header, []byte) {
	t.Helper()
	u, err := url.Parse(s.URL + "/" + path)
	if err != nil {
		t.Fatal(err)
	}
	u.RawQuery = query
	return azure.Ask(t, method, u, s.Account, s.Key)
}

// left returns all that is in a container below a prefix, blocks without a
// blob included.
func (s *server) left(t testing.TB, container, prefix string) []string {
	t.Helper()
	_, _, body := s.ask(t, http.MethodGet, container, "restype=container&comp=list&include=uncommittedblobs&prefix="+prefix)
	var list struct {
		Blobs struct{ Blob []struct{ Name string } }
	}
	if err := xml.Unmarshal(body, &list); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, b := range list.Blobs.Blob {
		names = append(names, b.Name)
	}
	return names
}

// endpoint returns that of a container at the URL of a server or of what is
// before it; more are pairs of field and value, nil takes a field away.
func (s *server) endpoint(t testing.TB, at, container string, more ...any) shield.Endpoint {
	t.Helper()
	fields := map[string]any{"container": container, "endpoint": at + "/" + s.Account, "key": s.Key, "retries": 2}
	for i := 0; i < len(more); i += 2 {
		fields[more[i].(string)] = more[i+1]
		if more[i+1] == nil {
			delete(fields, more[i].(string))
		}
	}
	b, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func open(t testing.TB, e shield.Endpoint) plugin.Store {
	t.Helper()
	s, err := azure.Plugin().OpenStore(t.Context(), e, func(line string) { t.Log(line) })
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func wantCode(t testing.TB, err error, code shield.Code, parts ...string) {
	t.Helper()
	if !errors.Is(err, code) {
		t.Fatalf("error %v, want the code %s", err, code)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q does not name %q", err, part)
		}
	}
}

func azurePutBlock(t testing.TB, s *server, container, key string) (int, http.Header, []byte) {
	t.Helper()
	return azure.PutBlock(t, s.URL+"/"+container+"/"+key, s.Account, s.Key)
}
