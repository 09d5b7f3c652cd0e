// Command fs2 is a later version of the plugin for folders that cannot restore
// anything. What is restored after its installation was so by another.
package main

import (
	"context"
	"errors"
	"io"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugin/pdk"
	"github.com/shieldhq/shield/plugins-wasm/fs/fs"
)

func main() {
	p := fs.Plugin()
	open := p.Target
	p.About.Version = "2.0.0"
	p.Target = func(e shield.Endpoint, log plugin.Log) (plugin.Target, error) {
		t, err := open(e, log)
		if err != nil {
			return nil, err
		}
		return refusing{t, t.(plugin.Tester), t.(plugin.Validator)}, nil
	}
	pdk.Main(p)
}

type refusing struct {
	plugin.Target
	plugin.Tester
	plugin.Validator
}

// Restore implements plugin.Target.
func (refusing) Restore(context.Context, io.Reader) error {
	return errors.New("version 2 refuses to restore")
}
