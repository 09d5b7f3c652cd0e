// Command clients is a guest that uses client libraries as they are, over what
// pdk gives them. It does what its endpoint tells it to, and backs up what
// came of it.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugin/pdk"
)

func main() {
	pdk.Main(&plugin.Native{
		About: plugin.Info{
			Name: "clients", Author: "tests", Version: "1.0.0",
			Features: plugin.Features{Target: "yes", Store: "no"},
			Fields: []plugin.Field{
				{Mode: plugin.RoleTarget, Name: "do", Type: plugin.TypeString, Required: true},
				{Mode: plugin.RoleTarget, Name: "addr", Type: plugin.TypeString},
				{Mode: plugin.RoleTarget, Name: "url", Type: plugin.TypeURL},
				{Mode: plugin.RoleTarget, Name: "password", Type: plugin.TypePassword},
			},
			Capabilities: json.RawMessage(`{"tcp":["{addr}"],"http":["{url}"],"memory":"256MiB"}`),
		},
		Target: func(e shield.Endpoint, _ plugin.Log) (plugin.Target, error) {
			c := &clients{}
			return c, e.Decode(c)
		},
	})
}

type clients struct{ Do, Addr, URL, Password string }

// Backup writes a line for each thing that was found right.
func (c *clients) Backup(ctx context.Context, w io.Writer) error {
	steps, ok := map[string][]step{"http": c.http(), "s3": c.s3(), "redis": c.redis(), "postgres": c.postgres()}[c.Do]
	if !ok {
		return fmt.Errorf("cannot %s", c.Do)
	}
	for _, s := range steps {
		if err := s.run(ctx); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		fmt.Fprintln(w, s.name)
	}
	return nil
}

// Restore implements plugin.Target.
func (c *clients) Restore(_ context.Context, r io.Reader) error {
	_, err := io.Copy(io.Discard, r)
	return err
}

type step struct {
	name string
	run  func(context.Context) error
}

// together runs f n times at once.
func together(n int, f func(n int) error) error {
	failed := make(chan error, n)
	for k := range n {
		go func() { failed <- f(k) }()
	}
	var first error
	for range n {
		if err := <-failed; first == nil {
			first = err
		}
	}
	return first
}
