package plugin

import (
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"path"
	"regexp"
	"strings"

	"github.com/shieldhq/shield"
)

var mark = regexp.MustCompile(`\{([A-Za-z][A-Za-z0-9_-]{0,63})\}`)

// marks returns the names of the fields that an entry refers to.
func marks(entry string) []string {
	var names []string
	for _, m := range mark.FindAllStringSubmatch(entry, -1) {
		names = append(names, m[1])
	}
	return names
}

// wholeField returns the field that an entry is, "" if it is anything else.
func wholeField(entry string) string {
	if m := mark.FindStringSubmatch(entry); m != nil && m[0] == entry {
		return m[1]
	}
	return ""
}

// splitAddress splits at the last colon, outside of brackets.
func splitAddress(entry string) (host, port string) {
	n := strings.LastIndexByte(entry, ':')
	if n < 0 || strings.HasSuffix(entry, "]") {
		return entry, ""
	}
	return strings.TrimSuffix(strings.TrimPrefix(entry[:n], "["), "]"), entry[n+1:]
}

// Resolve replaces the {field} marks by the fields of an endpoint. An entry
// whose field the endpoint lacks falls away; one that becomes something
// unusable is Invalid and names the field.
func (c Capabilities) Resolve(e shield.Endpoint) (Capabilities, error) {
	fields, err := fieldTexts(e)
	if err != nil {
		return Capabilities{}, err
	}
	out := Capabilities{Memory: c.Memory}
	for _, l := range []struct {
		from    []string
		to      *[]string
		resolve func(entry string, fields map[string]string) ([]string, error)
	}{
		{c.TCP, &out.TCP, resolveAddress},
		{c.HTTP, &out.HTTP, resolveURL},
		{c.Read, &out.Read, resolveFolder},
		{c.Write, &out.Write, resolveFolder},
		{c.Own, &out.Own, resolveFolder},
		{c.Exec, &out.Exec, resolveCommand},
	} {
		for _, entry := range l.from {
			if !hasAll(fields, marks(entry)) {
				continue
			}
			resolved, err := l.resolve(entry, fields)
			if err != nil {
				return Capabilities{}, resolveError(entry, err)
			}
			*l.to = append(*l.to, resolved...)
		}
	}
	return out, nil
}

// resolveError does not quote the value: a URL may hold a password.
func resolveError(entry string, err error) error {
	field := "endpoint"
	if names := marks(entry); len(names) > 0 {
		field += "." + names[0]
	}
	return shield.FieldErrorf(field, "the plugin uses it as %s, but it %v", entry, err)
}

func fieldTexts(e shield.Endpoint) (map[string]string, error) {
	texts := map[string]string{}
	if len(e) == 0 {
		return texts, nil
	}
	m, err := e.Fields()
	if err != nil {
		return nil, err
	}
	for name, v := range m {
		switch v := v.(type) {
		case string:
			if v != "" {
				texts[name] = v
			}
		case nil:
		default:
			b, _ := json.Marshal(v) // was decoded from JSON
			texts[name] = string(b)
		}
	}
	return texts, nil
}

func hasAll(fields map[string]string, names []string) bool {
	for _, n := range names {
		if _, ok := fields[n]; !ok {
			return false
		}
	}
	return true
}

func expand(entry string, fields map[string]string) string {
	return mark.ReplaceAllStringFunc(entry, func(m string) string { return fields[m[1:len(m)-1]] })
}

// resolveAddress expands host and port apart from each other, so that a host
// with a colon in it stays a host.
func resolveAddress(entry string, fields map[string]string) ([]string, error) {
	f := wholeField(entry)
	if f == "" {
		host, port := splitAddress(entry)
		a, err := joinAddress(expand(host, fields), expand(port, fields))
		return []string{a}, err
	}
	var list []string
	for part := range strings.SplitSeq(fields[f], ",") {
		host, port, err := parseAddress(strings.TrimSpace(part))
		if err != nil {
			return nil, err
		}
		a, err := joinAddress(host, port)
		if err != nil {
			return nil, err
		}
		list = append(list, a)
	}
	return list, nil
}

// defaultPorts is never written to.
var defaultPorts = map[string]string{
	"http": "80", "https": "443", "postgres": "5432", "postgresql": "5432", "mysql": "3306",
	"redis": "6379", "rediss": "6379", "mongodb": "27017", "amqp": "5672", "amqps": "5671", "ssh": "22", "sftp": "22",
}

func parseAddress(text string) (host, port string, err error) {
	if strings.Contains(text, "://") {
		u, err := url.Parse(text)
		if err != nil || u.Hostname() == "" {
			return "", "", fmt.Errorf("is no URL with a host")
		}
		if port = u.Port(); port == "" {
			port = defaultPorts[u.Scheme]
		}
		return u.Hostname(), port, nil
	}
	host, port, err = net.SplitHostPort(text)
	if err != nil {
		return "", "", fmt.Errorf(`is no address: "host:port" is wanted`)
	}
	return host, port, nil
}

func joinAddress(host, port string) (string, error) {
	if host == "" || port == "" {
		return "", fmt.Errorf("has no host or no port")
	}
	return net.JoinHostPort(host, port), nil
}

func resolveURL(entry string, fields map[string]string) ([]string, error) {
	u, err := url.Parse(expand(entry, fields))
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, fmt.Errorf("is no URL like https://host:port/path")
	}
	u.User, u.RawQuery, u.Fragment = nil, "", ""
	return []string{u.String()}, nil
}

// resolveCommand leaves names as they are. A field gives a folder, and a
// path of a program.
func resolveCommand(entry string, fields map[string]string) ([]string, error) {
	folder, name := path.Split(entry)
	if folder == "" {
		return []string{entry}, nil
	}
	dir, err := resolveFolder(folder, fields)
	if err != nil {
		return nil, err
	}
	return []string{path.Join(dir[0], name)}, nil
}

func resolveFolder(entry string, fields map[string]string) ([]string, error) {
	p := expand(entry, fields)
	if !path.IsAbs(p) || strings.ContainsRune(p, 0) {
		return nil, fmt.Errorf("is no absolute path")
	}
	return []string{path.Clean(p)}, nil
}
