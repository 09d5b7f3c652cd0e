package plugin

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math"
	"net/url"
	"path"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/shieldhq/shield"
)

// A parser turns the JSON value of a field into its canonical form. Its
// errors say what would be right and do not quote the value.
type parser func(f *Field, v any) (any, error)

// parsers is never written to.
var parsers = map[Type]parser{
	TypeString:   parseString,
	TypeText:     parseString,
	TypePassword: parseString,
	TypeBool:     parseBool,
	TypeEnum:     parseEnum,
	TypeInteger:  parseInteger,
	TypePort:     parsePort,
	TypeDuration: parseDuration,
	TypeBytes:    parseBytes,
	TypeAbsPath:  parseAbsPath,
	TypeURL:      parseURL,
	TypePEM:      parsePEM,
}

func parseString(f *Field, v any) (any, error) {
	s, ok := v.(string)
	if !ok {
		return nil, fmt.Errorf("must be a string, not %s", jsonType(v))
	}
	if strings.ContainsRune(s, 0) {
		return nil, fmt.Errorf("has a NUL character")
	}
	return s, nil
}

func parseBool(f *Field, v any) (any, error) {
	switch v := v.(type) {
	case bool:
		return v, nil
	case string:
		switch strings.ToLower(v) {
		case "1", "y", "yes", "t", "true", "on":
			return true, nil
		case "0", "n", "no", "f", "false", "off", "":
			return false, nil
		}
	case float64:
		if v == 0 || v == 1 {
			return v == 1, nil
		}
	}
	return nil, fmt.Errorf("must be true or false")
}

func parseEnum(f *Field, v any) (any, error) {
	s, ok := v.(string)
	if !ok || !slices.Contains(f.Enum, s) {
		return nil, fmt.Errorf("must be one of %s", strings.Join(f.Enum, ", "))
	}
	return s, nil
}

func parseInteger(f *Field, v any) (any, error) {
	switch v := v.(type) {
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
			return int64(v), nil
		}
	case string:
		if n, err := strconv.ParseInt(v, 10, 64); err == nil {
			return n, nil
		}
	}
	return nil, fmt.Errorf("must be a whole number")
}

func parsePort(f *Field, v any) (any, error) {
	n, err := parseInteger(f, v)
	if p, ok := n.(int64); err != nil || !ok || p < 1 || p > 65535 {
		return nil, fmt.Errorf("must be a port, 1 to 65535")
	}
	return n, nil
}

func parseDuration(f *Field, v any) (any, error) {
	s, ok := v.(string)
	if !ok {
		return nil, fmt.Errorf(`must be a duration like "90s" or "5m"`)
	}
	if d, err := time.ParseDuration(s); err != nil || d < 0 {
		return nil, fmt.Errorf(`must be a duration like "90s" or "5m"`)
	}
	return s, nil
}

func parseBytes(f *Field, v any) (any, error) {
	if s, ok := v.(string); ok {
		return ParseBytes(s)
	}
	n, err := parseInteger(f, v)
	if b, ok := n.(int64); err != nil || !ok || b < 0 {
		return nil, fmt.Errorf(`must be a number of bytes, like 1048576 or "64MiB"`)
	}
	return n, nil
}

