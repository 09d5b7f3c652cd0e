package rabbitmq

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/shieldhq/shield"
)

// definitions are what the broker exports: lists of objects, by their names,
// and its version.
type definitions struct {
	version string
	lists   map[string][]map[string]any
}

// parseDefinitions takes an export apart, and so finds one that is cut.
func parseDefinitions(text []byte) (*definitions, error) {
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(text, &raw); err != nil {
		return nil, fmt.Errorf("not a whole export of definitions: %w", err)
	}
	d := &definitions{lists: map[string][]map[string]any{}}
	for name, part := range raw {
		if len(part) > 0 && part[0] == '[' {
			var list []map[string]any
			if err := json.Unmarshal(part, &list); err != nil {
				return nil, fmt.Errorf("not an export of definitions: %s: %w", name, err)
			}
			d.lists[name] = list
		}
	}
	for _, name := range []string{"rabbitmq_version", "rabbit_version"} {
		if d.version == "" {
			_ = json.Unmarshal(raw[name], &d.version) // both are optional
		}
	}
	for _, must := range []string{"queues", "exchanges", "bindings"} {
		if _, ok := d.lists[must]; !ok {
			return nil, fmt.Errorf("not an export of definitions: it has no %s", must)
		}
	}
	return d, nil
}

func (d *definitions) counts() map[string]int64 {
	m := map[string]int64{}
	for name, list := range d.lists {
		m[name] = int64(len(list))
	}
	return m
}

// identity are the keys by which the objects of a list are told apart. It is
// never written to.
var identity = map[string][]string{
	"users": {"name"}, "vhosts": {"name"}, "permissions": {"user", "vhost"}, "topic_permissions": {"user", "vhost", "exchange"},
	"parameters": {"vhost", "component", "name"}, "global_parameters": {"name"}, "policies": {"vhost", "name"},
	"queues": {"vhost", "name"}, "exchanges": {"vhost", "name"},
	"bindings": {"vhost", "source", "destination", "destination_type", "routing_key", "arguments"},
}

// missing names the objects of d that are not in other.
func (d *definitions) missing(other *definitions) []string {
	var out []string
	for list, keys := range identity {
		have := map[string]bool{}
		for _, o := range other.lists[list] {
			have[identify(o, keys)] = true
		}
		for _, o := range d.lists[list] {
			if id := identify(o, keys); !have[id] {
				out = append(out, list+" "+id)
			}
		}
	}
	slices.Sort(out)
	return out
}

func identify(o map[string]any, keys []string) string {
	parts := make([]string, 0, len(keys))
	for _, k := range keys {
		if v, ok := o[k]; ok {
			b, _ := json.Marshal(v) // was decoded from JSON; keys come sorted
			parts = append(parts, string(b))
		}
	}
	return strings.Join(parts, " ")
}

// older reports whether version a is of an earlier major version than b.
func older(a, b string) bool {
	var x, y int
	_, errA := fmt.Sscanf(a, "%d", &x)
	_, errB := fmt.Sscanf(b, "%d", &y)
	return errA == nil && errB == nil && x < y
}

// checkVersion refuses definitions of a later major version.
func checkVersion(archive, server string) error {
	if older(server, archive) {
		return shield.Errorf(shield.Invalid, "rabbitmq.restore", "the archive is of RabbitMQ %s, the broker is %s: one of the same major version or a later one is wanted", archive, server)
	}
	return nil
}

// isExport tells an export, which is a JSON object, from a tar stream.
func isExport(head []byte) bool { return bytes.HasPrefix(bytes.TrimLeft(head, " \t\r\n"), []byte("{")) }
