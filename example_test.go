package shield_test

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"filippo.io/age"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/catalog"
	"github.com/shieldhq/shield/daemon"
	"github.com/shieldhq/shield/plugin"
	"github.com/shieldhq/shield/plugins-wasm/fs/fs"
	"github.com/shieldhq/shield/scheduler"
	"github.com/shieldhq/shield/task"
)

func try(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// sample makes a folder with a file to back up and one for archives.
func sample() (dir string) {
	dir, err := os.MkdirTemp("", "shield-example-")
	try(err)
	try(os.MkdirAll(filepath.Join(dir, "data"), 0o700))
	try(os.MkdirAll(filepath.Join(dir, "store"), 0o700))
	try(os.WriteFile(filepath.Join(dir, "data", "hello.txt"), []byte("hello\n"), 0o600))
	return dir
}

// configure makes a job that backs the folder up.
func configure(ctx context.Context, c shield.Catalog, dir string) {
	folder := func(name string) shield.Endpoint {
		return shield.Endpoint(fmt.Sprintf(`{"base_dir": %q}`, filepath.Join(dir, name)))
	}
	try(c.CreateTarget(ctx, &shield.Target{Meta: shield.Meta{Name: "data"}, Plugin: "fs", Endpoint: folder("data")}))
	try(c.CreateStore(ctx, &shield.Store{Meta: shield.Meta{Name: "disk"}, Plugin: "fs", Endpoint: folder("store")}))
	try(c.CreateSchedule(ctx, &shield.Schedule{Meta: shield.Meta{Name: "nightly"}, Timespec: "daily 4am"}))
	try(c.CreatePolicy(ctx, &shield.Policy{Meta: shield.Meta{Name: "month"}, Expiry: 30 * 24 * 3600}))
	try(c.CreateJob(ctx, &shield.Job{Meta: shield.Meta{Name: "data-nightly"}, Target: "data", Store: "disk", Schedule: "nightly", Policy: "month"}))
}

// backup runs the job and waits for its end.
func backup(ctx context.Context, s shield.Scheduler) *shield.Task {
	t, err := s.Submit(ctx, shield.Request{Op: shield.OpBackup, Job: "data-nightly", Owner: "example"})
	try(err)
	for after := 0; !t.Status.Final(); {
		t, _, after, err = s.Follow(ctx, t.UUID, after, time.Minute)
		try(err)
	}
	return t
}

// The parts, put together by the program that embeds them.
func Example() {
	ctx := context.Background()
	dir := sample()
	defer os.RemoveAll(dir)

	identity, err := age.GenerateX25519Identity()
	try(err)
	_, signer, err := ed25519.GenerateKey(nil)
	try(err)

	c, err := catalog.Open(ctx, filepath.Join(dir, "catalog.db"), nil)
	try(err)
	defer c.Close()
	plugins := plugin.NewRegistry()
	try(plugins.Register("fs", fs.Plugin()))
	runner := task.NewRunner(plugins, &task.Options{
		Recipients: []age.Recipient{identity.Recipient()}, Identities: []age.Identity{identity}, SigningKey: signer,
	})
	s := scheduler.New(c, runner, nil)
	try(s.Start(ctx))
	defer s.Stop(ctx)

	configure(ctx, c, dir)
	t := backup(ctx, s)
	a, err := c.Archive(ctx, t.Archive)
	try(err)
	fmt.Println(t.Status, a.Status, a.TargetName)
	// Output: done valid data
}

// The whole system, as shieldd runs it, in one call.
func Example_daemon() {
	ctx, stop := context.WithCancel(context.Background())
	dir := sample()
	defer os.RemoveAll(dir)

	d, err := daemon.Open(ctx, daemon.Config{Data: filepath.Join(dir, "shield"), Listen: "127.0.0.1:0"})
	try(err)
	ended := make(chan error)
	go func() { ended <- d.Run(ctx, time.Second) }()

	configure(ctx, d.Catalog(), dir)
	fmt.Println(backup(ctx, d.Scheduler()).Status)
	stop()
	try(<-ended)
	// Output: done
}