// ParseBytes reads a number of bytes: digits, with an optional unit of kB,
// MB, GB, TB (powers of 1000) or KiB, MiB, GiB, TiB (powers of 1024).
func ParseBytes(s string) (int64, error) {
	units := []struct {
		suffix string
		size   int64
	}{
		{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
		{"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1}, {"", 1},
	}
	for _, u := range units {
		digits, ok := strings.CutSuffix(s, u.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
		if err != nil || n < 0 || n > math.MaxInt64/u.size {
			break
		}
		return n * u.size, nil
	}
	return 0, fmt.Errorf(`must be a number of bytes, like 1048576 or "64MiB"`)
}

func parseAbsPath(f *Field, v any) (any, error) {
	s, ok := v.(string)
	if !ok || !path.IsAbs(s) || strings.ContainsRune(s, 0) {
		return nil, fmt.Errorf("must be an absolute path, beginning with /")
	}
	return path.Clean(s), nil
}

func parseURL(f *Field, v any) (any, error) {
	s, ok := v.(string)
	if !ok {
		return nil, fmt.Errorf("must be a URL")
	}
	// The error of url.Parse quotes its input, which may hold a password.
	if u, err := url.Parse(s); err != nil || u.Scheme == "" || u.Host == "" {
		return nil, fmt.Errorf("must be a URL like https://host:port/path")
	}
	return s, nil
}

func parsePEM(f *Field, v any) (any, error) {
	s, ok := v.(string)
	if !ok {
		return nil, fmt.Errorf("must be a PEM text")
	}
	if b, _ := pem.Decode([]byte(s)); b == nil {
		return nil, fmt.Errorf("must be a PEM text, beginning with -----BEGIN")
	}
	return s, nil
}

func jsonType(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case bool:
		return "a bool"
	case float64:
		return "a number"
	case string:
		return "a string"
	case []any:
		return "a list"
	}
	return "an object"
}

// Decode resolves an endpoint and decodes it into v, which the constructors of
// plugins begin with.
func (i *Info) Decode(r Role, e shield.Endpoint, v any) error {
	resolved, err := i.Resolve(r, e)
	if err != nil {
		return err
	}
	return resolved.Decode(v)
}

// Resolve checks an endpoint against the fields of a role and returns it in
// canonical form, defaults filled in. An error is Invalid and names the
// field, its value unless secret, and what would be right. An empty string
// for an optional field counts as absent.
func (i *Info) Resolve(r Role, e shield.Endpoint) (shield.Endpoint, error) {
	if !i.Has(r) {
		return nil, RoleError(i.Name, r)
	}
	if err := e.Validate(); err != nil {
		return nil, err
	}
	in, err := e.Fields()
	if err != nil {
		return nil, err
	}
	out := map[string]any{}
	for _, f := range i.Of(r) {
		v, present := in[f.Name]
		delete(in, f.Name)
		if err := f.resolve(v, present, out); err != nil {
			return nil, err
		}
	}
	if err := i.refuseUnknown(r, in); err != nil {
		return nil, err
	}
	b, err := json.Marshal(out)
	return shield.Endpoint(b), err
}

func (f *Field) resolve(v any, present bool, out map[string]any) error {
	if v == nil || v == "" {
		present = false
	}
	if !present {
		if f.Default == "" {
			if f.Required {
				return shield.FieldErrorf("endpoint."+f.Name, "is missing: %s", f.wanted())
			}
			return nil
		}
		v = f.Default
	}
	c, err := parsers[f.Type](f, v)
	if err != nil {
		if f.IsSecret() {
			return shield.FieldErrorf("endpoint."+f.Name, "%v", err)
		}
		shown, _ := json.Marshal(v)
		return shield.FieldErrorf("endpoint."+f.Name, "is %.200s: it %v", shown, err)
	}
	out[f.Name] = c
	return nil
}

func (f *Field) wanted() string {
	text := "a value of type " + string(f.Type) + " is wanted"
	if f.Title != "" {
		text += " (" + f.Title + ")"
	}
	if f.Example != "" {
		text += ", like " + f.Example
	}
	return text
}

func (i *Info) refuseUnknown(r Role, rest map[string]any) error {
	if len(rest) == 0 {
		return nil
	}
	unknown := make([]string, 0, len(rest))
	for k := range rest {
		unknown = append(unknown, k)
	}
	sort.Strings(unknown)
	var known []string
	for _, f := range i.Of(r) {
		known = append(known, f.Name)
	}
	return shield.FieldErrorf("endpoint."+unknown[0], "is not a field of %s as a %s: %s", i.Name, r, strings.Join(known, ", "))
}

// Secrets returns the names of the secret fields of a role.
func (i *Info) Secrets(r Role) []string {
	var names []string
	for _, f := range i.Of(r) {
		if f.IsSecret() {
			names = append(names, f.Name)
		}
	}
	return names
}
