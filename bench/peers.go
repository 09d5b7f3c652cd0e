package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// A peer is a contender driven by shell scripts. They find the folders in
// SOURCE, STORE, OUT and SCRATCH.
type peer struct {
	label                  string
	setup, backup, restore string
	env                    []string
	// absolute says that a restore puts the source's whole path below OUT.
	absolute bool
	version  string // prints the versions in use
}

// peers are the contenders other than shield, used as their manuals say,
// with their own defaults where that is not unfair: borg gets the same
// compression as the others, in place of the much weaker lz4.
var peers = []peer{
	{
		label:   "shell",
		setup:   `age-keygen -o "$SCRATCH/key" 2>/dev/null && age-keygen -y "$SCRATCH/key" > "$SCRATCH/key.pub"`,
		backup:  `tar -C "$SOURCE" -cf - . | zstd -1 -T0 -q | age -R "$SCRATCH/key.pub" > "$STORE/blob"`,
		restore: `age -d -i "$SCRATCH/key" "$STORE/blob" | zstd -d -q | tar -C "$OUT" -xf -`,
		version: `tar --version | head -1; zstd --version | grep -o 'v[0-9.]*' | sed 's/^/zstd /'; echo age $(age --version)`,
	},
	{
		label:    "restic",
		setup:    `restic init`,
		backup:   `restic backup "$SOURCE"`,
		restore:  `restic restore latest --target "$OUT"`,
		env:      []string{"RESTIC_REPOSITORY=$STORE", "RESTIC_PASSWORD=benchmark", "RESTIC_CACHE_DIR=$SCRATCH/cache"},
		absolute: true,
		version:  `restic version | cut -d' ' -f1,2`,
	},
	{
		label:   "borg",
		setup:   `borg init -e repokey`,
		backup:  `cd "$SOURCE" && borg create -C zstd,1 ::first .`,
		restore: `cd "$OUT" && borg extract ::first`,
		env:     []string{"BORG_REPO=$STORE", "BORG_PASSPHRASE=benchmark", "BORG_BASE_DIR=$SCRATCH", "LC_ALL=C.UTF-8"},
		version: `borg --version`,
	},
}

// peerContender runs a peer's scripts.
type peerContender struct {
	peer
	places places
}

var _ contender = (*peerContender)(nil)

func (c *peerContender) name() string { return c.label }
func (c *peerContender) close() error { return nil }

func (c *peerContender) prepare(ctx context.Context, p places) error {
	c.places = p
	_, err := c.script(ctx, c.setup)
	return err
}

func (c *peerContender) backup(ctx context.Context) (cost, error) {
	return c.script(ctx, c.peer.backup)
}

func (c *peerContender) restore(ctx context.Context) (cost, string, error) {
	at := c.places.out
	if c.absolute {
		at = filepath.Join(at, c.places.source)
	}
	used, err := c.script(ctx, c.peer.restore)
	return used, at, err
}

func (c *peerContender) script(ctx context.Context, text string) (cost, error) {
	p := c.places
	env := []string{"SOURCE=" + p.source, "STORE=" + p.store, "OUT=" + p.out, "SCRATCH=" + p.scratch}
	for _, e := range c.env {
		env = append(env, p.expand(e))
	}
	used, err := run(ctx, env, "bash", "-e", "-o", "pipefail", "-c", text)
	if err != nil {
		return used, fmt.Errorf("%s: %w", text, err)
	}
	return used, nil
}

// expand puts the folders into a setting of the environment.
func (p places) expand(s string) string {
	return os.Expand(s, func(name string) string {
		return map[string]string{"STORE": p.store, "SCRATCH": p.scratch}[name]
	})
}
