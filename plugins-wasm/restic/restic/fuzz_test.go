package restic

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
)

// FuzzSnapshots: whatever restic prints, an answer that was cut is no answer.
func FuzzSnapshots(f *testing.F) {
	id := strings.Repeat("0a", 32)
	f.Add([]byte(`[{"id":"` + id + `","time":"2026-11-23T00:34:20Z","tags":["shield-archive","shield-key=a/b","shield-size=3","shield-snapshot=` + id + `"]}]` + "\n"))
	f.Add([]byte("null"))
	f.Add([]byte("[ ] [ ]"))
	f.Fuzz(func(t *testing.T, text []byte) {
		err := snapshots(bytes.NewReader(text), func(n *snapshot) error {
			if a, ok := n.archive(); ok && (a.key == "" || a.size < 0 || a.size > 0 && len(a.data) != 64) {
				t.Errorf("%+v is taken for an archive: %+v", n, a)
			}
			return nil
		})
		if err != nil {
			if errors.Is(err, io.EOF) {
				t.Errorf("the error could be taken for an end: %v", err)
			}
			return
		}
		failed := errors.New("failed")
		if err := snapshots(io.MultiReader(bytes.NewReader(text), broke{failed}), func(*snapshot) error { return nil }); !errors.Is(err, failed) {
			t.Errorf("a failure at the end is not noticed: %v", err)
		}
	})
}

type broke struct{ err error }

func (b broke) Read([]byte) (int, error) { return 0, b.err }

// FuzzKey: every key that is taken comes back from the tag that it becomes.
func FuzzKey(f *testing.F) {
	f.Add("2026/01/31/blob")
	f.Add("a b,c%2F+ü/日本/--x")
	f.Fuzz(func(t *testing.T, key string) {
		if keyProblem(key) != "" {
			return
		}
		text := escape(key)
		if strings.ContainsAny(text, ", \\") {
			t.Errorf("%q becomes %q", key, text)
		}
		if back, ok := unescape(text); !ok || back != key {
			t.Errorf("%q becomes %q becomes %q", key, text, back)
		}
	})
}

func FuzzVariables(f *testing.F) {
	f.Add("AWS_ACCESS_KEY_ID=a\n# x\n")
	f.Fuzz(func(t *testing.T, text string) {
		env, err := variables(text)
		for _, v := range env {
			name, _, _ := strings.Cut(v, "=")
			if err == nil && !credential.MatchString(name) {
				t.Errorf("%q lets %q through", text, v)
			}
		}
	})
}
