//go:build linux

package mongo

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/shieldhq/shield/internal/shieldtest"
	"github.com/shieldhq/shield/internal/testserver"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugin/plugintest"
)

// both runs a test natively and in the sandbox.
func both(t *testing.T, f func(t *testing.T, o plugin.Opener)) {
	t.Helper()
	shieldtest.Both(t, "mongo", Plugin(), f)
}

func TestConformance(t *testing.T) {
	m := testserver.StartMongo(t)
	c := connected(t, m)
	for n := range int32(200) {
		c.insert(t, "a", "t", []field{{"_id", n}, {"v", strings.Repeat("é", 1000)}})
	}
	equal := func(a, b []byte) error {
		if !reflect.DeepEqual(content(t, a), content(t, b)) {
			return errors.New("the documents differ")
		}
		return nil
	}
	both(t, func(t *testing.T, o plugin.Opener) {
		plugintest.Run(t, o, plugintest.Config{TargetEndpoint: endpointOf(t, m, map[string]any{"mongo_database": "a"}), Equal: equal})
	})
}
