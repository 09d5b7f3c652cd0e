package fs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
)

const (
	issuesLogged = 1000 // lines in the log; all are counted
	issuesNamed  = 5    // names in the error
)

// issues collects what went wrong with single files. It is safe for
// concurrent use.
type issues struct {
	log plugin.Log

	mu    sync.Mutex
	count int
	names []string
}

// add notes a problem of a file.
func (i *issues) add(name, format string, args ...any) {
	i.mu.Lock()
	i.count++
	n := i.count
	if n <= issuesNamed {
		i.names = append(i.names, printable(name))
	}
	i.mu.Unlock()
	if n <= issuesLogged {
		i.log(printable(name) + ": " + fmt.Sprintf(format, args...))
	}
	if n == issuesLogged {
		i.log("further files with problems are counted, but not named any more")
	}
}

// err returns nil, or an error that counts what was added and names the first.
func (i *issues) err(op, what string) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.count == 0 {
		return nil
	}
	list := strings.Join(i.names, ", ")
	if rest := i.count - len(i.names); rest > 0 {
		list += fmt.Sprintf(" and %d more", rest)
	}
	files := "files"
	if i.count == 1 {
		files = "file"
	}
	return shield.Errorf(shield.TargetFailed, op, "%d %s %s: %s (the log says why)", i.count, files, what, list)
}

// printable quotes a name that would break a line of the log, and shortens
// one that would fill it.
func printable(name string) string {
	const limit = 300
	if len(name) > limit {
		name = name[:limit/2] + "..." + name[len(name)-limit/2:]
	}
	if q := fmt.Sprintf("%q", name); q != `"`+name+`"` {
		return q
	}
	return name
}

// cause strips the names from an error of a file: the line begins with them.
func cause(err error) error {
	if p := (*fs.PathError)(nil); errors.As(err, &p) {
		return p.Err
	}
	if l := (*os.LinkError)(nil); errors.As(err, &l) {
		return l.Err
	}
	return worded(err)
}

// baseError says what is wrong with the base directory.
func baseError(code shield.Code, op, base string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return shield.Errorf(code, op, "base_dir: %s does not exist: the path of a folder is wanted: %w", base, cause(err))
	case isNotDir(err):
		return shield.Errorf(code, op, "base_dir: %s is not a folder: the path of one is wanted: %w", base, cause(err))
	case errors.Is(err, fs.ErrPermission):
		return shield.Errorf(code, op, "base_dir: %s is not accessible: permissions for this process are wanted: %w", base, cause(err))
	}
	return shield.Errorf(code, op, "base_dir: %s: %w", base, cause(err))
}
