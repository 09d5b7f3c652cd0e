package main

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// TestDocs holds docs/cli.md to the commands, flags and exit statuses that
// there are.
func TestDocs(t *testing.T) {
	b, err := os.ReadFile("../../docs/cli.md")
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	parser, err := kong.New(&cli{}, kong.Name("shield"), kong.Vars{"version": ""})
	if err != nil {
		t.Fatal(err)
	}
	general, _, _ := strings.Cut(text, "\n### ")
	for _, f := range parser.Model.Flags {
		if !strings.Contains(general, "--"+f.Name) {
			t.Errorf("docs/cli.md lacks --%s", f.Name)
		}
	}
	for _, leaf := range parser.Model.Leaves(true) {
		_, section, found := strings.Cut(text, "\n### "+path(leaf)+"\n")
		if !found {
			t.Errorf("docs/cli.md lacks %s", path(leaf))
			continue
		}
		section, _, _ = strings.Cut(section, "\n##")
		if !strings.Contains(section, "\n    "+path(leaf)) {
			t.Errorf("docs/cli.md has no example of %s", path(leaf))
		}
		for _, f := range leaf.Flags {
			if !strings.Contains(section, "`--"+f.Name) {
				t.Errorf("docs/cli.md lacks --%s of %s", f.Name, path(leaf))
			}
		}
	}
	for status := range 9 {
		if !strings.Contains(text, "\n| "+strconv.Itoa(status)+" |") {
			t.Errorf("docs/cli.md lacks the exit status %d", status)
		}
	}
}
