package plugintest_test

import (
	"context"
	"fmt"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin/plugintest"
)

// A store that acknowledges blobs that it does not keep is found.
func ExampleCheck() {
	f := plugintest.NewFaulty(plugintest.NewMemory())
	f.Set(plugintest.PutVanishes, 0)
	cfg := plugintest.Config{StoreEndpoint: shield.Endpoint(`{"name": "shelf"}`)}
	for _, r := range plugintest.Check(context.Background(), f, cfg)[:2] {
		fmt.Println(r.Name, r.Err == nil)
	}
	// Output:
	// info true
	// store: nothing false
}
