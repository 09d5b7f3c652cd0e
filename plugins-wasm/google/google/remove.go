package google

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/shieldhq/shield"
	"github.com/shieldhq/shield/plugins-wasm/internal/rest"
)

// Delete removes an object, for good also where the bucket keeps versions.
func (s *store) Delete(ctx context.Context, key string) error {
	const op = "google.purge"
	if err := rest.CheckKey(key); err != nil {
		return err
	}
	name := s.prefix + key
	o, err := s.properties(ctx, name)
	if err != nil || o == nil {
		return rest.WithOp(op, err)
	}
	if err := s.kept(o, time.Now()); err != nil {
		return rest.WithOp(op, err)
	}
	return rest.WithOp(op, s.erase(ctx, name, o.Generation))
}

// kept returns Locked if something keeps an object.
func (s *store) kept(o *object, now time.Time) error {
	if o.TemporaryHold || o.EventBasedHold {
		return &shield.Error{Code: shield.Locked, Message: fmt.Sprintf("%s: %s is under a hold, which ends when somebody releases it", s.client.Place, o.Name)}
	}
	if until := o.keptUntil(); until.After(now) {
		return &shield.Error{
			Code: shield.Locked, Until: until,
			Message: fmt.Sprintf("%s: retention keeps %s until %s", s.client.Place, o.Name, until.Format(time.RFC3339)),
		}
	}
	return nil
}

// keptUntil is when the retention of the bucket and that of the object have
// ended, zero without either.
func (o *object) keptUntil() time.Time {
	until, _ := time.Parse(time.RFC3339, o.RetentionExpirationTime)
	if o.Retention != nil {
		if own, _ := time.Parse(time.RFC3339, o.Retention.RetainUntilTime); own.After(until) {
			until = own
		}
	}
	return until.UTC()
}

// erase removes one generation of an object: without naming it, a bucket with
// versions would only hide it.
// https://cloud.google.com/storage/docs/json_api/v1/objects/delete
func (s *store) erase(ctx context.Context, name, generation string) error {
	c := &call{op: "delete " + name, method: http.MethodDelete, object: name, query: url.Values{"generation": {generation}}}
	a, err := s.do(ctx, c)
	if err != nil {
		return err
	}
	if a.Status != http.StatusNoContent && a.Status != http.StatusOK {
		if err := s.problem(ctx, c.op, a); !errors.Is(err, shield.NotFound) {
			return err
		}
		return nil
	}
	if o, err := s.properties(ctx, name); err != nil {
		return err
	} else if o != nil && o.Generation == generation {
		return shield.Errorf(shield.StoreFailed, "", "%s: the service acknowledged that %s is deleted, and still has it", s.client.Place, name)
	}
	return nil
}

// Test lists, writes, reads and deletes a small object.
func (s *store) Test(ctx context.Context) error {
	needs := rest.Needs{
		List:   "storage.objects.list",
		Write:  "storage.objects.create",
		Read:   "storage.objects.get",
		Delete: "storage.objects.delete",
	}
	return rest.WithOp("google.test", rest.Try(ctx, s, needs, s.log))
}
