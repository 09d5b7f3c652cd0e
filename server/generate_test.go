package server_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/shieldhq/shield/server"
)

// TestGeneratedClient has a client generated from the document, which compiles.
func TestGeneratedClient(t *testing.T) {
	t.Parallel()
	s := server.New(nilCatalog{}, nil, failing{}, nil, server.Options{Token: token, Library: noLibrary{}, Agents: noAgents{}})
	document, err := s.Document()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/client")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "openapi.json"), document, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"tool", "oapi-codegen", "-generate", "types,client", "-package", "client", "-o", "client.go", "openapi.json"},
		{"build", "."},
	} {
		cmd := exec.CommandContext(t.Context(), "go", args...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=readonly")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("go %s: %v\n%s", args[0], err, out)
		}
	}
}
