package plugin_test

import (
	"errors"
	"testing"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
)

// TestStreams: what a host does not know how to give is not ignored.
func TestStreams(t *testing.T) {
	if i, err := plugin.ParseInfo([]byte(`{"name":"x","features":{"target":"no","store":"yes"},"streams":"raw"}`)); err != nil || i.Streams != plugin.StreamsRaw {
		t.Errorf("%+v, %v", i, err)
	}
	if _, err := plugin.ParseInfo([]byte(`{"name":"x","features":{"target":"no","store":"yes"},"streams":"cooked"}`)); !errors.Is(err, shield.PluginFailed) {
		t.Errorf("got %v", err)
	}
}
