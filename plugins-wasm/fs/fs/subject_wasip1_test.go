package fs_test

import (
	"testing"

	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugins-wasm/fs/fs"
)

func subject(testing.TB) plugin.Opener { return fs.Plugin() }

func onWASI() bool { return true }

func skipSandboxed(testing.TB) {}
