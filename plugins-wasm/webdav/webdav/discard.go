package webdav

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"time"

	"github.com/shieldhq/shield"
)

// arm has the host delete the temporary file if the plugin is stopped: then no
// code of ours runs any more. The proof is made of a nonce of its own, so that
// what is sent meanwhile does not use it up.
func (u *upload) arm(ctx context.Context) error {
	if runtime.GOOS != "wasip1" {
		return nil
	}
	own := u.store.session()
	if u.auth.digest != nil {
		if _, err := own.stat(ctx, ""); err != nil {
			return err
		}
	}
	own.auth.kind = u.auth.kind
	undo, err := u.client.Undo(ctx, own.request("delete "+u.temp, http.MethodDelete, u.temp))
	u.undo = undo
	return err
}

// keep ends the undo.
func (u *upload) keep() {
	if u.undo != nil {
		u.undo()
	}
}

// cleanupTime is how long cleaning up after a failure may take.
const cleanupTime = 30 * time.Second

// discard removes what a failed upload has left. It goes on when ctx is done.
func (u *upload) discard(ctx context.Context) {
	if !u.begun {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
	defer cancel()
	var err error
	if u.moving {
		var moved bool
		if moved, err = u.moved(ctx); moved {
			err = u.erase(ctx, u.name)
		}
	}
	if err = shield.FirstError(err, u.sweep(ctx)); err != nil {
		u.log(fmt.Sprintf("what the failed upload has left could not be removed; deleting the key does, later: %v", err))
	}
}

// sweeps is how often a file is removed that comes back.
const sweeps = 8

// sweep removes the temporary file. After a broken connection the server may
// still have it locked, or be about to begin with what it got.
func (u *upload) sweep(ctx context.Context) error {
	for try := 0; ; try++ {
		err := u.erase(ctx, u.temp)
		if try >= sweeps || !errors.Is(err, shield.Locked) && !errors.Is(err, errStays) {
			return err
		}
		if u.client.Pause(ctx, "delete "+u.temp, try, nil, err) != nil {
			return err
		}
	}
}
