package apply

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/shieldhq/shield/server"
)

// Template returns a document for an editor that describes a new thing of a
// kind, with what is given, and says what else there can be.
func Template(kindName, name string, given map[string]any) ([]byte, error) {
	return named(kindName).template(name, given)
}

// Describe returns a document for an editor that describes one thing of a
// daemon, and says what else there can be.
func Describe(ctx context.Context, c *server.Client, kindName, ref string) ([]byte, error) {
	k := named(kindName)
	o, err := c.Objects(k.path).Get(ctx, ref)
	if err != nil {
		return nil, err
	}
	set := object{}
	for _, item := range newPlanner(ctx, c, nil).export(k, *o) {
		set[item.Key.(string)] = item.Value
	}
	name, _ := (*o)["name"].(string)
	return k.template(name, set)
}

func (k *kind) template(name string, set object) ([]byte, error) {
	head, err := yaml.Marshal(yaml.MapSlice{{Key: k.key, Value: yaml.MapSlice{{Key: name, Value: nil}}}})
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	b.Write(bytes.TrimSuffix(head, []byte(" null\n")))
	b.WriteByte('\n')
	for n := range k.fields {
		f := &k.fields[n]
		v, given := set[f.name]
		if !given {
			v = f.example()
		}
		text, err := yaml.MarshalWithOptions(yaml.MapSlice{{Key: f.name, Value: v}}, yaml.IndentSequence(true))
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, "    # %s\n", f.help)
		for line := range strings.Lines(string(text)) {
			if !given && !f.required {
				line = "# " + line
			}
			b.WriteString("    " + line)
		}
	}
	return b.Bytes(), nil
}

// example is what stands for a field that is not set.
func (f *field) example() any {
	switch {
	case f.form == endpoint:
		return yaml.MapSlice{}
	case f.form == flag:
		return false
	case f.preset == nil:
		return ""
	case f.form == limit:
		return "none"
	}
	return f.preset
}
