//go:build linux

package mongo

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/shieldhq/shield/internal/shieldtest"
	"github.com/shieldhq/shield/internal/testserver"
)

func BenchmarkPipe(b *testing.B) {
	m := testserver.StartMongo(b)
	c := connected(b, m)
	const documents, size = 1000, 1000
	// The server of the tests takes a minute for a gigabyte, both ways.
	for n := range min(shieldtest.BenchSize(), 256<<20) / documents / size {
		var all []any
		for i := range int64(documents) {
			id := n*documents + i
			all = append(all, []field{{"_id", id}, {"note", strings.Repeat(fmt.Sprintf("order %d was delivered; ", id*7919%100003), size/28)}})
		}
		c.insert(b, "shop", "orders", all...)
	}
	config := filepath.Join(b.TempDir(), "config.yaml")
	if err := os.WriteFile(config, fmt.Appendf(nil, "password: %q\n", m.Password), 0o600); err != nil {
		b.Fatal(err)
	}
	s := shieldtest.Start(b)
	s.Install(shieldtest.Module(b, "mongo"))
	s.Store("disk", "fs", `{"base_dir":"`+b.TempDir()+`"}`)
	s.Target("shop", "mongo", string(endpointOf(b, m, map[string]any{"mongo_database": "shop"})))
	s.Job("shop", "shop", "disk")
	p := shieldtest.Piped("mongodump --quiet $TO --db shop --archive", "mongorestore --quiet $TO --archive --drop")
	p.System, p.Job = s, "shop"
	p.Env = []string{
		"PATH=" + m.Tools + ":" + os.Getenv("PATH"),
		fmt.Sprintf("TO=--config %s --host 127.0.0.1 --port %d --username %s --authenticationDatabase admin", config, m.Port, m.User),
	}
	p.Bench(b)
}
