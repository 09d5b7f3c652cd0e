package plugin_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
)

// TestStopped: which targets are restored while their system is stopped, also
// after the description was written and read again.
func TestStopped(t *testing.T) {
	t.Parallel()
	const info = `{"name":"db","author":"x","version":"1.0.0","features":{"target":"yes","store":"no"},"actions":["test"],
		"fields":[{"mode":"target","name":"method","type":"enum","enum":["logical","physical"],"default":"logical"},
			{"mode":"target","name":"cold","type":"bool"}]%s}`
	for name, c := range map[string]struct{ says, endpoint, want string }{
		"never":         {``, `{"method":"physical"}`, "false"},
		"always":        {`,"restores_stopped":{}`, `{}`, "true"},
		"other value":   {`,"restores_stopped":{"method":"physical"}`, `{}`, "false"},
		"that value":    {`,"restores_stopped":{"method":"physical"}`, `{"method":"physical"}`, "true"},
		"not both":      {`,"restores_stopped":{"method":"physical","cold":"true"}`, `{"method":"physical"}`, "false"},
		"both":          {`,"restores_stopped":{"method":"physical","cold":"true"}`, `{"method":"physical","cold":true}`, "true"},
		"unknown field": {`,"restores_stopped":{"mode":"x"}`, ``, `restores_stopped has "mode"`},
	} {
		i, err := plugin.ParseInfo([]byte(strings.Replace(info, "%s", c.says, 1)))
		if c.endpoint == "" {
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: got %v, want %q", name, err, c.want)
			}
			continue
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		kept, err := json.Marshal(i)
		if err != nil {
			t.Fatal(err)
		}
		if i, err = plugin.ParseInfo(kept); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		e, err := i.Resolve(plugin.RoleTarget, shield.Endpoint(c.endpoint))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := i.Stopped(e); got != (c.want == "true") {
			t.Errorf("%s: got %v", name, got)
		}
	}
}
