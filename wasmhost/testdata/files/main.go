// Command files is a guest that uses the file service as its endpoint says.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugin/pdk"
)

func main() {
	pdk.Main(&plugin.Native{
		About: plugin.Info{
			Name: "files", Author: "tests", Version: "1.0.0",
			Features: plugin.Features{Target: "yes", Store: "no"},
			Fields: []plugin.Field{
				{Mode: plugin.RoleTarget, Name: "do", Type: plugin.TypeString, Required: true},
				{Mode: plugin.RoleTarget, Name: "dir", Type: plugin.TypeAbsPath, Required: true},
				{Mode: plugin.RoleTarget, Name: "use", Type: plugin.TypeString},
			},
			Capabilities: json.RawMessage(`{"read":["{dir}"],"write":["{dir}"],"own":["{dir}"]}`),
		},
		Target: func(e shield.Endpoint, _ plugin.Log) (plugin.Target, error) {
			f := &files{}
			return f, e.Decode(f)
		},
	})
}

type files struct{ Do, Dir, Use string }

// Restore drops what it reads, after it has looked at each byte if it is to.
func (f *files) Restore(_ context.Context, r io.Reader) error {
	if f.Do != "touch" {
		_, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, r, make([]byte, 256<<10))
		return err
	}
	buf, sum := make([]byte, 256<<10), byte(0)
	for {
		n, err := r.Read(buf)
		for _, b := range buf[:n] {
			sum ^= b
		}
		if err == io.EOF {
			fmt.Fprintln(io.Discard, sum)
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (f *files) Backup(_ context.Context, w io.Writer) error {
	if f.Do == "copy" {
		r, err := pdk.Open(path.Join(f.Dir, f.Use))
		if err != nil {
			return err
		}
		defer r.Close()
		_, err = pdk.Copy(w, r)
		return err
	}
	if f.Do == "read" {
		r, err := os.Open(path.Join(f.Dir, f.Use))
		if err != nil {
			return err
		}
		defer r.Close()
		_, err = io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{r}, make([]byte, 256<<10))
		return err
	}
	return f.service(w)
}
