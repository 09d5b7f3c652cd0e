package endpointarg_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/internal/endpointarg"
)

func TestRead(t *testing.T) {
	dir := t.TempDir()
	file, big := filepath.Join(dir, "e.json"), filepath.Join(dir, "big")
	for name, content := range map[string]string{file: ` {"a": 2} `, big: strings.Repeat(" ", shield.EndpointLimit) + "{}"} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct{ name, text, stdin, want string }{
		{"inline", `{"a": 1}`, "", `{"a":1}`},
		{"file", "@" + file, "", `{"a":2}`},
		{"standard input", "-", `{"a":3}`, `{"a":3}`},
		{"no file", "@" + file + ".gone", "", ""},
		{"folder", "@" + dir, "", ""},
		{"not JSON", "a=1", "", ""},
		{"empty input", "-", "", ""},
		{"too much", "-", strings.Repeat(" ", shield.EndpointLimit) + "{}", ""},
		{"too much in a file", "@" + big, "", ""},
		{"endless file", "@/dev/zero", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := endpointarg.Read(tt.text, strings.NewReader(tt.stdin))
			if string(got) != tt.want || (tt.want == "") != errors.Is(err, shield.Invalid) {
				t.Errorf("%s, %v", got, err)
			}
		})
	}
}
