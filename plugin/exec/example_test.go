package exec_test

import (
	"context"
	"log"
	"os"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin/exec"
)

func ExampleOpen() {
	ctx := context.Background()
	p, err := exec.Open("/usr/lib/shield/plugins/fs", nil)
	if err != nil {
		log.Fatal(err)
	}
	t, err := p.OpenTarget(ctx, shield.Endpoint(`{"base_dir": "/srv/data"}`), func(line string) { log.Print(line) })
	if err != nil {
		log.Fatal(err)
	}
	if err := t.Backup(ctx, os.Stdout); err != nil {
		log.Fatal(err) // what was written before is not a backup
	}
}
