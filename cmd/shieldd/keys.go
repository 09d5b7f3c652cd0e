package main

import (
	"context"
	"fmt"
	"time"

	"github.com/shieldhq/shield/daemon"
)

type keysCmd struct {
	Rotate rotateCmd `cmd:"" help:"Seal the secrets in the catalog with a new key from now on, and what is sealed already, too."`
}

type rotateCmd struct {
	Wait time.Duration `help:"How long to wait until the daemon has sealed everything." default:"10m"`
}

func (c *rotateCmd) Run(ctx context.Context, f *flags) error {
	ctx, cancel := context.WithTimeout(ctx, c.Wait)
	defer cancel()
	id, running, err := daemon.RotateKeys(ctx, f.Data)
	if err != nil {
		return err
	}
	if running {
		fmt.Printf("key %s is in use, and everything is sealed with it; the old key is dropped after an hour\n", id)
		return nil
	}
	fmt.Printf("key %s is in the keyring; no daemon runs: everything is sealed with it when one starts\n", id)
	return nil
}
