package durable_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/shieldhq/shield/internal/durable"
)

func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "f")
	refused := errors.New("refused")
	for _, step := range []struct {
		data   string
		adjust func(string) error
		want   error
		is     string
	}{
		{"one", nil, nil, "one"},
		{"two", func(string) error { return refused }, refused, "one"},
		{"three", func(string) error { return nil }, nil, "three"},
	} {
		if err := durable.WriteFile(file, []byte(step.data), step.adjust); !errors.Is(err, step.want) {
			t.Errorf("%s: %v", step.data, err)
		}
		b, err := os.ReadFile(file)
		if err != nil || string(b) != step.is {
			t.Errorf("after %s it is %q, %v", step.data, b, err)
		}
	}
	st, err := os.Stat(file)
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", st, err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("%v are left, %v", left, err)
	}
}
