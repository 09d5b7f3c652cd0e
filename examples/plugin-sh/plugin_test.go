package pluginsh_test

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	osexec "os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin/exec"
	"github.com/shieldhq/shield/plugin/plugintest"
)

func TestPlugin(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"jq", "tar"} {
		if _, err := osexec.LookPath(tool); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatal(err)
			}
			t.Skip(err)
		}
	}
	p, err := exec.Open("plugin.sh", nil)
	if err != nil {
		t.Fatal(err)
	}
	plugintest.Run(t, p, plugintest.Config{
		TargetEndpoint: endpoint(t, source(t)),
		StoreEndpoint:  endpoint(t, t.TempDir()),
		Equal:          sameFiles,
	})
}

func endpoint(t *testing.T, dir string) shield.Endpoint {
	t.Helper()
	b, err := json.Marshal(map[string]string{"dir": dir, "password": "not-for-logs"})
	if err != nil {
		t.Fatal(err)
	}
	return shield.Endpoint(b)
}

func source(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, size := range map[string]int64{"empty": 0, "small": 10, "with space": 300_000} {
		if err := os.WriteFile(filepath.Join(dir, name), plugintest.Bytes(size, 1), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// sameFiles compares two tar streams by their files: times and the order of
// entries may differ.
func sameFiles(a, b []byte) error {
	x, errX := files(a)
	y, errY := files(b)
	if err := errors.Join(errX, errY); err != nil {
		return err
	}
	if diff := cmp.Diff(x, y); diff != "" {
		return fmt.Errorf("the files differ:\n%s", diff)
	}
	return nil
}

func files(stream []byte) (map[string]string, error) {
	m := map[string]string{}
	for r := tar.NewReader(bytes.NewReader(stream)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return m, nil
		}
		if err != nil {
			return nil, err
		}
		content, err := io.ReadAll(r)
		if err != nil {
			return nil, err
		}
		m[h.Name] = string(content)
	}
}
