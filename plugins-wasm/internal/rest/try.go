package rest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugin"
)

// TrialPrefix begins the keys of the small objects by which stores are tried.
// Lists leave them out.
const TrialPrefix = ".shield-test-"

// A Trialist is a store that can be tried.
type Trialist interface {
	plugin.Store
	// ListAll lists trial objects, too.
	ListAll(ctx context.Context, prefix string, yield func(plugin.Object) error) error
}

// Needs says what the credentials need for each thing that a store does, in
// the service's own words.
type Needs struct{ List, Write, Read, Delete string }

// Try lists, writes, reads back and deletes a small object, and says which
// permissions are missing. Objects of former trials that are left are removed;
// if one is locked, nothing more is written, so that trials do not pile up in
// a store that keeps everything.
func Try(ctx context.Context, s Trialist, needs Needs, log plugin.Log) error {
	t := &trial{s: s, needs: needs, log: log, key: TrialPrefix + Token()}
	if err := t.run(ctx); err != nil {
		return err
	}
	if len(t.missing) > 0 {
		return shield.Errorf(shield.Forbidden, "", "the credentials are missing permissions: %s", strings.Join(t.missing, "; "))
	}
	return nil
}

type trial struct {
	s       Trialist
	needs   Needs
	log     plugin.Log
	key     string
	missing []string
}

// allowed notes a permission that is missing. Any other error is returned.
func (t *trial) allowed(err error, what, need string) (bool, error) {
	if err == nil {
		return true, nil
	}
	if errors.Is(err, shield.Forbidden) {
		t.missing = append(t.missing, fmt.Sprintf("may not %s, give %s (%v)", what, need, err))
		return false, nil
	}
	return false, err
}

func (t *trial) run(ctx context.Context) error {
	locked, err := t.list(ctx)
	if err != nil || locked {
		return err
	}
	content := []byte("shield was here: " + t.key)
	_, err = t.s.Put(ctx, t.key, bytes.NewReader(content))
	if ok, err := t.allowed(err, "write", t.needs.Write); !ok {
		return err
	}
	readErr := t.read(ctx, content)
	err = t.s.Delete(ctx, t.key)
	if errors.Is(err, shield.Locked) {
		t.log(fmt.Sprintf("the object %s, by which the store was tried, stays: %v", t.key, err))
		err = nil
	}
	_, err = t.allowed(err, "delete", t.needs.Delete)
	return shield.FirstError(readErr, err)
}

// trialAge is how old a trial object is that nobody needs any more.
const trialAge = time.Hour

// list looks for what former trials left, and tries to remove it.
func (t *trial) list(ctx context.Context) (locked bool, err error) {
	var left []string
	err = t.s.ListAll(ctx, TrialPrefix, func(o plugin.Object) error {
		if time.Since(o.ModifiedAt) > trialAge {
			left = append(left, o.Key)
		}
		return nil
	})
	if ok, err := t.allowed(err, "list", t.needs.List); !ok {
		return false, err
	}
	for _, key := range left {
		if err := t.s.Delete(ctx, key); errors.Is(err, shield.Locked) {
			t.log(fmt.Sprintf("nothing was written: the object of a former trial is still kept: %v", err))
			return true, nil
		}
	}
	return false, nil
}

func (t *trial) read(ctx context.Context, content []byte) error {
	r, err := t.s.Get(ctx, t.key)
	if ok, err := t.allowed(err, "read", t.needs.Read); !ok {
		return err
	}
	got, err := io.ReadAll(r)
	if err = shield.FirstError(err, r.Close()); err != nil {
		return err
	}
	if !bytes.Equal(got, content) {
		return shield.Errorf(shield.Corrupt, "", "the store gave back other bytes than were written to %s", t.key)
	}
	return nil
}
