package apply

import "encoding/json"

// Schema returns the JSON Schema (2020-12) of documents, by which editors check
// and complete them. What the endpoint of a plugin has is not in it.
func Schema() []byte {
	root := schema{
		"$schema": "https://json-schema.org/draft/2020-12/schema",
		"title":   "What shield apply reads",
		"type":    "object", "additionalProperties": false,
	}
	all := schema{}
	for _, k := range kinds {
		all[k.key] = schema{"type": []string{"object", "null"}, "description": "By name.", "additionalProperties": k.schema()}
	}
	root["properties"] = all
	b, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		panic(err) // of values that are all here
	}
	return append(b, '\n')
}

type schema map[string]any

func (k *kind) schema() schema {
	properties, required := schema{}, []string{}
	for n := range k.fields {
		f := &k.fields[n]
		s := f.schema()
		s["description"] = f.help
		if f.preset != nil {
			s["default"] = f.preset
		}
		properties[f.name] = s
		if f.required {
			required = append(required, f.name)
		}
	}
	return schema{"type": "object", "additionalProperties": false, "required": required, "properties": properties}
}

func (f *field) schema() schema {
	switch f.form {
	case number:
		return schema{"type": "integer", "minimum": 0}
	case flag:
		return schema{"type": "boolean"}
	case length:
		return schema{"anyOf": []schema{{"type": "integer", "minimum": 0}, {"type": "string", "pattern": "^[0-9]+[smhdwy]$"}}}
	case texts:
		return schema{"type": "array", "items": schema{"type": "string"}}
	case limit:
		rate := schema{"type": "string"}
		window := schema{"type": "object", "additionalProperties": false, "required": []string{"from", "to"},
			"properties": schema{"days": rate, "from": rate, "to": rate, "up": rate, "down": rate}}
		return schema{"anyOf": []schema{rate, {"type": "object", "additionalProperties": false,
			"properties": schema{"up": rate, "down": rate, "timezone": rate, "windows": schema{"type": "array", "items": window}}}}}
	case endpoint:
		from := func(name string) schema {
			return schema{"type": "object", "additionalProperties": false, "required": []string{name}, "properties": schema{name: schema{"type": "string"}}}
		}
		return schema{"type": "object", "additionalProperties": schema{"anyOf": []schema{
			{"type": []string{"string", "number", "boolean", "null"}}, from("from_env"), from("from_file")}}}
	}
	s := schema{"type": "string"}
	if f.words != nil {
		s["enum"] = f.words
	}
	return s
}
