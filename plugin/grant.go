package plugin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/shieldhq/shield"
)

// A Grant is what the operator lets a sandboxed plugin have. It bounds what
// the plugin asks for: a call may do what both name. Entries have the forms
// of Capabilities. The zero value grants nothing beyond the streams.
type Grant struct {
	TCP   []string `json:"tcp,omitempty"`
	HTTP  []string `json:"http,omitempty"`
	Read  []string `json:"read,omitempty"`
	Write []string `json:"write,omitempty"`
	Own   []string `json:"own,omitempty"`
	// Exec maps the names of commands to programs. Under "{field}/name" it
	// has what is said of programs in the folder that a field names.
	Exec map[string]Command `json:"exec,omitempty"`
	// Memory bounds the memory of a running plugin; 0 is for the host's
	// default.
	Memory Size `json:"memory,omitempty"`
	// Timeout bounds the time that a call takes; 0 is no bound but the
	// task's.
	Timeout Duration `json:"timeout,omitempty"`
	// Isolation is IsolationProcess to run the plugin in a process of its
	// own.
	Isolation Isolation `json:"isolation,omitempty"`
}

// An Isolation is where a sandboxed plugin runs.
type Isolation string

// The isolations.
const (
	IsolationNone    Isolation = ""        // in the process of its host
	IsolationProcess Isolation = "process" // in a process of its own
)

// A Command is the program behind the name of a command.
type Command struct {
	// Path is the program, absolute. Empty means: the program of that name
	// in the usual folders of the system.
	Path string `json:"path,omitempty"`
	// Args come before those of the plugin.
	Args []string `json:"args,omitempty"`
	// Deny holds flags that the plugin must not use, like "-f" or "--file".
	Deny []string `json:"deny,omitempty"`
	// Env holds the names of environment variables that the plugin may set;
	// a name that ends in * stands for all that begin so. Empty means those
	// that clients of databases take their credentials from, and the locale.
	Env []string `json:"env,omitempty"`
}

// GrantFor returns the grant of all that is asked for.
func GrantFor(c Capabilities) Grant {
	g := Grant{TCP: c.TCP, HTTP: c.HTTP, Read: c.Read, Write: c.Write, Own: c.Own, Memory: c.Memory}
	if len(c.Exec) > 0 {
		g.Exec = map[string]Command{}
	}
	for _, name := range c.Exec {
		g.Exec[name] = Command{}
	}
	return g
}

// Bound returns the grant as capabilities.
func (g *Grant) Bound() Capabilities {
	return Capabilities{
		TCP: g.TCP, HTTP: g.HTTP, Read: g.Read, Write: g.Write, Own: g.Own,
		Exec: slices.Sorted(maps.Keys(g.Exec)), Memory: g.Memory,
	}
}

// ParseGrant decodes and checks a grant. An unknown key is an error, since a
// grant is configuration.
func ParseGrant(data []byte) (Grant, error) {
	var g Grant
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&g); err != nil {
		return g, shield.FieldErrorf("grant", "%v", err)
	}
	return g, g.Check()
}

// Check reports what is wrong with a grant. Errors are Invalid and name the
// entry.
func (g *Grant) Check() error {
	bound := g.Bound()
	if err := bound.check(); err != nil {
		return shield.FieldErrorf("grant", "%v", err)
	}
	if g.Isolation != IsolationNone && g.Isolation != IsolationProcess {
		return shield.FieldErrorf("grant.isolation", `is %q: "process" is wanted, or nothing`, g.Isolation)
	}
	if g.Timeout < 0 {
		return shield.FieldErrorf("grant.timeout", "is %s: a positive duration is wanted", g.Timeout)
	}
	for name, c := range g.Exec {
		if err := c.check(); err != nil {
			return shield.FieldErrorf("grant.exec."+name, "%v", err)
		}
		if c.Path != "" && strings.Contains(name, "/") {
			return shield.FieldErrorf("grant.exec."+name, "path is %q: the endpoint names the folder already", c.Path)
		}
	}
	return nil
}

func (c *Command) check() error {
	if c.Path != "" && !filepath.IsAbs(c.Path) {
		return fmt.Errorf("path is %q: an absolute path is wanted", c.Path)
	}
	for _, flag := range c.Deny {
		if len(flag) < 2 || flag[0] != '-' {
			return fmt.Errorf(`deny: %q is not a flag: one like "-f" or "--file" is wanted`, flag)
		}
	}
	for _, name := range c.Env {
		if name == "" || strings.ContainsAny(name, "=\x00") {
			return fmt.Errorf("env: %q is not the name of a variable", name)
		}
	}
	return nil
}

// A Size is a number of bytes. Its text has a unit where that is exact, like
// "64MiB".
type Size int64

// String returns the size with the largest unit that divides it.
func (s Size) String() string {
	for _, u := range []struct {
		suffix string
		size   Size
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if s >= u.size && s%u.size == 0 {
			return strconv.FormatInt(int64(s/u.size), 10) + u.suffix
		}
	}
	return strconv.FormatInt(int64(s), 10) + "B"
}

// MarshalJSON returns the text in quotes.
func (s Size) MarshalJSON() ([]byte, error) { return json.Marshal(s.String()) }

// UnmarshalJSON takes a text with a unit, or a number.
func (s *Size) UnmarshalJSON(data []byte) error {
	text := strings.Trim(string(data), `"`)
	n, err := ParseBytes(text)
	*s = Size(n)
	return err
}

// A Duration is a time.Duration whose JSON is text, like "6h".
type Duration time.Duration

// String returns the text of time.Duration.
func (d Duration) String() string { return time.Duration(d).String() }

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	*d = Duration(v)
	return err
}
