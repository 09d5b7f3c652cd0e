package dockerpg

import (
	"path"
	"regexp"
	"strings"
	"time"

	"github.com/shieldhq/shield"
)

// A config is an endpoint, decoded.
type config struct {
	Socket       string `json:"socket"`
	Image        string `json:"image"`
	Label        string `json:"label"`
	Container    string `json:"container"`
	User         string `json:"pg_user"`
	Password     string `json:"pg_password"`
	Existing     string `json:"pg_existing"`
	Pull         bool   `json:"pull"`
	StartTimeout string `json:"start_timeout"`
	Bindir       string `json:"docker_bindir"`

	images, names []string
	patience      time.Duration
}

var containerName = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]+$`)

// check looks at what the fields mean. Its errors are Invalid.
func (c *config) check() (err error) {
	if p, ok := strings.CutPrefix(c.Socket, "unix://"); !ok || !path.IsAbs(p) {
		return shield.FieldErrorf("endpoint.socket", "is %q: unix:// and an absolute path are wanted, like unix:///var/run/docker.sock", c.Socket)
	}
	c.images, c.names = list(c.Image), list(c.Container)
	for _, p := range c.images {
		if _, err := path.Match(p, ""); err != nil {
			return shield.FieldErrorf("endpoint.image", "has %q, which is no pattern: *, ? and [a-z] are wanted", p)
		}
	}
	if len(c.images) == 0 {
		return shield.FieldErrorf("endpoint.image", "is %q: at least one pattern is wanted, like postgres", c.Image)
	}
	for _, n := range c.names {
		if !containerName.MatchString(n) {
			return shield.FieldErrorf("endpoint.container", "has %q, which is no name of a container", n)
		}
	}
	if strings.HasPrefix(c.Label, "=") {
		return shield.FieldErrorf("endpoint.label", "is %q: a label is wanted, like backup or backup=yes", c.Label)
	}
	if c.patience, err = time.ParseDuration(c.StartTimeout); err != nil {
		return shield.FieldErrorf("endpoint.start_timeout", "is %q: a duration like 2m is wanted", c.StartTimeout)
	}
	return nil
}

// list splits at commas.
func list(text string) []string {
	var all []string
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			all = append(all, part)
		}
	}
	return all
}

// isImage reports whether an image is one of those that are meant.
func (c *config) isImage(image string) bool {
	image, _, _ = strings.Cut(image, "@") // the digest
	dir, base := path.Split(image)
	base, _, _ = strings.Cut(base, ":") // the tag; a port stands before the last slash
	for _, p := range c.images {
		for _, name := range []string{dir + base, base} {
			if ok, _ := path.Match(p, name); ok { // was checked
				return true
			}
		}
	}
	return false
}
