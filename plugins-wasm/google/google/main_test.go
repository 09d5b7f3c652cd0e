package google_test

import (
	"testing"

	"github.com/shieldhq/shield/plugins-wasm/internal/resttest"
)

func TestMain(m *testing.M) { resttest.Main(m) }
