package catalog_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/catalog"
)

func ExampleOpen() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "shield")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	db, err := catalog.Open(ctx, filepath.Join(dir, "shield.db"), nil)
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()

	t := &shield.Target{Plugin: "fs", Endpoint: shield.Endpoint(`{"base_dir": "/srv"}`)}
	t.Name = "srv"
	if err := db.CreateTarget(ctx, t); err != nil {
		log.Fatal(err)
	}
	got, err := db.Target(ctx, "srv")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(got.Name, got.Plugin, got.Version, got.UUID == t.UUID)
	fmt.Println(db.CreateTarget(ctx, &shield.Target{Meta: shield.Meta{Name: "srv"}, Plugin: "fs", Endpoint: got.Endpoint}))
	// Output:
	// srv fs 1 true
	// catalog.CreateTarget: name: a target with the name "srv" exists already
}
