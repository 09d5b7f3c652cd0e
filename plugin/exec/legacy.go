package exec

import (
	"encoding/json"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
)

// portsAsText returns e with its ports as strings: programs written for the
// original protocol refuse numbers there.
func portsAsText(info *plugin.Info, e shield.Endpoint) (shield.Endpoint, error) {
	m := map[string]json.RawMessage{}
	if err := e.Decode(&m); err != nil {
		return nil, err
	}
	changed := false
	for n := range info.Fields {
		f := &info.Fields[n]
		if v := m[f.Name]; f.Type == plugin.TypePort && len(v) > 0 && v[0] >= '0' && v[0] <= '9' {
			m[f.Name] = json.RawMessage(`"` + string(v) + `"`)
			changed = true
		}
	}
	if !changed {
		return e, nil
	}
	b, err := json.Marshal(m)
	return shield.Endpoint(b), err
}
