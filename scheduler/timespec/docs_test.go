package timespec_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/shieldhq/shield/scheduler/timespec"
)

// TestDocs reads the tables of docs/schedules.md: what they call a timespec
// or window is one, and errors are as they say.
func TestDocs(t *testing.T) {
	b, err := os.ReadFile("../../docs/schedules.md")
	if err != nil {
		t.Fatal(err)
	}
	quoted := regexp.MustCompile("`([^`]+)`")
	kind, seen := "", map[string]int{}
	for line := range strings.Lines(string(b)) {
		cells := strings.Split(strings.Trim(line, "|\n"), "|")
		if !strings.HasPrefix(line, "|") {
			kind = ""
			continue
		}
		if kind == "" {
			kind = strings.TrimSpace(cells[0]) + " " + strings.TrimSpace(cells[1])
			continue
		}
		for _, m := range quoted.FindAllStringSubmatch(cells[0], -1) {
			seen[kind]++
			checkDoc(t, kind, m[1], strings.TrimSpace(cells[1]))
		}
	}
	if seen["timespec means"] < 60 || seen["window means"] < 8 || seen["timespec error"] < 4 {
		t.Errorf("the tables have %v", seen)
	}
}

func checkDoc(t *testing.T, kind, text, says string) {
	t.Helper()
	switch kind {
	case "timespec means":
		if _, err := timespec.Parse(text); err != nil {
			t.Errorf("docs/schedules.md: %v", err)
		}
	case "window means":
		if _, err := timespec.ParseWindow(text); err != nil {
			t.Errorf("docs/schedules.md: %v", err)
		}
	case "timespec error":
		if _, err := timespec.Parse(text); err == nil || !strings.HasSuffix(err.Error(), says) {
			t.Errorf("docs/schedules.md: %q: got %v, not %s", text, err, says)
		}
	}
}
