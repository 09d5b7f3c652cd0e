package tool

import (
	"bytes"
	"context"
	"regexp"
	"strconv"

	"github.com/shieldhq/shield"
)

// A Version is that of a program or of a server.
type Version struct {
	Text         string // like "15.18" or "10.11.6-MariaDB"
	Major, Minor int
}

var versionText = regexp.MustCompile(`(\d+)(?:\.(\d+))?(?:\.\d+)*[A-Za-z0-9.+~-]*`)

// ParseVersion finds the first version in a text: "pg_dump (PostgreSQL) 15.18
// (Debian 15.18-0+deb12u1)" has 15.18.
func ParseVersion(text string) (Version, bool) {
	for _, m := range versionText.FindAllStringSubmatch(text, -1) {
		major, err := strconv.Atoi(m[1])
		if err != nil {
			continue
		}
		minor, _ := strconv.Atoi(m[2]) // none is 0
		return Version{Text: m[0], Major: major, Minor: minor}, true
	}
	return Version{}, false
}

// VersionOf asks a program for its version.
func VersionOf(ctx context.Context, r Runner, name string) (Version, error) {
	var out bytes.Buffer
	if _, err := r.Run(ctx, Job{Name: name, Args: []string{"--version"}, Stdout: &out}); err != nil {
		return Version{}, err
	}
	line, _, _ := bytes.Cut(out.Bytes(), []byte("\n"))
	v, ok := ParseVersion(string(line))
	if !ok {
		return Version{}, shield.Errorf(shield.TargetFailed, "", "%s --version prints %q: a version was wanted", name, line)
	}
	return v, nil
}
