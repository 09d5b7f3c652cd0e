package wasmhost

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/shieldhq/shield/plugin"
)

// name is what capabilities call the command: its name, or the path of one in
// a folder of its own.
func (d *execDescriptor) name() string {
	if d.Folder == "" {
		return d.Cmd
	}
	return path.Join(d.Folder, d.Cmd)
}

// rule returns what the grant says of the command. Of those in a folder that
// the endpoint names, it is said under "{field}/name".
func (d *execDescriptor) rule(g *plugin.Grant) plugin.Command {
	if d.Folder == "" {
		return g.Exec[d.Cmd]
	}
	for _, name := range slices.Sorted(maps.Keys(g.Exec)) {
		if strings.HasSuffix(name, "}/"+d.Cmd) {
			return g.Exec[name]
		}
	}
	return plugin.Command{}
}

// program finds the program. Relative paths are nowhere looked at.
func (d *execDescriptor) program(rule *plugin.Command) (string, error) {
	if d.Folder != "" {
		return trusted(d.name())
	}
	if rule.Path != "" {
		return rule.Path, nil
	}
	for _, dir := range filepath.SplitList(safePath) {
		p := filepath.Join(dir, d.Cmd)
		if fi, err := os.Stat(p); err == nil && fi.Mode().IsRegular() && fi.Mode()&0o111 != 0 {
			return p, nil
		}
	}
	return "", fmt.Errorf("%w in %s: the grant can name one", fs.ErrNotExist, safePath)
}

// trusted returns the path of a program that an endpoint has named, if it is
// one that not everybody could have put there.
func trusted(name string) (string, error) {
	real, err := filepath.EvalSymlinks(name)
	if err != nil {
		return "", err
	}
	fi, err := os.Stat(real)
	if err != nil {
		return "", err
	}
	if !fi.Mode().IsRegular() || fi.Mode()&0o111 == 0 {
		return "", fmt.Errorf("%s is no program", name)
	}
	for _, p := range []string{real, filepath.Dir(real), filepath.Dir(name)} {
		if fi, err := os.Stat(p); err != nil || fi.Mode()&0o002 != 0 {
			return "", fmt.Errorf("%s may be changed by everybody", p)
		}
	}
	return name, nil
}

var privateName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// workFolder makes the folder that a program works in, with the files that
// the guest wants there. Nobody else can read it.
func (d *execDescriptor) workFolder() (string, error) {
	dir, err := os.MkdirTemp("", "shield-plugin-")
	if err != nil {
		return "", err
	}
	for name, content := range d.Files {
		if !privateName.MatchString(name) {
			err = fmt.Errorf("%q is not a name of one", name)
		} else {
			err = os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600)
		}
		if err != nil {
			return "", errors.Join(err, os.RemoveAll(dir))
		}
	}
	return dir, nil
}
